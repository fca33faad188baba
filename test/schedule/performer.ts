/**
 * One thread of a schedule: an instance of the engine's test build that stops at each yield point, says where it stands,
 * and goes on when it has the baton.
 */
import {
  ANSWERS,
  BEGAN,
  BLOCKED,
  CALLS_MAX,
  COMPLETE,
  CRASHED,
  DEADLOCK,
  DEVIATIONS,
  DEVIATION_AT,
  DEVIATION_LIST,
  DIVERGED,
  ENDED,
  ENDLESS,
  FAILURES,
  FINISHED,
  FREED,
  FREED_TOO_SOON,
  GOING,
  NOT_BEGUN,
  OUTCOME,
  POINT,
  QUIT,
  ROUNDS,
  SEEN,
  STEPS,
  STEPS_BACK,
  STEPS_MAX,
  STRICT,
  THREADS,
  TRACE_BYTES,
  WATCHED_SLOTS,
  allFinished,
  giveBaton,
  nextOf,
  runnable,
  takeBaton,
} from './stage.ts';
import type { Stage } from './stage.ts';

/** Of src/engine/yield-point.ts. */
const AT_WAIT = 5;
const AT_ANSWER = 19;
/** Bits of dword 0. */
const VALID = 0x01;
const HVLOCK = 0x40;
/** Vain rounds of looks before it is a deadlock: a look may end at another place to wait. */
const ROUNDS_MAX = 3;

/** Where the engine keeps what is watched. */
export interface Watched {
  /** Address of the table. */
  readonly table: number;
  /** Address of the thread's count of tlbie. */
  readonly tlbie: number;
}

export interface Part {
  readonly thread: number;
  readonly stage: SharedArrayBuffer;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly watched: Watched;
  /** It is as the main thread: where it would wait it takes the call back, and a processor executes it. */
  readonly neverWaits: boolean;
}

interface YieldEngine {
  beProcessor(index: number): void;
  neverWait(): void;
  stepBack(): number;
  run(stream: number, quantum: number): number;
  readonly RUN_MORE: { readonly value: number };
}

/** Thrown out of the engine when a schedule is given up. */
class Abandoned extends Error {}

export interface Performer {
  readonly stage: Stage;
  /** Does this thread's part of a schedule; the baton is in hand at its start, and somewhere else at its end. */
  perform(): void;
}

export function openPerformer(part: Part, stage: Stage): Performer {
  const { thread, module, memory, watched } = part;
  const { words } = stage;
  const entries = new Int32Array(memory.buffer, watched.table, WATCHED_SLOTS * 4);
  const tlbie = new Int32Array(memory.buffer, watched.tlbie, 1);
  let random = 0;
  const imports = {
    env: { memory },
    schedule: {
      yieldPoint(point: number) {
        arrive(stage, thread, point);
        watchSlots(stage, thread, entries, tlbie);
        const next = choose(stage, thread);
        if (next !== thread) {
          giveBaton(stage, next < 0 ? 0 : next);
          if (next >= 0 || thread !== 0) takeBaton(stage, thread);
        }
        if (words[OUTCOME] !== GOING) throw new Abandoned();
        if (point === AT_ANSWER) noteBegin(stage, thread);
      },
      attemptFails() {
        if (words[FAILURES] === 0) return 0;
        random = xorshift(random);
        return (random & 63) === 0 ? 1 : 0;
      },
    },
  };
  const processor = openEngine(module, imports, thread + 1);
  const hurried = part.neverWaits ? openEngine(module, imports, thread + 1) : undefined;
  hurried?.neverWait();

  const run = (): number => runRecords(stage, thread, processor, hurried);
  return {
    stage,
    perform() {
      random = (words[FAILURES]! * 0x9e3779b1 + thread * 0x85ebca6b) | 1;
      try {
        while ((run() & processor.RUN_MORE.value) !== 0);
        arrive(stage, thread, FINISHED);
        watchSlots(stage, thread, entries, tlbie);
      } catch (error) {
        // Abandoned, it stays in the record where it stood, for the report.
        if (!(error instanceof Abandoned)) noteCrash(stage, thread, error);
      }
      const next = choose(stage, thread);
      // Thread 0 is the driver too: it goes on behind this call when all is over.
      if (next >= 0) giveBaton(stage, next);
      else if (thread !== 0) giveBaton(stage, 0);
      if (next >= 0 && thread === 0) takeBaton(stage, 0);
    },
  };
}

/** All records; one at a time where some may be taken back. Gives what `run` does. */
function runRecords(
  { words }: Stage,
  thread: number,
  processor: YieldEngine,
  hurried: YieldEngine | undefined,
): number {
  if (hurried === undefined) return processor.run(thread + 1, 4096);
  const answers = words[ANSWERS + thread]!;
  try {
    return hurried.run(thread + 1, 1);
  } catch (error) {
    if (error instanceof Abandoned || hurried.stepBack() === 0) throw error;
    // It was not executed: its steps begin anew.
    words[ANSWERS + thread] = answers;
    words[STEPS_BACK]!++;
    return processor.run(thread + 1, 1);
  }
}

function openEngine(
  module: WebAssembly.Module,
  imports: Record<string, Record<string, unknown>>,
  index: number,
): YieldEngine {
  const engine = new WebAssembly.Instance(module, imports).exports as unknown as YieldEngine;
  engine.beProcessor(index);
  return engine;
}

