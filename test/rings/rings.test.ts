/** Both rings of a stream, with the real engine on the same thread: every frame size, wrap and stall comes up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CREDIT_BYTES, FRAME_BYTES_MAX, FRAME_OVERHEAD_BYTES } from '../../schemas/limits.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import {
  dropCompletions,
  isEverythingTaken,
  openCompletionRing,
  takeCompletions,
} from '../../src/rings/completion.ts';
import { compileEngine, guestMemory, openEngine } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { bytesInFlight, openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { seededRandom } from './random.ts';

const H_READ = 0x0c;
const module = await compileEngine();

function openStream(slot = 0) {
  const memory = guestMemory();
  const engine = openEngine(module, memory);
  engine.calls.startGuest(memory.buffer.byteLength, 0n, 16, 0);
  assert.equal(engine.calls.openTable(18), 1);
  engine.calls.beProcessor(0);
  const stream = streamMemory(memory.buffer, engine.map, slot);
  resetStream(stream, false);
  return {
    ...engine,
    slot,
    submission: openSubmissionRing(stream),
    completion: openCompletionRing(stream),
  };
}

function reads(first: number, count: number, explain: boolean): RequestRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    opcode: H_READ,
    tag: first + i,
    words: [0n, 1n],
    explain,
  }));
}

function answersOf(taken: ReturnType<typeof takeCompletions>) {
  assert.ok(taken instanceof Uint8Array);
  return decodeAnswers(taken);
}

test('random frames, quanta and takes: every record is answered once and in order, around the rings many times', (context) => {
  const random = seededRandom(context);
  const { calls, map, slot, submission, completion } = openStream(random.below(128));
  const done = { sent: 0, answered: 0, bytesPut: 0, refused: 0, stalls: 0 };
  const put = (): void => {
    const explain = random.below(3) === 0;
    const most = FRAME_BYTES_MAX / 24;
    const frame = encodeRequests(
      reads(done.sent, 1 + random.below(random.below(2) === 0 ? 8 : most), explain),
    );
    const inFlight = bytesInFlight(submission);
    if (putFrame(submission, frame)) {
      done.sent += frame.byteLength / 24;
      done.bytesPut += frame.byteLength;
    } else {
      done.refused++;
      assert.ok(inFlight + frame.byteLength + FRAME_OVERHEAD_BYTES > CREDIT_BYTES);
    }
  };
  const take = (): void => {
    const taken = takeCompletions(completion);
    if (taken === undefined) return;
    for (const { tag, status } of answersOf(taken))
      assert.deepEqual([tag, status], [done.answered++, 0]);
  };
  while (done.bytesPut < 24 * 1024 * 1024) {
    for (let i = random.below(4); i > 0; i--) put();
    for (let i = random.below(6); i > 0; i--) {
      if ((calls.run(slot, 1 + random.below(5000)) & map.RUN_STALLED) !== 0) done.stalls++;
    }
    for (let i = random.below(12); i > 0; i--) take();
  }
  while (done.answered < done.sent) {
    calls.run(slot, 1 + random.below(5000));
    take();
  }
  assert.equal(takeCompletions(completion), undefined);
  assert.equal(bytesInFlight(submission), 0);
  assert.ok(
    done.refused > 0 && done.stalls > 0,
    `credits refused ${done.refused} frames, ${done.stalls} runs stalled`,
  );
});

test('everything is taken when nothing waits, and nothing is gathered that is not published', () => {
  const { calls, submission, completion } = openStream();
  const { block, at } = submission.memory;
  assert.equal(isEverythingTaken(completion), true);
  putFrame(submission, encodeRequests(reads(0, 3, false)));
  calls.run(0, 3);
  assert.equal(isEverythingTaken(completion), false);
  dropCompletions(completion);
  assert.equal(isEverythingTaken(completion), true);
  // As while a processor is about to publish, or died there.
  const gathered = Atomics.add(block, at.answeredTo, 24);
  assert.equal(isEverythingTaken(completion), false);
  Atomics.store(block, at.answeredTo, gathered);
  assert.equal(isEverythingTaken(completion), true);
});

test('heads and tails wrap at 2^32', () => {
  const { calls, submission, completion } = openStream();
  const stream = submission.memory;
  const near = (2 ** 32 - 1024 * 1024) | 0;
  for (const index of [
    'submissionHead',
    'consumed',
    'submissionTail',
    'completionTail',
    'completionHead',
  ] as const) {
    Atomics.store(stream.block, stream.at[index], near);
  }
  // What only the engine reads: how far it got before a processor died.
  const { EXECUTED_TO, ANSWERED_TO } = calls as unknown as Record<string, { value: number }>;
  for (const address of [EXECUTED_TO!, ANSWERED_TO!]) {
    Atomics.store(stream.block, address.value >> 2, near);
  }
  submission.tail = near;
  submission.submitted = near;
  completion.head = near;
  for (let frame = 0; frame < 40; frame++) {
    assert.ok(putFrame(submission, encodeRequests(reads(frame * 5000, 5000, false))));
    calls.run(0, 5000);
    let count = 0;
    for (
      let taken = takeCompletions(completion);
      taken !== undefined;
      taken = takeCompletions(completion)
    ) {
      for (const { tag } of answersOf(taken)) assert.equal(tag, frame * 5000 + count++);
    }
    assert.equal(count, 5000);
    assert.equal(bytesInFlight(submission), 0);
    assert.equal(isEverythingTaken(completion), true);
  }
});

test('a frame that does not fit the credits is not taken, and fits once earlier frames are answered', () => {
  const { calls, submission, completion } = openStream();
  const half = encodeRequests(
    reads(0, Math.floor((CREDIT_BYTES / 2 - FRAME_OVERHEAD_BYTES) / 24), false),
  );
  assert.equal(putFrame(submission, half), true);
  assert.equal(putFrame(submission, half), true);
  assert.equal(putFrame(submission, half), false);
  calls.run(0, 1);
  assert.equal(
    putFrame(submission, half),
    false,
    'a frame counts until its last record is answered',
  );
  calls.run(0, half.byteLength / 24);
  assert.equal(putFrame(submission, half), true);
  dropCompletions(completion);
});

const MALFORMED: readonly [
  string,
  Uint8Array,
  number,
  'FAULT_LENGTH' | 'FAULT_VERSION' | 'FAULT_COUNT',
][] = [
  ['an empty frame', new Uint8Array(0), 0, 'FAULT_LENGTH'],
  [
    'a frame that ends inside a header',
    encodeRequests(reads(0, 2, false)).subarray(0, 28),
    24,
    'FAULT_LENGTH',
  ],
  [
    'a frame that ends inside a word',
    encodeRequests(reads(0, 2, false)).subarray(0, 43),
    24,
    'FAULT_LENGTH',
  ],
  [
    'a frame that ends between words',
    encodeRequests(reads(0, 2, false)).subarray(0, 40),
    24,
    'FAULT_LENGTH',
  ],
  ['a record of version 2', altered(27, 0x20), 24, 'FAULT_VERSION'],
  ['a record with too many words', tooManyWords(), 24, 'FAULT_COUNT'],
];

function altered(at: number, value: number): Uint8Array {
  const frame = encodeRequests(reads(0, 2, false));
  frame[at] = value;
  return frame;
}

function tooManyWords(): Uint8Array {
  return encodeRequests([...reads(0, 1, false), { opcode: H_READ, tag: 1, words: [0n, 1n, 2n] }]);
}

for (const [name, frame, offset, fault] of MALFORMED) {
  test(`${name} is refused whole, after the frames before it`, () => {
    const { calls, map, submission, completion } = openStream();
    assert.ok(putFrame(submission, encodeRequests(reads(7, 3, false))));
    assert.ok(putFrame(submission, frame));
    assert.ok(putFrame(submission, encodeRequests(reads(10, 3, false))));
    assert.equal(calls.run(0, 100) & 0xffffff, 3);
    assert.deepEqual(
      answersOf(takeCompletions(completion)).map(({ tag }) => tag),
      [7, 8, 9],
    );
    assert.deepEqual(takeCompletions(completion), { fault: map[fault], offset });
    assert.equal(takeCompletions(completion), undefined);
    assert.equal(calls.run(0, 100), 0);
  });
}
