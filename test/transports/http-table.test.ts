/**
 * Looking at tables and memory over REST, with guests in this process that answer the control
 * records.
 */
import assert from 'node:assert/strict';
import { CHAIN_LENGTHS, PAGE_SIZES } from '../../schemas/controls.ts';
import { after, before, beforeEach, test } from 'node:test';
import { DATA_WORDS_MAX, MEMORY_WORDS_MAX, PIECE_ENTRIES_MAX } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { openHttp, type Http, type Reply } from './http-support.ts';

let http: Http;

before(async () => {
  http = await openHttp();
  await http.send('PUT', '/v1/guests/p9', { order: 18, isa300: true });
  await http.send('PUT', '/v1/guests/big', { order: 22 });
  await http.send('PUT', '/v1/guests/backed', { order: 18, memory: 'backed', ramBytes: 2 ** 20 });
});
after(() => http.app.close());
beforeEach(() => {
  http.guests.ran.length = 0;
  http.guests.answers.clear();
});

const HPT = '/v1/guests/g/hpt';

function isProblem(reply: Reply, status: number, code: string): Reply {
  assert.deepEqual([reply.status, reply.json.code], [status, code], JSON.stringify(reply.json));
  assert.match(reply.type, /^application\/problem\+json/);
  return reply;
}

/** ENTRY_INSPECT's words of one entry, the same for host and guest but for what is given. */
function inspected(dword0: bigint, dword1: bigint, guestRpte: bigint, pteh: bigint): bigint[] {
  return [dword0, dword1, guestRpte, 0x190c0n, 0x190b0n, pteh, guestRpte];
}

const PTEH = 0x400ea1b217000015n;

test('an entry: both views, the chain, the virtual page', async () => {
  http.guests.answers.set('ENTRY_INSPECT', () => inspected(PTEH, 0x10_0001_1190n, 0x1_1190n, PTEH));
  const { json } = await http.send('GET', `${HPT}/entries/0x10b8`);
  assert.deepEqual(http.guests.ran, [{ name: 'ENTRY_INSPECT', words: [0x10b8n], explain: false }]);
  assert.deepEqual([json.ptex, json.group, json.slot, json.state], ['0x10b8', '0x217', 0, 'valid']);
  assert.deepEqual(json.chain, { next: '0x190c0', previous: '0x190b0' });
  const guest = json.guest as { realAddress: string; page: unknown };
  assert.deepEqual([guest.realAddress, guest.page], ['0x10000', { base: '64K', actual: '64K' }]);
  assert.equal((json.host as { realAddress: string }).realAddress, '0x1000010000');
  assert.equal((json.virtualPage as { segment: string }).segment, '1T');
  assert.equal((json.words as { guestRpte: string }).guestRpte, '0x11190');
  assert.deepEqual((await http.send('GET', `${HPT}/entries/4280`)).json, json);
});

test('an entry that is absent, emulated or empty', async () => {
  const show = async (dword0: bigint, dword1: bigint) => {
    http.guests.answers.set('ENTRY_INSPECT', () => inspected(dword0, dword1, 0x1190n, PTEH));
    return (await http.send('GET', `${HPT}/entries/8`)).json;
  };
  const absent = await show((PTEH & ~1n) | 0x20n, 0x1190n);
  assert.deepEqual([absent.state, absent.chain], ['absent', null]);
  assert.equal((absent.guest as { dword0: { valid: boolean } }).dword0.valid, true);
  assert.equal((await show((PTEH & ~1n) | 0x20n, (3n << 60n) | 0xe00n)).state, 'mmio');
  const empty = await show(0n, 0x1190n);
  assert.deepEqual(
    [empty.state, empty.guest, empty.host, empty.virtualPage, empty.chain],
    ['empty', null, null, null, null],
  );
});

test('an entry of a POWER9 guest: the host view is brought back from its format', async () => {
  http.guests.answers.set('ENTRY_INSPECT', () =>
    inspected(PTEH & ~(3n << 62n), (1n << 58n) | 0x1190n, 0x1190n, PTEH),
  );
  const { json } = await http.send('GET', '/v1/guests/p9/hpt/entries/8');
  assert.equal((json.host as { dword0: { segment: string } }).dword0.segment, '1T');
  assert.equal((json.words as { format: string }).format, 'ISA 3.0');
});

