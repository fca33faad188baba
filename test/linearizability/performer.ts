/**
 * A thread of the recorder: an engine of its own on the guest's memory. It executes its program call by call and takes a
 * stamp before and after each.
 *
 * The test build of the engine comes here at each of its yield points (src/engine/yield-point.ts). Mostly it goes on at
 * once; now and then it loses some time, or its core, in the middle of an hcall, with locks in hand. So calls overlap in
 * all their steps, also where two threads share one core.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import { openEngine } from '../../src/rings/engine.ts';
import type { EngineCalls } from '../../src/rings/engine.ts';
import { streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { CLOCK, ROUND } from './messages.ts';
import type { PerformerStart, Recording, Task } from './messages.ts';
import { below, openRandom } from './random.ts';

/** Of src/engine/yield-point.ts: about to look again at a lock that was taken. */
const AT_WAIT = 5;
/** One yield point in so many loses some time; one in so many of these its core. */
const STUMBLES = 64;
const FALLS = 6;
const STUMBLE_ROUNDS = 300;
const FALL_MILLIS = 0.02;
/** One attempt to take a lock in so many fails as if somebody had been faster. */
const FAILURES = 64;

const { module, memory, map, clock, thread, stumbling, seed } = workerData as PerformerStart;
const random = openRandom(seed);
/** Attempts of the call at hand that were made to fail. */
let failures = 0;
const nobody = new Int32Array(new SharedArrayBuffer(4));

const schedule = {
  yieldPoint(point: number): void {
    if (point === AT_WAIT) Atomics.wait(nobody, 0, 0, FALL_MILLIS);
    else if (below(random, STUMBLES) === 0) stumble();
  },
  attemptFails(): number {
    if (below(random, FAILURES) !== 0) return 0;
    failures++;
    return 1;
  },
};

function stumble(): void {
  if (below(random, FALLS) === 0) Atomics.wait(nobody, 0, 0, FALL_MILLIS);
  else for (let i = below(random, STUMBLE_ROUNDS); i > 0; i--) Atomics.load(nobody, 0);
}

const calls = stumbling
  ? (new WebAssembly.Instance(module, { env: { memory }, schedule })
      .exports as unknown as EngineCalls)
  : openEngine(module, memory).calls;
const stream = streamMemory(memory.buffer, map, thread);
const submission = openSubmissionRing(stream);
const completion = openCompletionRing(stream);
calls.beProcessor(thread);

function perform(task: Task): Recording {
  const total = task.calls.reduce((sum, count) => sum + count, 0);
  const invoked = new Int32Array(total);
  const responded = new Int32Array(total);
  const stumbles = new Uint8Array(total);
  const answers: Uint8Array[] = [];
  let call = 0;
  for (const [i, frame] of task.frames.entries()) {
    if (!putFrame(submission, frame)) throw new Error('the frame exceeds the credits');
    for (const end = call + task.calls[i]!; call < end; call++) {
      failures = 0;
      invoked[call] = Atomics.add(clock, CLOCK, 1);
      const outcome = calls.run(thread, 1);
      responded[call] = Atomics.add(clock, CLOCK, 1);
      stumbles[call] = Math.min(failures, 255);
      if ((outcome & map.RUN_BACKGROUND) !== 0) calls.backgroundSlice();
    }
    takeAnswers(answers);
  }
  return { invoked, responded, stumbles, answers: joined(answers) };
}

function takeAnswers(into: Uint8Array[]): void {
  for (let taken = takeCompletions(completion); taken !== undefined; ) {
    if (!(taken instanceof Uint8Array)) throw new Error(`fault ${taken.fault} at ${taken.offset}`);
    into.push(taken);
    taken = takeCompletions(completion);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

parentPort!.on('message', (task: Task) => {
  parentPort!.postMessage('ready');
  while (Atomics.load(clock, ROUND) !== task.round);
  parentPort!.postMessage(perform(task));
});
