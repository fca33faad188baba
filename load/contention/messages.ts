/** What the contention profile and its worker threads share. */
import type { RequestRecord } from '../../schemas/records.ts';
import type { MemoryMap } from '../../src/rings/engine.ts';

/** Words of the control block, which main thread and workers see. */
export const CONTROL = {
  /** Workers that are ready to begin. */
  ready: 0,
  /** 1: go. */
  go: 1,
  /** 1: the measured thread is done; the others stop after the frame at hand. */
  stop: 2,
  /** Counted hcalls of the measured thread so far, for the progress line. */
  calls: 3,
  /** Frames that each other thread has executed; index by worker. */
  frames: 4,
} as const;

/** Marks the hcalls that are counted; every other record has tag 0. */
export const COUNTED_TAG = 1;

export interface WorkerStart {
  /** Of the engine; its test build for a slow scan. */
  readonly module: WebAssembly.Module;
  readonly slowScan: boolean;
  readonly map: MemoryMap;
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array<SharedArrayBuffer>;
  /** Its processor and its stream. */
  readonly worker: number;
  /** Executed over and over. */
  readonly records: readonly RequestRecord[];
  /** Of the measured thread only: it ends the measurement after so long, or so many counted hcalls. */
  readonly until: { readonly millis: number; readonly calls: number } | undefined;
}

/** What the measured thread found in the frames that count. */
export interface Tally {
  readonly calls: number;
  readonly falseFull: number;
  /** Spent in them. */
  readonly millis: number;
}