test('a group: its eight slots in one run', async () => {
  http.guests.answers.set('ENTRY_INSPECT', ([ptex]) =>
    ptex! % 2n === 0n ? inspected(PTEH, 0x1190n, 0x1190n, PTEH) : inspected(0n, 0n, 0n, 0n),
  );
  const { json } = await http.send('GET', `${HPT}/groups/0x7ff`);
  assert.deepEqual([json.group, json.order, json.occupied], ['0x7ff', 18, 4]);
  assert.deepEqual(
    http.guests.ran.map(({ words }) => words[0]),
    [0, 1, 2, 3, 4, 5, 6, 7].map((slot) => BigInt(0x7ff * 8 + slot)),
  );
  assert.equal((json.slots as unknown[]).length, 8);
});

test('entries and groups that there are not', async () => {
  for (const ptex of [
    '16384',
    '0x4000',
    '-1',
    'x',
    '1e3',
    '0x',
    '99999999999999999999',
    '__proto__',
  ]) {
    isProblem(await http.send('GET', `${HPT}/entries/${ptex}`), 404, 'ptex-out-of-range');
  }
  isProblem(await http.send('GET', `${HPT}/groups/2048`), 404, 'ptex-out-of-range');
  for (const path of ['entries/0', 'groups/0', 'statistics', 'hash']) {
    isProblem(await http.send('GET', `/v1/guests/bare/hpt/${path}`), 409, 'no-table');
    isProblem(await http.send('GET', `/v1/guests/nobody/hpt/${path}`), 404, 'guest-not-found');
  }
  assert.deepEqual(http.guests.ran, []);
});

test('statistics: pieces of the table, added up', async () => {
  http.guests.answers.set('TABLE_COUNT', ([ptex, count]) => [
    ptex! + count!,
    1n,
    2n,
    3n,
    4n,
    5n,
    6n,
    7n,
    8n,
  ]);
  http.guests.answers.set('TABLE_SHAPE', ([ptex, count]) => [
    ptex! + count!,
    ...Array.from({ length: 32 }, (_, i) => BigInt(i)),
  ]);
  const { json } = await http.send('GET', '/v1/guests/big/hpt/statistics');
  const buckets = 4096;
  const occupied = [0, 1, 2, 3, 4, 5, 6, 7, 8].reduce((sum, k) => sum + k * k);
  assert.deepEqual(json, {
    groupsByEntries: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => i * buckets),
    entriesBySlot: [9, 10, 11, 12, 13, 14, 15, 16].map((i) => i * buckets),
    entriesByPageSize: Object.fromEntries(PAGE_SIZES.map((size, i) => [size, (17 + i) * buckets])),
    chainsByLength: Object.fromEntries(CHAIN_LENGTHS.map((of, i) => [of, (24 + i) * buckets])),
    map: { entriesPerBucket: 64, occupied: Array.from({ length: buckets }, () => occupied) },
    processors: [],
    order: 22,
    entries: 2 ** 18,
    groups: 2 ** 15,
    occupied: 12,
    valid: 4,
    absent: 8,
    bolted: 12,
    secondary: 16,
    referenced: 20,
    changed: 24,
    fullGroups: 28,
    emptyGroups: 32,
  });
  const piece = BigInt(PIECE_ENTRIES_MAX);
  assert.deepEqual(
    http.guests.ran.filter(({ name }) => name === 'TABLE_COUNT').map(({ words }) => words),
    [0n, 1n, 2n, 3n].map((i) => [i * piece, piece]),
  );
});

test('the hash: each piece goes on from the one before', async () => {
  http.guests.answers.set('TABLE_HASH', ([ptex, count, hash, valid]) => [
    hash! ^ 1n,
    valid! + 10n,
    ptex! + count!,
  ]);
  const { json } = await http.send('GET', '/v1/guests/big/hpt/hash');
  assert.deepEqual(json, { order: 22, fnv1a64: '0xcbf29ce484222325', validEntries: 40 });
  assert.deepEqual(http.guests.ran[1]!.words.slice(2), [0xcbf29ce484222324n, 10n]);
});