function xorshift(seed: number): number {
  let x = seed;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x;
}

/** The thread has made its step and stands at `point`. */
function arrive({ words }: Stage, thread: number, point: number): void {
  const looked = words[POINT + thread] === AT_WAIT && point === AT_WAIT;
  words[POINT + thread] = point;
  // A look in vain changes nothing for the others; every other step may be what they wait for.
  if (!looked) {
    words[ROUNDS] = 0;
    for (let other = 0; other < words[THREADS]!; other++) words[BLOCKED + other] = 0;
  }
  words[BLOCKED + thread] = point === AT_WAIT ? 1 : 0;
  if (point !== AT_ANSWER) return;
  // Four a call: before it is executed, behind it, and two where the answer is noted.
  const passed = words[ANSWERS + thread]!++;
  if ((passed & 3) === 1) words[ENDED + thread * CALLS_MAX + (passed >> 2)] = words[STEPS]!;
}

/** The thread leaves AT_ANSWER: the next call begins with this step. */
function noteBegin({ words }: Stage, thread: number): void {
  const passed = words[ANSWERS + thread]! - 1;
  if ((passed & 3) === 0) words[BEGAN + thread * CALLS_MAX + (passed >> 2)] = words[STEPS]!;
}

/**
 * The order of invalidations: a slot that held a VALID entry may be seen unlocked with something else in it only when
 * the thread that did it has invalidated as many translations as it has freed. Looked at behind every step, so none is
 * missed; a slot that is entered again is unlocked by its remover first, so nobody can be faster than the invalidation.
 */
function watchSlots(
  { words }: Stage,
  thread: number,
  entries: Int32Array<SharedArrayBuffer>,
  tlbie: Int32Array<SharedArrayBuffer>,
): void {
  if (words[OUTCOME] !== GOING) return;
  for (let slot = 0; slot < WATCHED_SLOTS; slot++) {
    const low = entries[slot * 4]!;
    const seen = SEEN + 2 * slot;
    if ((low & HVLOCK) !== 0) continue;
    const high = entries[slot * 4 + 1]!;
    if (words[seen] === low && words[seen + 1] === high) continue;
    if ((words[seen]! & VALID) !== 0) words[FREED + thread]!++;
    words[seen] = low;
    words[seen + 1] = high;
  }
  if (tlbie[0]! < words[FREED + thread]!) words[OUTCOME] = FREED_TOO_SOON;
}

/** Who makes the next step, recorded; -1: the schedule is over, and OUTCOME says how. */
function choose(stage: Stage, thread: number): number {
  const { words, trace } = stage;
  if (words[OUTCOME] !== GOING) return -1;
  if (allFinished(stage)) return end(stage, COMPLETE);
  let mask = runnable(stage);
  if (mask === 0) {
    if (words[ROUNDS]!++ === ROUNDS_MAX) return end(stage, DEADLOCK);
    words.fill(0, BLOCKED, BLOCKED + words[THREADS]!);
    mask = runnable(stage);
  }
  const step = words[STEPS]!;
  if (step === STEPS_MAX) return end(stage, ENDLESS);
  const goesOn = thread >= 0 && (mask & (1 << thread)) !== 0;
  let next = goesOn ? thread : nextOf(mask, thread, words[THREADS]!);
  const at = DEVIATION_LIST + 2 * words[DEVIATION_AT]!;
  if (words[DEVIATION_AT]! < words[DEVIATIONS]! && words[at] === step) {
    words[DEVIATION_AT]!++;
    if ((mask & (1 << words[at + 1]!)) !== 0) next = words[at + 1]!;
    else if (words[STRICT] !== 0) return end(stage, DIVERGED);
  }
  trace[step * TRACE_BYTES] = next;
  trace[step * TRACE_BYTES + 1] = mask;
  trace[step * TRACE_BYTES + 2] = words[POINT + next]!;
  words[STEPS] = step + 1;
  return next;
}

function end({ words }: Stage, outcome: number): -1 {
  words[OUTCOME] = outcome;
  return -1;
}

function noteCrash({ words, message }: Stage, thread: number, error: unknown): void {
  words[POINT + thread] = FINISHED;
  words[OUTCOME] = CRASHED;
  message.fill(0);
  message.set(Buffer.from(String(error)).subarray(0, message.length - 1));
}

/**
 * The driver's side, on thread 0: performs one schedule, whose deviations stand on the stage, to its end. Whatever the
 * outcome, no thread is in the engine afterwards.
 */
export function performSchedule(performer: Performer): void {
  const { stage } = performer;
  const { words } = stage;
  const first = choose(stage, -1);
  if (first === 0) {
    performer.perform();
  } else {
    giveBaton(stage, first);
    takeBaton(stage, 0);
    if (words[OUTCOME] === GOING) performer.perform();
  }
  for (let thread = 1; thread < words[THREADS]!; thread++) {
    const point = words[POINT + thread]!;
    if (point === FINISHED || point === NOT_BEGUN) continue;
    // It stands in the engine: it throws itself out, and gives the baton back.
    giveBaton(stage, thread);
    takeBaton(stage, 0);
  }
}

/** The other threads: one part of a schedule after the other. */
export function performOthers(performer: Performer, thread: number): void {
  const { stage } = performer;
  for (;;) {
    takeBaton(stage, thread, Infinity);
    if (stage.words[QUIT] !== 0) return;
    performer.perform();
  }
}
