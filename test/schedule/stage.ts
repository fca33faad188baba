/**
 * What the threads of a schedule share: who runs, what each is about to do, and the record of what was chosen.
 *
 * One thread runs at a time. It has the baton; it alone reads and writes the words here (handing the baton over is
 * atomic, so what was written before is seen), and it decides at each yield point who goes on. So a schedule costs
 * a switch of threads only where it says so.
 *
 * A schedule is the default (the running thread goes on while it can, then the next one that can) and a list of
 * deviations from it: at this step, that thread. Thread i is processor i + 1, because processor 0 belongs to the
 * test that lays the guest out.
 */

export const THREADS_MAX = 4;
export const STEPS_MAX = 8192;
export const DEVIATIONS_MAX = 4096;
/** Entries at the start of the table that are watched, and that every program keeps to. */
export const WATCHED_SLOTS = 64;
/** Calls of one thread whose start and end are recorded. */
export const CALLS_MAX = 16;
const MESSAGE_BYTES = 1024;

/** A thread's place beside the yield points of src/engine/yield-point.ts. */
export const NOT_BEGUN = 0;
export const FINISHED = 255;

export const GOING = 0;
export const COMPLETE = 1;
export const DEADLOCK = 2;
export const ENDLESS = 3;
export const CRASHED = 4;
/** A slot was free, or held another entry, before the old translation was invalidated. */
export const FREED_TOO_SOON = 5;
/** A strict deviation names a thread that cannot run. */
export const DIVERGED = 6;

/** Indexes of `words`. Word 0 to 63: the batons, a cache line each. */
export const OUTCOME = 64;
export const STEPS = 65;
export const THREADS = 66;
export const DEVIATIONS = 67;
export const DEVIATION_AT = 68;
export const STRICT = 69;
/** 0: no attempt at a lock fails but for a reason; else a seed, and 1 in 64 does. */
export const FAILURES = 70;
/** Rounds in which every thread looked again in vain. */
export const ROUNDS = 71;
export const QUIT = 72;
/** Calls that a thread that never waits has taken back. */
export const STEPS_BACK = 73;
export const POINT = 80;
export const BLOCKED = POINT + THREADS_MAX;
/** Slots of VALID entries that each thread has freed or filled anew. */
export const FREED = BLOCKED + THREADS_MAX;
/** Yield points AT_ANSWER passed: four a call. */
export const ANSWERS = FREED + THREADS_MAX;
export const BEGAN = ANSWERS + THREADS_MAX;
export const ENDED = BEGAN + THREADS_MAX * CALLS_MAX;
/** Low and high word of dword 0 of each watched entry when it was last seen unlocked. */
export const SEEN = ENDED + THREADS_MAX * CALLS_MAX;
export const DEVIATION_LIST = SEEN + 2 * WATCHED_SLOTS;
const WORDS = DEVIATION_LIST + 2 * DEVIATIONS_MAX;

export interface Stage {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array<SharedArrayBuffer>;
  /** For each step: the thread, the threads that could run (bits), the point the thread stood at. */
  readonly trace: Uint8Array<SharedArrayBuffer>;
  readonly message: Uint8Array<SharedArrayBuffer>;
}

export const TRACE_BYTES = 3;

export function createStage(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * 4 + STEPS_MAX * TRACE_BYTES + MESSAGE_BYTES);
}

export function openStage(buffer: SharedArrayBuffer): Stage {
  return {
    buffer,
    words: new Int32Array(buffer, 0, WORDS),
    trace: new Uint8Array(buffer, WORDS * 4, STEPS_MAX * TRACE_BYTES),
    message: new Uint8Array(buffer, WORDS * 4 + STEPS_MAX * TRACE_BYTES, MESSAGE_BYTES),
  };
}

const WORDS_A_BATON = 16;

/** Longer than any step: then the thread that has the baton hangs between two yield points. */
const PATIENCE_MS = 20_000;

export function giveBaton({ words }: Stage, thread: number): void {
  Atomics.store(words, thread * WORDS_A_BATON, 1);
  Atomics.notify(words, thread * WORDS_A_BATON, 1);
}

/** `patience`: how long, in milliseconds; a thread that waits for a next schedule may wait for ever. */
export function takeBaton({ words }: Stage, thread: number, patience = PATIENCE_MS): void {
  const at = thread * WORDS_A_BATON;
  // Nobody looks in a busy loop: on a loaded machine the thread with the baton needs the core.
  while (Atomics.exchange(words, at, 0) === 0) {
    if (Atomics.wait(words, at, 0, patience) === 'timed-out')
      throw new Error(`thread ${thread} waits for the baton in vain: a thread hangs in a step`);
  }
}

/** Threads that are not finished and do not wait for another's step, as bits. */
export function runnable({ words }: Stage): number {
  let mask = 0;
  for (let thread = 0; thread < words[THREADS]!; thread++) {
    if (words[POINT + thread] !== FINISHED && words[BLOCKED + thread] === 0) mask |= 1 << thread;
  }
  return mask;
}

export function allFinished({ words }: Stage): boolean {
  for (let thread = 0; thread < words[THREADS]!; thread++) {
    if (words[POINT + thread] !== FINISHED) return false;
  }
  return true;
}

/** The next thread that can run behind this one, in a circle. */
export function nextOf(mask: number, thread: number, threads: number): number {
  for (let i = 1; i <= threads; i++) {
    const other = (thread + i + threads) % threads;
    if ((mask & (1 << other)) !== 0) return other;
  }
  throw new Error('nobody can run');
}
