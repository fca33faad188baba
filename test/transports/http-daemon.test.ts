/** The REST interface of a whole daemon: real guests, real sockets, loopback only. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { serve, type Daemon } from '../../src/main.ts';

let daemon: Daemon;

before(async () => {
  daemon = await serve({ listen: '127.0.0.1:0', processors: 2, logLevel: 'silent' });
});
after(() => daemon.close());

type Json = Record<string, unknown>;

async function send(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: Json }> {
  const answer = await fetch(`${daemon.url}${path}`, {
    method,
    signal: AbortSignal.timeout(20_000),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text.startsWith('{') ? (JSON.parse(text) as Json) : {} };
}

const ENTER = { ptex: '0x190b8', pteh: '0x400ea1b217000015', ptel: '0x1190' };

test('a guest, an entry in its table, and what REST shows of it', async () => {
  const guest = '/v1/guests/life';
  assert.equal((await send('PUT', guest, { order: 22, ramBytes: 2 ** 29 })).status, 201);
  const entered = await send('POST', `${guest}/hcalls/H_ENTER`, { ...ENTER, explain: true });
  assert.deepEqual(
    [entered.status, entered.json.status, entered.json.ptex],
    [200, 'H_SUCCESS', '0x190b8'],
  );
  assert.equal((entered.json.explanation as Json).rule, 'ENTERED');

  const entry = (await send('GET', `${guest}/hpt/entries/0x190b8`)).json;
  assert.equal(entry.state, 'valid');
  assert.deepEqual(entry.chain, { next: '0x190b8', previous: '0x190b8' });
  const page = entry.virtualPage as Json;
  assert.equal(page.found, true);
  assert.equal(((entry.guest as Json).dword0 as Json).word, '0x400ea1b217000015');

  const group = (await send('GET', `${guest}/hpt/groups/0x3217`)).json;
  assert.deepEqual([group.occupied, (group.slots as Json[])[0]], [1, entry]);
  const statistics = (await send('GET', `${guest}/hpt/statistics`)).json;
  assert.deepEqual(
    [statistics.valid, statistics.bolted, statistics.entries, statistics.emptyGroups],
    [1, 1, 2 ** 18, 2 ** 15 - 1],
  );
  assert.equal((await send('GET', `${guest}/hpt/hash`)).json.validEntries, 1);

  const removed = await send('POST', `${guest}/hcalls/H_REMOVE`, { ptex: '0x190b8', avpn: 0 });
  assert.equal(removed.json.pteh, '0x400ea1b217000015');
  assert.equal((await send('DELETE', guest)).status, 204);
  assert.equal((await send('GET', guest)).status, 404);
});

test('a paused guest: hcalls are refused, its host goes on, a wrong wish is told what may be', async () => {
  const guest = '/v1/guests/paused';
  await send('PUT', guest, { order: 18, ramBytes: 2 ** 28 });
  assert.equal((await send('PATCH', guest, { state: 'paused' })).json.state, 'paused');
  const enter = { ptex: '0x10', pteh: '0x80', ptel: '0x10' };
  const refused = await send('POST', `${guest}/hcalls/H_ENTER`, enter);
  assert.deepEqual([refused.status, refused.json.code], [409, 'guest-paused']);
  assert.equal((await send('POST', `${guest}/control/HOST_UNMAP`, { gpa: 0 })).status, 200);
  assert.equal((await send('GET', `${guest}/hpt/statistics`)).json.valid, 0);
  const wrong = await send('PATCH', guest, { state: 'migrating' });
  assert.deepEqual([wrong.status, wrong.json.code], [409, 'guest-state']);
  assert.match(String(wrong.json.detail), /may become: running$/);
  await send('PATCH', guest, { state: 'running' });
  const entered = await send('POST', `${guest}/hcalls/H_ENTER`, enter);
  assert.equal(entered.json.status, 'H_SUCCESS');
  await send('DELETE', guest);
});

test('a full group says which entries hold it', async () => {
  const guest = '/v1/guests/full';
  await send('PUT', guest, { order: 18, ramBytes: 2 ** 28 });
  const call = { hcall: 'H_ENTER', ptex: '0x10', pteh: '0x80', ptel: '0x10' };
  const calls = Array.from({ length: 9 }, (_, i) => ({
    ...call,
    pteh: `0x${((i + 1) * 0x80 + (i === 3 ? 0x10 : 0)).toString(16)}`,
    explain: i === 8,
  }));
  const { status, json } = await send('POST', `${guest}/hcalls`, { calls });
  assert.equal(status, 200);
  const answers = json.answers as Json[];
  assert.deepEqual(
    answers.slice(0, 8).map((answer) => answer.ptex),
    ['0x10', '0x11', '0x12', '0x13', '0x14', '0x15', '0x16', '0x17'],
  );
  assert.equal(answers[8]!.status, 'H_PTEG_FULL');
  const text = String((answers[8]!.explanation as Json).text);
  assert.match(
    text,
    /slots 0-7 of group 0x2 held AVPNs 0x80, 0x100, 0x180, 0x200 \(bolted\), 0x280/,
  );
  await send('DELETE', guest);
});

test('guest memory that is kept: written, zeroed by an hcall, read', async () => {
  const guest = '/v1/guests/memory';
  await send('PUT', guest, { order: 18, ramBytes: 2 ** 24, memory: 'backed' });
  const url = `${daemon.url}${guest}/memory?gpa=0x1000`;
  const bytes = Buffer.alloc(8192, 'hptd');
  const headers = { 'content-type': 'application/octet-stream' };
  assert.equal((await fetch(url, { method: 'PUT', body: bytes, headers })).status, 204);
  const zero = { flags: ['H_ZERO_PAGE'], destination: '0x2000', source: 0 };
  assert.equal((await send('POST', `${guest}/hcalls/H_PAGE_INIT`, zero)).json.status, 'H_SUCCESS');
  const read = Buffer.from(await (await fetch(`${url}&bytes=8192`)).arrayBuffer());
  bytes.fill(0, 4096);
  assert.ok(read.equals(bytes));
  const outside = await send('GET', `${guest}/memory?gpa=0xfffff8&bytes=16`);
  assert.deepEqual([outside.status, outside.json.code], [404, 'memory-out-of-range']);
  await send('DELETE', guest);
});

test('many calls at once on one guest: each has its own answer', async () => {
  const guest = '/v1/guests/crowd';
  await send('PUT', guest, { order: 20, ramBytes: 2 ** 28 });
  const groups = Array.from({ length: 200 }, (_, i) => i);
  const answers = await Promise.all(
    groups.map((i) =>
      send('POST', `${guest}/hcalls/H_ENTER`, { ...ENTER, ptex: i * 8, ptel: '0x1190', tag: i }),
    ),
  );
  answers.forEach(({ json }, i) => {
    assert.deepEqual(
      [json.status, json.ptex, json.tag],
      ['H_SUCCESS', `0x${(i * 8).toString(16)}`, i],
    );
  });
  assert.equal((await send('GET', `${guest}/hpt/statistics`)).json.valid, 200);
  await send('DELETE', guest);
});

/** Everything that comes back for bytes that are no request. */
function rawAnswer(bytes: string): Promise<string> {
  const { hostname, port } = new URL(daemon.url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (data) => (answer += data.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}

test('bytes that are no HTTP are refused with a problem too, and the daemon lives', async () => {
  for (const [bytes, status, code] of [
    ['GARBAGE\r\n\r\n', 400, 'request-malformed'],
    ['FOO / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'request-malformed'],
    [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431, 'headers-too-large'],
  ] as const) {
    const answer = await rawAnswer(bytes);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(answer, /content-type: application\/problem\+json/);
    assert.match(answer, new RegExp(`"code":"${code}"`));
  }
  assert.equal((await fetch(`${daemon.url}/healthz`)).status, 200);
});