test('a table that is replaced while it is read', async () => {
  http.guests.answers.set('TABLE_HASH', ([ptex, count]) =>
    ptex === 0n ? [1n, 1n, ptex + count!] : { status: STATUSES.H_PARAMETER },
  );
  isProblem(await http.send('GET', '/v1/guests/big/hpt/hash'), 409, 'table-changed');
  http.guests.answers.set('TABLE_COUNT', () => [0n, 1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n]);
  isProblem(await http.send('GET', '/v1/guests/big/hpt/statistics'), 409, 'table-changed');
});

const MEMORY = '/v1/guests/backed/memory';
const OCTETS = 'application/octet-stream';

test('guest memory: bytes are read in pieces of records, from any address', async () => {
  http.guests.answers.set('MEMORY_READ', ([gpa, words]) =>
    Array.from(
      { length: Number(words) },
      (_, i) => 0x0706050403020100n + (gpa! + BigInt(i * 8)) * 0x0101010101010101n,
    ),
  );
  const few = await http.send('GET', `${MEMORY}?gpa=0x3&bytes=7`);
  assert.deepEqual([few.status, few.type], [200, OCTETS]);
  assert.deepEqual([...few.bytes], [3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(
    http.guests.ran.map(({ words }) => words),
    [[0n, 2n]],
  );

  http.guests.ran.length = 0;
  http.guests.answers.set('MEMORY_READ', ([, words]) =>
    Array.from({ length: Number(words) }, () => 0n),
  );
  const bytes = 8 * (MEMORY_WORDS_MAX + 1);
  assert.equal((await http.send('GET', `${MEMORY}?gpa=4096&bytes=${bytes}`)).bytes.length, bytes);
  assert.deepEqual(
    http.guests.ran.map(({ words }) => words),
    [
      [4096n, BigInt(MEMORY_WORDS_MAX)],
      [4096n + BigInt(8 * MEMORY_WORDS_MAX), 1n],
    ],
  );
});

test('guest memory: bytes are written as little-endian words, in pieces', async () => {
  const put = (query: string, body: Buffer) =>
    http.sendRaw('PUT', `${MEMORY}${query}`, OCTETS, body);
  assert.equal((await put('?gpa=0x100', Buffer.from([1, 0, 0, 0, 0, 0, 0, 2]))).status, 204);
  assert.deepEqual(http.guests.ran[0]!.words, [0x100n, 0x0200000000000001n]);
  http.guests.ran.length = 0;
  assert.equal((await put('?gpa=0', Buffer.alloc(8 * (DATA_WORDS_MAX + 2)))).status, 204);
  assert.deepEqual(
    http.guests.ran.map(({ words }) => [words[0], words.length]),
    [
      [0n, DATA_WORDS_MAX + 1],
      [BigInt(8 * DATA_WORDS_MAX), 3],
    ],
  );
});

test('guest memory: what is refused', async () => {
  const get = (query: string) => http.send('GET', `${MEMORY}${query}`);
  for (const query of [
    '',
    '?gpa=0',
    '?gpa=x&bytes=8',
    '?gpa=-8&bytes=8',
    '?gpa=0&gpa=8&bytes=8',
    '?gpa=0&bytes=8&x=1',
    '?gpa=0&bytes=10000000',
    '?gpa=0x100000000000&bytes=8',
    '?__proto__=1&gpa=0&bytes=8',
  ]) {
    isProblem(await get(query), 400, 'query-invalid');
  }
  const put = (query: string, body: Buffer, type = OCTETS) =>
    http.sendRaw('PUT', `${MEMORY}${query}`, type, body);
  isProblem(await put('?gpa=4', Buffer.alloc(8)), 400, 'query-invalid');
  isProblem(await put('?gpa=0', Buffer.alloc(7)), 400, 'body-invalid');
  isProblem(
    await put('?gpa=0', Buffer.alloc(8), 'application/json'),
    415,
    'unsupported-media-type',
  );
  isProblem(await http.send('PUT', `${MEMORY}?gpa=0`), 400, 'body-invalid');
  isProblem(await put('?gpa=0', Buffer.alloc(600_000)), 413, 'body-too-large');
  isProblem(await http.send('GET', '/v1/guests/g/memory?gpa=0&bytes=8'), 409, 'memory-not-kept');
  assert.deepEqual(http.guests.ran, []);
  http.guests.answers.set('MEMORY_READ', () => ({ status: STATUSES.H_PARAMETER }));
  isProblem(await get('?gpa=0x200000&bytes=8'), 404, 'memory-out-of-range');
});
