/** What who searches (search.ts) and the thread that tries inputs share. */

export interface Start {
  readonly decoder: string;
  readonly millis: number;
  readonly seed: number;
  /** Coverage is the guide. */
  readonly guided: boolean;
  readonly shared: SharedArrayBuffer;
}

/** Words at the start of the shared memory; then the input being tried, which must be known should it never end. */
export const TRIED = 0;
export const KEPT = 1;
export const COVERED = 2;
export const INPUT_LENGTH = 3;
const INPUT_AT = 64;

export interface Board {
  readonly words: Int32Array;
  readonly input: Uint8Array;
}

export function createBoard(inputBytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(INPUT_AT + inputBytes);
}

export function openBoard(shared: SharedArrayBuffer): Board {
  return { words: new Int32Array(shared, 0, 4), input: new Uint8Array(shared, INPUT_AT) };
}

/** An input, and what is wrong with it. */
export interface Failure {
  readonly input: Uint8Array;
  readonly reason: string;
}

/** How the thread ended: in time, or with a failure. */
export interface Ended {
  readonly failure?: Failure;
}
