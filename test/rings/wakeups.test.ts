/** Bells: no ring is lost, whether the other side sleeps, is about to, or is awake. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { GUESTS_MAX, STREAMS_PER_GUEST_MAX } from '../../schemas/limits.ts';
import {
  newBell,
  ringFor,
  ringsOf,
  streamNumber,
  takeNews,
  waking,
  wantWaking,
} from '../../src/rings/wakeups.ts';
import { seededRandom } from './random.ts';

const STREAMS = GUESTS_MAX * STREAMS_PER_GUEST_MAX;

test('every stream has a bit of its own, and news is taken once', () => {
  const bell = newBell();
  const numbers = new Set<number>();
  for (let guest = 0; guest < GUESTS_MAX; guest++) {
    for (let slot = 0; slot < STREAMS_PER_GUEST_MAX; slot++) {
      numbers.add(streamNumber(guest, slot));
      ringFor(bell, streamNumber(guest, slot));
    }
  }
  assert.equal(numbers.size, STREAMS);
  const taken: number[] = [];
  assert.equal(
    takeNews(bell, (stream) => taken.push(stream)),
    true,
  );
  assert.deepEqual(new Set(taken), numbers);
  assert.equal(taken.length, STREAMS);
  assert.equal(
    takeNews(bell, () => assert.fail('news twice')),
    false,
  );
});

test('two threads that wake each other lose nothing', { timeout: 60_000 }, async (context) => {
  const random = seededRandom(context);
  const bell = newBell();
  const mainBell = newBell();
  const worker = new Worker(new URL('./sleeper.ts', import.meta.url), {
    workerData: { bell, mainBell },
  });
  let answers = 0;
  for (let round = 0; round < 4000; round++) {
    const streams = new Set(
      Array.from({ length: 1 + random.below(3) }, () => 1 + random.below(STREAMS - 1)),
    );
    for (const stream of streams) ringFor(bell, stream);
    // Now and then let the other side fall asleep, or hit the moment at which it does.
    for (let spin = random.below(20_000); spin > 0; spin--) ringsOf(mainBell);
    while (streams.size > 0) {
      const seen = ringsOf(mainBell);
      const any = takeNews(mainBell, (stream) => {
        assert.ok(streams.delete(stream));
        answers++;
      });
      if (!any && wantWaking(mainBell, seen)) await waking(mainBell, seen);
    }
  }
  context.diagnostic(`${answers} answers`);
  const exit = once(worker, 'exit');
  ringFor(bell, 0);
  assert.deepEqual(await exit, [0]);
});
