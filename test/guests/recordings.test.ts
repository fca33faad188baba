/** Recordings: their limits, what they lose and say, and the states that they are in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import { operationByName } from '../../schemas/operations.ts';
import type { ProblemCode } from '../../schemas/problems.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { recordingBody } from '../../schemas/recordings.ts';
import { type GuestBounds, guestsOn } from '../../src/guests/registry.ts';
import type { Guest, Guests } from '../../src/guests/types.ts';
import { openMerge } from '../../src/guests/recording/merge.ts';
import { startPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { config, enter, reads } from './configs.ts';

const module = await compileEngine();
const defaults = recordingBody.parse({});

async function openAll(context: TestContext, bounds: GuestBounds = {}): Promise<Guests> {
  const guests = guestsOn(await startPool(module, 2), module, pino({ level: 'silent' }), bounds);
  context.after(() => guests.close());
  return guests;
}

const openGuest = async (context: TestContext, bounds: GuestBounds = {}): Promise<Guest> =>
  (await openAll(context, bounds)).create('g', config());

/** Fails after a long time; it is no measure of anything. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 600, `never: ${what}`);
    await sleep(50);
  }
}

function linesOf(guest: Guest, id: string): Record<string, unknown>[] {
  return gunzipSync(Buffer.concat(guest.recordings.file(id)))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const control = (name: string, ...words: bigint[]): RequestRecord => ({
  opcode: operationByName(name)!.opcode,
  tag: 0,
  words,
});

const refused = (code: ProblemCode) => ({ name: 'ProblemError', code });

test('calls of REST are recorded, what only looks is not', async (context) => {
  const guest = await openGuest(context);
  await guest.run([enter(1, 8n)]);
  const { id } = await guest.recordings.start(defaults);
  await guest.run([enter(2, 16n), ...reads(1), control('ENTRY_INSPECT', 8n)]);
  await guest.run([control('HOST_AGE', 0x1000n), control('HOST_AGE', 1n << 40n)]);
  await guest.recordings.end(id);
  const [header, ...events] = linesOf(guest, id);
  assert.equal(header!['format'], 'hpt-trace/1');
  assert.equal(header!['htabOrder'], 18);
  assert.deepEqual(
    events.map(({ op }) => op),
    ['H_ENTER', 'H_ENTER', 'H_READ', 'HOST_AGE', 'TABLE_HASH', 'END'],
  );
  assert.deepEqual(events[0]!['out'], ['0x8']);
  assert.equal(events.length - 1, header!['events']);
});

test('a limit of events ends it: the file is whole up to there, and what came after is counted', async (context) => {
  const guest = await openGuest(context);
  const { id } = await guest.recordings.start({ ...defaults, eventsMax: 3 });
  await guest.run(reads(10));
  const facts = await guest.recordings.end(id);
  assert.equal(facts.end, 'events');
  assert.equal(facts.events, 3);
  assert.equal(facts.lost, 7);
  assert.equal(facts.tableHash, false);
  const lines = linesOf(guest, id);
  assert.equal(lines.length, 5);
  assert.deepEqual(lines.at(-1), { op: 'END', order: 18, lost: 7, ended: 'events' });
  assert.equal(lines[0]!['lost'], 7);
});

test('a limit of time ends it by itself, with a hash: nothing is lost', async (context) => {
  const guest = await openGuest(context);
  const { id } = await guest.recordings.start({ ...defaults, secondsMax: 1 });
  const facts = () => guest.recordings.facts(id);
  let made = 0;
  for (; facts().state === 'recording'; made++) await guest.run(reads(1));
  await until('ended', () => facts().state === 'ended');
  assert.equal(facts().end, 'time');
  assert.deepEqual([facts().lost, facts().tableHash], [0, true]);
  const ops = linesOf(guest, id).map(({ op }) => op);
  assert.deepEqual(ops.slice(-2), ['TABLE_HASH', 'END']);
  // The last one may have been made when it had ended.
  assert.ok(made - (ops.length - 3) <= 1, `${made} made, ${ops.length - 3} recorded`);
  // The guest is as before.
  await guest.run(reads(1));
  assert.equal(linesOf(guest, id).length, ops.length);
});

test('a thread that cannot follow ends it: what is missing is counted, and the guest goes on', async (context) => {
  const guest = await openGuest(context, { recordingBacklogBytesMax: 40_000 });
  const { id } = await guest.recordings.start(defaults);
  const READS = 5000;
  let made = 0;
  while (guest.recordings.facts(id).state === 'recording') {
    // All at once: the thread has little time in between.
    assert.equal((await guest.run(reads(READS))).length, READS);
    made += READS;
    assert.ok(made < 5_000_000, 'it follows for ever');
  }
  await until('ended', () => guest.recordings.facts(id).state === 'ended');
  const facts = guest.recordings.facts(id);
  assert.equal(facts.end, 'backlog');
  assert.equal(facts.tableHash, false);
  assert.ok(facts.lost > 0);
  assert.match(facts.notes.join(), new RegExp(`${facts.lost} records .* are not in the file`));
  const lines = linesOf(guest, id);
  assert.deepEqual(lines.at(-1), { op: 'END', order: 18, lost: facts.lost, ended: 'backlog' });
  assert.equal(lines.length, facts.events + 2);
  // Whole up to there, and no more executed than was asked.
  assert.ok(facts.events + facts.lost <= made, JSON.stringify(facts));
  assert.ok(lines.slice(1, -1).every(({ op }) => op === 'H_READ'));
});

test('recordings of all guests share one limit: going on they count with what they may come to', async (context) => {
  const MIB = 2 ** 20;
  const bounds = { recordingsBytesMax: 5 * MIB, recordingBacklogBytesMax: MIB };
  const guests = await openAll(context, bounds);
  const [g, h] = [await guests.create('g', config()), await guests.create('h', config())];
  const options = { ...defaults, bytesMax: 2 * MIB };
  await assert.rejects(
    g.recordings.start({ ...options, bytesMax: 4 * MIB + 1 }),
    refused('recording-memory'),
  );
  const starting = g.recordings.start(options);
  // It counts from the moment that it was asked for.
  await assert.rejects(h.recordings.start(options), refused('recording-memory'));
  const { id } = await starting;
  await assert.rejects(h.recordings.start(options), refused('recording-memory'));
  assert.equal((await h.recordings.start({ ...options, bytesMax: MIB })).state, 'recording');
  h.recordings.remove('1');
  await g.recordings.end(id);
  // Its file is small.
  assert.equal((await h.recordings.start(options)).state, 'recording');
  await assert.rejects(g.recordings.start(options), refused('recording-memory'));
  await guests.remove('h');
  assert.equal((await g.recordings.start(options)).state, 'recording');
});

test('what the format has no event for ends it, and says so', async (context) => {
  const guest = await openGuest(context);
  const { id } = await guest.recordings.start(defaults);
  await guest.run(reads(1));
  await guest.run([control('MEMSLOT_ADD', 5n, 1n << 32n, 1n << 24n, 1n, 24n)]);
  await guest.run(reads(1));
  const facts = await guest.recordings.end(id);
  assert.equal(facts.end, 'not-recordable');
  assert.equal(facts.events, 1);
  assert.match(facts.notes.join(), /MEMSLOT_ADD/);
});

test('one at a time, four at most, each forgotten when it is deleted', async (context) => {
  const { recordings } = await openGuest(context);
  for (let i = 0; i < 4; i++) {
    const { id } = await recordings.start(defaults);
    await assert.rejects(recordings.start(defaults), refused('recording-running'));
    assert.throws(() => recordings.file(id), refused('recording-running'));
    await recordings.end(id);
  }
  await assert.rejects(recordings.start(defaults), refused('recording-limit'));
  recordings.remove('2');
  assert.throws(() => recordings.file('2'), refused('recording-not-found'));
  const { id } = await recordings.start(defaults);
  assert.equal(id, '5');
  // Deleted while it goes on: the guest is as before.
  recordings.remove(id);
  assert.equal((await recordings.start(defaults)).state, 'recording');
});

test('a guest that is paused stays so, and one that is recorded can be paused', async (context) => {
  const guest = await openGuest(context);
  await guest.changeState('paused');
  const { id } = await guest.recordings.start(defaults);
  assert.equal(guest.status().state, 'paused');
  await assert.rejects(guest.run(reads(1)), refused('guest-paused'));
  await guest.changeState('running');
  await guest.run(reads(1));
  await guest.changeState('paused');
  assert.equal((await guest.recordings.end(id)).tableHash, true);
  await guest.changeState('running');
  assert.equal((await guest.run(reads(1))).length, 1);
});

test('a processor that dies in its turn holds nobody up, and the recording says so', async (context) => {
  const pool = await startPool(module, 2);
  const guests = guestsOn(pool, module, pino({ level: 'silent' }));
  context.after(() => guests.close());
  const guest = await guests.create('g', config());
  const { id } = await guest.recordings.start(defaults);
  const busy = Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let i = 0; i < 40; i++) await guest.run(reads(200));
    }),
  );
  for (const { worker } of pool.processors) {
    await guest.run(reads(1));
    await worker.terminate();
  }
  await busy;
  const facts = await guest.recordings.end(id);
  assert.equal(facts.ordered, false);
  assert.match(facts.notes.join(), /processor 0 died/);
  assert.equal(facts.events, 4 * 40 * 200 + 2 + 1);
  assert.equal(linesOf(guest, id)[0]!['ordered'], false);
});

test('items are put into the order of their stamps, over the end of 24 bits', () => {
  const seen: string[] = [];
  const merge = openMerge<string>(0xff_fffe, (item) => seen.push(item));
  merge.add(0xff_fffd, 'from before');
  merge.add(0, 'c');
  merge.add(0xff_ffff, 'b');
  assert.deepEqual(seen, []);
  merge.add(0xff_fffe, 'a');
  assert.deepEqual(seen, ['a', 'b', 'c']);
  assert.equal(merge.waiting(), 0);
});
