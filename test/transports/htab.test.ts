/**
 * The table as a stream over REST, with real daemons and sockets: passes, loading, and clients that go away.
 * HPTD_SEED=n repeats a run.
 */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { HTAB_READERS_MAX } from '../../schemas/limits.ts';
import { serve, type Daemon } from '../../src/main.ts';
import { seedOf } from '../schemas/seed.ts';
import {
  chunksOf,
  entriesOf,
  fullTable,
  getPass,
  putChunks,
  randomEntries,
  recordsOf,
  send as sendTo,
  type Json,
} from './htab-support.ts';

let daemon: Daemon;
before(async () => {
  daemon = await serve({ listen: '127.0.0.1:0', processors: 2, logLevel: 'silent' });
});
after(() => daemon.close());

const send = (method: string, path: string, body?: unknown) => sendTo(daemon, method, path, body);

async function createGuest(name: string, config: Json = {}): Promise<string> {
  const path = `/v1/guests/${name}`;
  const made = await send('PUT', path, { order: 18, ramBytes: 2 ** 28, ...config });
  assert.equal(made.status, 201, JSON.stringify(made.json));
  return path;
}

async function enter(guest: string, calls: readonly Json[]): Promise<void> {
  for (let at = 0; at < calls.length; at += 1000) {
    const answer = await send('POST', `${guest}/hcalls`, { calls: calls.slice(at, at + 1000) });
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
  }
}

/** A guest whose table has an entry in every slot, running. */
async function createFull(name: string, order: number): Promise<string> {
  const guest = await createGuest(name, { order, ramBytes: 2 ** 32, state: 'paused' });
  const filled = await putChunks(daemon, `${guest}/htab`, [fullTable(order)]);
  assert.equal(filled.status, 200, JSON.stringify(filled.json));
  await send('PATCH', guest, { state: 'running' });
  return guest;
}

/** One entry at this slot; its virtual page is its own. */
const at = (ptex: number, bits = 1, hcall = 'H_ENTER') => ({
  hcall,
  flags: ['H_EXACT'],
  ptex,
  pteh: `0x${((ptex << 12) | bits).toString(16)}`,
  ptel: `0x${((ptex << 12) | 0x10).toString(16)}`,
});

const hash = async (guest: string) => (await send('GET', `${guest}/hpt/hash`)).json;

/** Readers of the engine that are open: those that can still be opened, less. */
async function openReaders(guest: string): Promise<number> {
  const free: unknown[] = [];
  for (;;) {
    const { json } = await send('POST', `${guest}/control/HTAB_OPEN`, { start: 0, flags: 0 });
    if (json.status !== 'H_SUCCESS') break;
    free.push(json.reader);
  }
  for (const reader of free) await send('POST', `${guest}/control/HTAB_CLOSE`, { reader });
  return HTAB_READERS_MAX - free.length;
}

