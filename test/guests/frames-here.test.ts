/**
 * Frames of one short hcall that come alone: the main thread executes them itself where nothing is in the way. Whoever executes
 * them, a stream's answers come in the order of its frames.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import type { StreamEnd } from '../../src/guests/types.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { openLiveGuest } from '../failure/live-guest.ts';
import { config, enter, reads } from './configs.ts';

const HVLOCK = 0x40n;
const V = 0x4000_0000_0000_1001n;
const module = await compileEngine();

async function openStream(context: TestContext) {
  const pool = await startPool(module, 1);
  const { guest, view } = openLiveGuest(pool, config());
  context.after(async () => {
    await guest.finish({ kind: 'shutdown' }, 5000);
    await stopPool(pool);
  });
  const answers: AnswerRecord[] = [];
  const ends: StreamEnd[] = [];
  const wants = { more: true };
  const stream = guest.openStream('guest', {
    onAnswers(bytes) {
      answers.push(...decodeAnswers(bytes));
      return wants.more;
    },
    onEnd: (end) => void ends.push(end),
  });
  await guest.allPassed();
  const answered = async (count: number): Promise<void> => {
    while (answers.length < count) await new Promise(setImmediate);
  };
  return { guest, view, stream, answers, ends, wants, answered };
}

const one = (tag: number) => encodeRequests(reads(1, tag));
const tags = (answers: readonly AnswerRecord[]) => answers.map(({ tag }) => tag);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

test('a frame that comes alone is answered before execute returns', async (context) => {
  const { guest, stream, answers, view } = await openStream(context);
  const frame = encodeRequests([enter(7, 5n)]);
  assert.equal(stream.mayExecute(frame), true);
  assert.equal(stream.execute(frame), true);
  assert.deepEqual(answers, [{ tag: 7, status: 0, words: [5n] }]);
  assert.equal(view.entry(5n)[0], V);
  assert.deepEqual(
    guest.counters().map(({ records }) => records),
    [0, 1],
  );
});

test('not in front of frames that are under way', async (context) => {
  const { stream, answers, answered } = await openStream(context);
  let next = 0;
  // Whether a processor is about to publish when everything is consumed, only chance can tell.
  for (let round = 0; round < 3000; round++) {
    const count = 1 + (round % 8);
    assert.equal(stream.submit(encodeRequests(reads(count, next))), 'accepted');
    assert.equal(stream.execute(one(next + count)), false);
    next += count;
    for (let look = 0; look < 2000; look++) {
      if (!stream.mayExecute(one(next))) continue;
      assert.equal(stream.execute(one(next++)), true);
      break;
    }
    await answered(next);
    assert.equal(stream.execute(one(next++)), true);
  }
  assert.deepEqual(tags(answers), upTo(next));
});

test('not where a lock has to be waited for; then a processor waits', {
  timeout: 30_000,
}, async (context) => {
  const { stream, view, answers, answered } = await openStream(context);
  Atomics.or(view.entry(0n), 0, HVLOCK);
  assert.equal(stream.mayExecute(one(0)), true);
  assert.equal(stream.execute(one(0)), false);
  assert.deepEqual(answers, []);
  assert.equal(stream.submit(one(0)), 'accepted');
  assert.equal(stream.mayExecute(one(1)), false);
  Atomics.and(view.entry(0n), 0, ~HVLOCK);
  await answered(1);
  assert.equal(stream.execute(one(1)), true);
  assert.deepEqual(tags(answers), [0, 1]);
});

test('not while the guest is paused', async (context) => {
  const { guest, stream, answers, answered } = await openStream(context);
  const pausing = guest.changeState('paused');
  await Promise.resolve();
  assert.equal(stream.execute(one(0)), false);
  await pausing;
  assert.equal(stream.execute(one(0)), false);
  assert.equal(stream.submit(one(0)), 'accepted');
  await guest.allPassed();
  assert.deepEqual(answers, []);
  await guest.changeState('running');
  await answered(1);
  assert.equal(stream.execute(one(1)), true);
});

test('not while the guest is recorded; the recording has what came before and after it in the table only', async (context) => {
  const { guest, stream, answers, answered } = await openStream(context);
  assert.equal(stream.execute(encodeRequests([enter(0, 5n)])), true);
  const limits = { bytesMax: 2 ** 20, eventsMax: 1000, secondsMax: 60 };
  const { id } = await guest.recordings.start({ ordered: true, ...limits });
  assert.equal(stream.execute(one(1)), false);
  assert.equal(stream.submit(one(1)), 'accepted');
  await answered(2);
  const facts = await guest.recordings.end(id);
  // The entry that was there at its beginning, the read, the hash.
  assert.deepEqual([facts.lost, facts.tableHash, facts.events], [0, true, 3]);
  assert.equal(stream.execute(one(2)), true);
  assert.deepEqual(tags(answers), [0, 1, 2]);
});

test('not for a listener that wants no more, nor on a stream that ends', async (context) => {
  const { stream, answers, ends, wants } = await openStream(context);
  wants.more = false;
  assert.equal(stream.execute(one(0)), true);
  assert.equal(stream.mayExecute(one(1)), false);
  assert.equal(stream.execute(one(1)), false);
  stream.resume();
  assert.equal(stream.execute(one(1)), true);
  stream.resume();
  stream.refuse('enough');
  assert.equal(stream.execute(one(2)), false);
  assert.deepEqual(tags(answers), [0, 1]);
  while (ends.length === 0) await new Promise(setImmediate);
  assert.deepEqual(ends, [{ kind: 'malformed', reason: 'enough' }]);
});

test('an engine that breaks in the main thread ends the stream, and nothing is thrown', async (context) => {
  const { guest, stream, view, ends } = await openStream(context);
  const table = view.words(view.exports.TABLE_BASE!, 1);
  const whole = table[0]!;
  table[0] = (whole & ~0xffff_ffffn) | 0xffff_fff0n;
  assert.equal(stream.execute(one(0)), true);
  table[0] = whole;
  assert.equal(guest.status().state, 'failed');
  assert.equal(ends[0]?.kind, 'failed');
  assert.equal(stream.submit(one(1)), 'ended');
});
