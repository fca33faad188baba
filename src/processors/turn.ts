/**
 * Turns: while a guest is recorded in order, one processor at a time runs its records, so that the stamps of their answers
 * (engine/processor.ts) are in the order of what happened. Otherwise a look at one word is all that it costs.
 *
 * The turn goes around: a processor that ends its turn lets those who wait come first. Processors wait here; the main thread
 * never does, it tries. What a dead processor held is given back by the main thread (`freeTurnOf`).
 */
import type { MemoryMap } from '../rings/engine.ts';

/** Longest sleep before looking again: at whether turns are over, and for whose turn it is. */
const WAIT_MILLIS = 1;

export interface Turn {
  /** The guest block. */
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly recording: number;
  readonly recordingInTurn: number;
  readonly turn: number;
  readonly waiters: number;
  readonly main: number;
}

export function openTurn(buffer: SharedArrayBuffer, map: MemoryMap): Turn {
  return {
    words: new Int32Array(buffer, 0, map.MEMSLOTS >> 2),
    recording: map.RECORDING >> 2,
    recordingInTurn: map.RECORDING_IN_TURN,
    turn: map.TURN >> 2,
    waiters: map.TURN_WAITERS >> 2,
    main: map.TURN_MAIN,
  };
}

/** Waits for the turn if there are turns. True: it is to be ended. Processors only. */
export function takeTurn(turn: Turn, processor: number): boolean {
  const { words } = turn;
  if (Atomics.load(words, turn.recording) !== turn.recordingInTurn) return false;
  if (Atomics.compareExchange(words, turn.turn, 0, 1 + processor) === 0) return true;
  Atomics.add(words, turn.waiters, 1);
  let taken = false;
  while (!taken && Atomics.load(words, turn.recording) === turn.recordingInTurn) {
    const holder = Atomics.compareExchange(words, turn.turn, 0, 1 + processor);
    taken = holder === 0;
    if (!taken) Atomics.wait(words, turn.turn, holder, WAIT_MILLIS);
  }
  Atomics.sub(words, turn.waiters, 1);
  return taken;
}

/** Ends the turn; with others waiting, sleeps until one of them has had it. Processors only. */
export function endTurn({ words, turn, waiters }: Turn): void {
  Atomics.store(words, turn, 0);
  Atomics.notify(words, turn);
  if (Atomics.load(words, waiters) > 0) Atomics.wait(words, turn, 0, WAIT_MILLIS);
}

/** Takes the turn if it is free. Main thread. */
export function tryTurn({ words, turn, main }: Turn): boolean {
  return Atomics.compareExchange(words, turn, 0, main) === 0;
}

/** Main thread; it had it. */
export function giveTurnBack({ words, turn }: Turn): void {
  Atomics.store(words, turn, 0);
  Atomics.notify(words, turn);
}

/** A processor's thread is gone: it holds no turn and waits for none. Main thread, before its successor starts. */
export function freeTurnOf(turn: Turn, processor: number): void {
  const { words } = turn;
  // A waiter that died stays counted: a turn's end sleeps in vain from then on, a millisecond at most.
  if (Atomics.compareExchange(words, turn.turn, 1 + processor, 0) === 1 + processor)
    Atomics.notify(words, turn.turn);
}