/** Fails after some seconds, not at the first look. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < 100, `never: ${what}`);
    await sleep(50);
  }
}

test('a stream of a random table loads back bit for bit, in both formats, in chunks that end anywhere', async (context) => {
  const lengths = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.nat(),
      fc.nat(6000),
      lengths,
      async (isa300, seed, n, cuts) => {
        const from = await createGuest('from', { isa300 });
        const to = await createGuest('to', { isa300, state: 'paused' });
        try {
          await enter(from, randomEntries(seed, 18, n));
          const { bytes } = await getPass(daemon, `${from}/htab`);
          const loaded = await putChunks(daemon, `${to}/htab`, chunksOf(bytes, cuts));
          assert.equal(loaded.status, 200, JSON.stringify(loaded.json));
          assert.equal(loaded.json.bytes, bytes.length);
          assert.deepEqual(await hash(to), await hash(from));
          const again = await getPass(daemon, `${to}/htab`);
          assert.deepEqual(again.bytes, bytes);
        } finally {
          await send('DELETE', from);
          await send('DELETE', to);
        }
      },
    ),
    { ...seedOf(context), numRuns: 12 },
  );
});

test('bolted=true gives bolted entries only; the empty table is empty slots', async () => {
  const guest = await createGuest('bolted');
  const empty = recordsOf((await getPass(daemon, `${guest}/htab`)).bytes);
  assert.deepEqual([empty.length, empty[0]!.index, empty[0]!.invalid], [1, 0, 2 ** 14]);
  await enter(guest, [at(5), at(6, 0x11), at(900, 0x11)]);
  const { bytes } = await getPass(daemon, `${guest}/htab?bolted=true`);
  assert.deepEqual([...entriesOf(recordsOf(bytes)).keys()], [6, 900]);
  for (const [query, told] of [
    ['bolted=yes', 'neither true nor false'],
    ['full=true', 'there are bolted, follow'],
  ]) {
    const { status, json } = await send('GET', `${guest}/htab?${query}`);
    assert.deepEqual([status, json.code], [400, 'query-invalid']);
    assert.match(String(json.detail), new RegExp(told!));
  }
});

test('a reader follows: each pass is what changed since the one before, and passes add up to the table', async () => {
  const guest = await createGuest('followed');
  await enter(guest, [at(1), at(2), at(3)]);
  const { bytes, location } = await getPass(daemon, `${guest}/htab?follow=true`);
  const seen = entriesOf(recordsOf(bytes));
  assert.deepEqual((await getPass(daemon, location!)).bytes.length, 0);
  await enter(guest, [at(700), { hcall: 'H_REMOVE', ptex: 2, avpn: 0 }]);
  const second = recordsOf((await getPass(daemon, location!)).bytes);
  assert.deepEqual(
    second.map(({ index, entries, invalid }) => [index, entries.length, invalid]),
    [
      [2, 0, 1],
      [700, 1, 0],
    ],
  );
  entriesOf(second, seen);
  const whole = await getPass(daemon, `${guest}/htab`);
  assert.deepEqual(seen, entriesOf(recordsOf(whole.bytes)));
  assert.equal((await send('DELETE', location!)).status, 204);
  const gone = await send('GET', location!);
  assert.deepEqual([gone.status, gone.json.code], [404, 'htab-reader-not-found']);
  const other = await createGuest('other-reader');
  const { location: theirs } = await getPass(daemon, `${other}/htab?follow=true`);
  const id = theirs!.split('/').at(-1);
  assert.equal((await send('GET', `${guest}/htab/readers/${id}`)).status, 404);
});

test('readers are few, and end with their pass: read whole, or cut off by a client that goes away', async () => {
  const small = await createFull('few-readers', 18);
  const ids: string[] = [];
  while (ids.length < HTAB_READERS_MAX)
    ids.push((await getPass(daemon, `${small}/htab?follow=true`)).location!);
  const oneMore = await send('GET', `${small}/htab?follow=true`);
  assert.deepEqual([oneMore.status, oneMore.json.code], [409, 'htab-reader-limit']);
  for (const id of ids) assert.equal((await send('DELETE', id)).status, 204);
  assert.equal(await openReaders(small), 0);
  const guest = await createFull('readers', 24);
  for (const path of ['htab', 'htab?follow=true']) {
    const asked = request(`${daemon.url}${guest}/${path}`);
    asked.on('error', () => {});
    asked.end();
    await new Promise<void>((resolve) => {
      asked.on('response', (response) => {
        response.once('data', () => resolve());
      });
    });
    asked.destroy();
    await until('the reader is closed', async () => (await openReaders(guest)) === 0);
    await until('no stream is left', async () => (await send('GET', guest)).json.streams === 0);
  }
});

test('a client that stops reading is waited for, within bounds; nothing is lost', async () => {
  const guest = await createFull('slow', 24);
  const slow = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const asked = request(`${daemon.url}${guest}/htab`, (response) => {
      response.pause();
      setTimeout(() => response.resume(), 500);
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks)));
    });
    asked.on('error', reject);
    asked.end();
  });
  assert.deepEqual(slow, (await getPass(daemon, `${guest}/htab`)).bytes);
});

test('a table replaced in the middle of a pass, and a guest deleted, cut the pass short', async () => {
  for (const [name, replace] of [
    ['resized', (guest: string) => send('POST', `${guest}/control/HPT_RESET`, { order: 23 })],
    ['deleted', (guest: string) => send('DELETE', guest)],
  ] as const) {
    const guest = await createFull(name, 24);
    const cut = await new Promise<string>((resolve, reject) => {
      const asked = request(`${daemon.url}${guest}/htab`, (response) => {
        response.pause();
        response.on('end', () => resolve('whole'));
        response.on('error', () => resolve('cut'));
        replace(guest).then(() => response.resume(), reject);
      });
      asked.on('error', () => resolve('cut'));
      asked.end();
    });
    assert.equal(cut, 'cut', name);
  }
});

test('loading wants a paused guest and octets; what is wrong is told with record and byte', async () => {
  const guest = await createGuest('loaded');
  const bytes = Buffer.alloc(8 + 16 * 2);
  bytes.writeUInt32LE(40, 0);
  bytes.writeUInt16LE(2, 4);
  bytes.writeBigUInt64BE(0x1000n | 1n, 8);
  bytes.writeBigUInt64BE(0x10n, 16);
  const running = await putChunks(daemon, `${guest}/htab`, [bytes]);
  assert.deepEqual([running.status, running.json.code], [409, 'guest-state']);
  assert.match(String(running.json.detail), /"paused"/);
  await send('PATCH', guest, { state: 'paused' });
  const json = await send('PUT', `${guest}/htab`, {});
  assert.deepEqual([json.status, json.json.code], [415, 'unsupported-media-type']);
  // The second entry is zero: no VALID. An empty record comes before, so that it is record 1.
  const refused = await putChunks(
    daemon,
    `${guest}/htab`,
    chunksOf(Buffer.concat([Buffer.alloc(8), bytes]), [5]),
  );
  assert.deepEqual([refused.status, refused.json.code], [422, 'htab-invalid']);
  assert.match(String(refused.json.detail), /^record 1, byte 32: entry 0x29 is no entry/);
  assert.equal((await hash(guest)).validEntries, 1, 'what came before is loaded');
  const short = await putChunks(daemon, `${guest}/htab`, [bytes.subarray(0, 20)]);
  assert.deepEqual([short.status, short.json.code], [422, 'htab-invalid']);
  await send('PATCH', guest, { state: 'running' });
  assert.equal((await send('GET', guest)).json.streams, 0);
});

test('a guest that is let run while its table is loaded: the load stops and says so', async () => {
  const guest = await createGuest('interrupted', { state: 'paused' });
  const empty = Buffer.alloc(8);
  empty.writeUInt16LE(1000, 6);
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 400; i++) {
      yield Buffer.alloc(8 * 5000, empty);
      await sleep(5);
      if (i === 3) await send('PATCH', guest, { state: 'running' });
    }
  }
  const { status, json } = await putChunks(daemon, `${guest}/htab`, endless());
  assert.deepEqual([status, json.code], [409, 'guest-state']);
});
