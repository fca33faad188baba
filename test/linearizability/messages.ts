/** What the recorder and its threads tell each other. */
import type { MemoryMap } from '../../src/rings/engine.ts';

export interface PerformerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  /** A number that all threads add to before and after each call; then the number of the round that may begin. */
  readonly clock: Int32Array<SharedArrayBuffer>;
  /** Its processor, and its stream. */
  readonly thread: number;
  /** The engine's test build, stopped at random: steps of calls mix that would not otherwise. */
  readonly stumbling: boolean;
  readonly seed: number;
}

export const CLOCK = 0;
export const ROUND = 1;

export interface Task {
  readonly round: number;
  /** Frames of whole records, and how many records are in each. */
  readonly frames: readonly Uint8Array<ArrayBuffer>[];
  readonly calls: readonly number[];
}

export interface Recording {
  readonly invoked: Int32Array<ArrayBuffer>;
  readonly responded: Int32Array<ArrayBuffer>;
  /** Attempts to take a lock that were made to fail, by call. */
  readonly stumbles: Uint8Array<ArrayBuffer>;
  /** Answer records, one behind the other. */
  readonly answers: Uint8Array<ArrayBuffer>;
}
