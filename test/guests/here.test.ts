/**
 * Single hcalls of REST: the main thread executes them itself where nothing is in the way, and hands them to a processor where
 * something is. Whoever executes them, order, pauses, recordings and deaths are as everywhere.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import { operationByName } from '../../schemas/operations.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { openLiveGuest } from '../failure/live-guest.ts';
import { config, enter, reads } from './configs.ts';

const HVLOCK = 0x40n;
const IN_USE = 1n << 63n;
const V = 0x4000_0000_0000_1001n;
const PROCESSORS = 2;
const module = await compileEngine();

async function openGuest(context: TestContext) {
  const pool = await startPool(module, PROCESSORS);
  const { guest, view } = openLiveGuest(pool, config());
  context.after(async () => {
    await guest.finish({ kind: 'shutdown' }, 5000);
    await stopPool(pool);
  });
  return { pool, guest, view };
}

type Opened = Awaited<ReturnType<typeof openGuest>>;

const read = (ptex: bigint): RequestRecord => ({ opcode: 0x0c, tag: 0, words: [0n, ptex] });
const hcall = (name: string, ...words: bigint[]): RequestRecord => ({
  opcode: operationByName(name)!.opcode,
  tag: 0,
  words,
});

function atOnce(answer: AnswerRecord | Promise<AnswerRecord>): AnswerRecord {
  assert.ok(!(answer instanceof Promise), 'a processor was asked');
  return answer;
}

function later(answer: AnswerRecord | Promise<AnswerRecord>): Promise<AnswerRecord> {
  assert.ok(answer instanceof Promise, 'the main thread executed it');
  return answer;
}

/** Locks an entry as a processor does that stops right there. Gives how to let go of it. */
function holdEntry({ view }: Opened, processor: number, ptex: bigint): () => void {
  const { PROCESSORS: blocks, PROCESSOR_BYTES, JOURNAL, TABLE_BASE } = view.exports;
  const record = view.words(blocks! + PROCESSOR_BYTES! * processor + JOURNAL!, 2);
  record[1] = view.entry(ptex)[0]!;
  record[0] = BigInt(view.word32(TABLE_BASE!) + Number(ptex) * 16) | IN_USE;
  Atomics.or(view.entry(ptex), 0, HVLOCK);
  return () => {
    Atomics.and(view.entry(ptex), 0, ~HVLOCK);
    record[0] = 0n;
  };
}

test('short hcalls are answered in the same turn, long ones by a processor, and all are counted', async (context) => {
  const { guest } = await openGuest(context);
  assert.equal(atOnce(guest.runOne(enter(1, 5n))).status, 0);
  assert.deepEqual(atOnce(guest.runOne(read(5n))).words, [V, 0x190n]);
  assert.equal((await later(guest.runOne(hcall('H_CLEAR_HPT')))).status, 0);
  assert.deepEqual(atOnce(guest.runOne(read(5n))).words[0], 0n);
  const records = guest.counters().map((one) => one.records);
  assert.deepEqual([records.length, records[PROCESSORS]], [PROCESSORS + 1, 3]);
  const counted = guest.answers().map(({ hcall: name, count }) => [name, count]);
  assert.deepEqual(Object.fromEntries(counted), { H_CLEAR_HPT: 1, H_ENTER: 1, H_READ: 2 });
});

test('what is behind a call that waits is executed behind it', {
  timeout: 30_000,
}, async (context) => {
  const opened = await openGuest(context);
  const { guest } = opened;
  const letGo = holdEntry(opened, PROCESSORS + 1, 5n);
  const entering = later(guest.runOne(enter(1, 5n)));
  // Of another entry, whose lock is free.
  const reading = later(guest.runOne(read(9n)));
  const done: string[] = [];
  void entering.then(() => done.push('entering'));
  void reading.then(() => done.push('reading'));
  letGo();
  assert.equal((await entering).status, 0);
  await reading;
  assert.deepEqual(done, ['entering', 'reading']);
  assert.deepEqual(atOnce(guest.runOne(read(5n))).words, [V, 0x190n]);
});

test('a lock that a dead processor left: its successor frees it, and the hcall is answered', {
  timeout: 30_000,
}, async (context) => {
  const opened = await openGuest(context);
  const { guest, pool } = opened;
  const listener = { onAnswers: () => true, onEnd: () => {} };
  const streams = pool.processors.map(() => guest.openStream('guest', listener));
  await guest.allPassed();
  assert.deepEqual(
    streams.map(({ processor }) => processor),
    [0, 1],
  );
  holdEntry(opened, 1, 5n);
  const entering = later(guest.runOne(enter(1, 5n)));
  await pool.processors[1]!.worker.terminate();
  assert.equal((await entering).status, 0);
  assert.deepEqual(atOnce(guest.runOne(read(5n))).words, [V, 0x190n]);
});

test('a paused guest refuses, one that migrates does not', async (context) => {
  const { guest } = await openGuest(context);
  const pausing = guest.changeState('paused');
  await Promise.resolve();
  await assert.rejects(later(guest.runOne(read(0n))), { code: 'guest-paused' });
  await pausing;
  await assert.rejects(later(guest.runOne(read(0n))), { code: 'guest-paused' });
  await guest.changeState('running');
  atOnce(guest.runOne(read(0n)));
  await guest.changeState('migrating');
  atOnce(guest.runOne(read(0n)));
});

for (const ordered of [true, false]) {
  test(`a recording ${ordered ? 'in turns' : 'without turns'} has every call`, async (context) => {
    const { guest } = await openGuest(context);
    atOnce(guest.runOne(enter(1, 5n)));
    const limits = { bytesMax: 2 ** 20, eventsMax: 1000, secondsMax: 60 };
    const starting = guest.recordings.start({ ordered, ...limits });
    const during = await guest.runOne(enter(2, 13n));
    const { id } = await starting;
    assert.equal((await later(guest.runOne(read(5n)))).status, 0);
    const facts = await guest.recordings.end(id);
    assert.equal(during.status, 0);
    // What is in the table at its beginning, the read, the hash, and the call that came while it began: before or after.
    assert.deepEqual([facts.lost, facts.tableHash, facts.events], [0, true, 4]);
    atOnce(guest.runOne(read(5n)));
  });
}

test('an engine that breaks in the main thread fails its guest, and nobody else', async (context) => {
  const { guest, view } = await openGuest(context);
  const table = view.words(view.exports.TABLE_BASE!, 1);
  const whole = table[0]!;
  table[0] = (whole & ~0xffff_ffffn) | 0xffff_fff0n;
  assert.throws(() => guest.runOne(read(0n)), /memory access out of bounds/);
  table[0] = whole;
  assert.equal(guest.status().state, 'failed');
  await assert.rejects(later(guest.runOne(read(0n))), { code: 'guest-failed' });
  await assert.rejects(guest.run(reads(1)), { code: 'guest-failed' });
});
