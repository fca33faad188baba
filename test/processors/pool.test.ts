/** Processors: fair between streams; one that dies has a successor, one that dies again and again is given up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import { guestsOn } from '../../src/guests/registry.ts';
import type { StreamEnd } from '../../src/guests/types.ts';
import { attachGuest, startPool, stopPool } from '../../src/processors/pool.ts';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import { compileEngine, guestMemory, openEngine } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { ringForMail, streamNumber } from '../../src/rings/wakeups.ts';
import { config, enter, reads } from '../guests/configs.ts';

const module = await compileEngine();
const log = pino({ level: 'silent' });

test('a stream with one call waits for one short turn of a stream with thousands', async (context) => {
  const pool = await startPool(module, 1);
  context.after(() => stopPool(pool));
  const processor = pool.processors[0]!;
  const memory = guestMemory();
  const { calls, map } = openEngine(module, memory);
  calls.startGuest(memory.buffer.byteLength, 2n ** 30n, 16, 0);
  assert.equal(calls.addMemslot(0n, 2n ** 30n, map.MEMSLOT_RAM, 24, 0), 1);
  assert.equal(calls.openTable(18), 1);
  const [greedy, modest] = [0, 1].map((slot) => {
    const stream = streamMemory(memory.buffer, map, slot);
    resetStream(stream, false);
    return { submission: openSubmissionRing(stream), completion: openCompletionRing(stream) };
  });
  assert.ok(putFrame(greedy!.submission, encodeRequests(reads(10_000))));
  assert.ok(putFrame(modest!.submission, encodeRequests([enter(0, 0n)])));
  attachGuest(processor, 0, memory, map);
  // Both are made known before the bell rings, so that the processor has two streams to choose from.
  for (const slot of [0, 1]) {
    processor.worker.postMessage({
      kind: 'attach-stream',
      stream: streamNumber(0, slot),
      guest: 0,
      slot,
    });
  }
  ringForMail(processor.bell);
  const answers = await gather(greedy!.completion, 10_000);
  const [entered] = await gather(modest!.completion, 1);
  assert.equal(entered!.status, 0);
  const before = answers.findIndex(({ words }) => words[0] !== 0n);
  assert.equal(
    before,
    256,
    'reads that were executed before the other stream entered what they read',
  );
});

async function gather(ring: ReturnType<typeof openCompletionRing>, count: number) {
  const answers: ReturnType<typeof decodeAnswers> = [];
  while (answers.length < count) {
    const taken = takeCompletions(ring);
    if (taken instanceof Uint8Array) answers.push(...decodeAnswers(taken));
    else await new Promise(setImmediate);
  }
  return answers;
}

test('a processor that dies again and again is given up: its guests fail and the others go on', {
  timeout: 20_000,
}, async (context) => {
  const pool = await startPool(module, 2);
  const guests = guestsOn(pool, module, log);
  context.after(() => guests.close());
  const [hit, spared] = await Promise.all([
    guests.create('hit', config()),
    guests.create('spared', config()),
  ]);
  const end = Promise.withResolvers<StreamEnd>();
  const other = Promise.withResolvers<StreamEnd>();
  const streams = [
    hit.openStream('guest', { onAnswers: () => true, onEnd: end.resolve }),
    spared.openStream('guest', { onAnswers: () => true, onEnd: other.resolve }),
  ];
  assert.deepEqual(
    streams.map(({ processor }) => processor),
    [0, 1],
  );
  const doomed = pool.processors[0]!;
  for (let lives = 0; lives < 50 && doomed.alive; lives++) {
    await doomed.worker.terminate();
    await new Promise(setImmediate);
  }

  const ended = await end.promise;
  assert.equal(ended.kind, 'failed');
  assert.equal(hit.status().state, 'failed');
  assert.equal(streams[0]!.submit(encodeRequests(reads(1))), 'ended');
  await assert.rejects(hit.run(reads(1)), { code: 'guest-failed' });
  assert.throws(() => hit.openStream('guest', { onAnswers: () => true, onEnd: () => {} }), {
    code: 'guest-failed',
  });

  assert.equal(spared.status().state, 'running');
  assert.equal((await spared.run(reads(3))).length, 3);
  assert.equal(spared.openStream('guest', { onAnswers: () => true, onEnd: () => {} }).processor, 1);

  await guests.remove('hit');
  const again = await guests.create('hit', config());
  assert.equal((await again.run(reads(3))).length, 3);
  await guests.close();
  assert.deepEqual(await other.promise, { kind: 'shutdown' });
});
