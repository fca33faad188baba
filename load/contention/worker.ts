/**
 * A thread of the contention profile: an engine of its own on the shared memory, with the rings of one stream. It
 * executes one frame over and over; the measured thread counts answers too, and says when all are to stop.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { encodeRequests } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import {
  dropCompletions,
  openCompletionRing,
  takeCompletions,
} from '../../src/rings/completion.ts';
import { openEngine, type EngineCalls } from '../../src/rings/engine.ts';
import { streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { CONTROL, COUNTED_TAG, type Tally, type WorkerStart } from './messages.ts';

const QUANTUM = 0xffffff;
/** Of src/engine/yield-point.ts. */
const AT_LOCK = 1;
const AT_SLOT = 14;
/** Long enough for an entry to hop. */
const SLOW_ROUNDS = 50;

const start = workerData as WorkerStart;
const { control, worker } = start;
const calls = start.slowScan ? openSlowEngine() : openEngine(start.module, start.memory).calls;
const rings = streamMemory(start.memory.buffer, start.map, worker);
const submission = openSubmissionRing(rings);
const completion = openCompletionRing(rings);
const frame = encodeRequests(start.records);
calls.beProcessor(worker);

/** The test build stops at each step of a protocol: at those that look at a slot it is made to lose time. */
function openSlowEngine(): EngineCalls {
  const schedule = {
    yieldPoint(point: number): void {
      if (point !== AT_SLOT && point !== AT_LOCK) return;
      for (let i = 0; i < SLOW_ROUNDS; i++) Atomics.load(control, CONTROL.stop);
    },
    attemptFails: () => 0,
  };
  const imports = { env: { memory: start.memory }, schedule };
  return new WebAssembly.Instance(start.module, imports).exports as unknown as EngineCalls;
}

function execute(): void {
  if (!putFrame(submission, frame)) throw new Error('the frame exceeds the credits');
  calls.run(worker, QUANTUM);
}

/** H_PTEG_FULL among the counted answers; anything but that and success is a fault of the scenario. */
function countFull(): number {
  let full = 0;
  for (
    let taken = takeCompletions(completion);
    taken !== undefined;
    taken = takeCompletions(completion)
  ) {
    if (!(taken instanceof Uint8Array)) throw new Error(`fault ${taken.fault} at ${taken.offset}`);
    const view = new DataView(taken.buffer, taken.byteOffset, taken.byteLength);
    for (let at = 0; at < taken.byteLength; at += 8 + 8 * view.getUint16(at + 2, true)) {
      if (view.getUint32(at + 4, true) !== COUNTED_TAG) continue;
      const status = view.getInt16(at, true);
      if (status === STATUSES.H_PTEG_FULL) full++;
      else if (status !== STATUSES.H_SUCCESS) throw new Error(`H_ENTER answered ${status}`);
    }
  }
  return full;
}

/**
 * Executes frames until the time is over or enough calls were made. A frame counts if the second thread finished
 * frames meanwhile: on a machine that does something else too, it is often not on a core, and nothing is contended.
 */
function measure({ millis: most, calls: enough }: NonNullable<WorkerStart['until']>): Tally {
  const callsInFrame = start.records.filter(({ tag }) => tag === COUNTED_TAG).length;
  const other = CONTROL.frames + 1;
  const from = performance.now();
  let now = from;
  let counted = 0;
  let falseFull = 0;
  let millis = 0;
  while (counted < enough && now - from < most) {
    const before = now;
    const framesBefore = Atomics.load(control, other);
    execute();
    const full = countFull();
    const contended = Atomics.load(control, other) !== framesBefore;
    now = performance.now();
    if (!contended && full === 0) continue;
    falseFull += full;
    counted += callsInFrame;
    millis += now - before;
    Atomics.store(control, CONTROL.calls, counted);
  }
  return { calls: counted, falseFull, millis };
}

Atomics.add(control, CONTROL.ready, 1);
// Nobody sleeps: who wakes late would leave the measured thread alone for a while.
while (Atomics.load(control, CONTROL.go) === 0);

if (start.until === undefined) {
  for (let frames = 1; Atomics.load(control, CONTROL.stop) === 0; frames++) {
    execute();
    dropCompletions(completion);
    Atomics.store(control, CONTROL.frames + worker, frames);
  }
  parentPort!.postMessage(undefined);
} else {
  try {
    parentPort!.postMessage(measure(start.until));
  } finally {
    Atomics.store(control, CONTROL.stop, 1);
  }
}
