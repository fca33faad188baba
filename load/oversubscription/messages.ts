/** What the oversubscription profile and its worker threads tell each other. */
import type { RecordableHistogram } from 'node:perf_hooks';

/** How a processor waits for a lock: hptd's way, and the way that a machine with a core for each processor would do with. */
export const WAITINGS = ['spin-then-yield', 'spin-only'] as const;
export type Waiting = (typeof WAITINGS)[number];

/** Which groups of the table are used: the same four by all, or four of its own by each. */
export const GROUPS = ['four', 'own'] as const;
export type Groups = (typeof GROUPS)[number];

export interface WorkerStart {
  readonly modules: Readonly<Record<Waiting, WebAssembly.Module>>;
  readonly memory: WebAssembly.Memory;
  readonly worker: number;
}

/** Executes batches until `to`; those begun before `from` do not count. Milliseconds since 1970. */
export interface Go {
  readonly waiting: Waiting;
  readonly groups: Groups;
  readonly from: number;
  readonly to: number;
}

export interface Figures {
  readonly hcalls: number;
  /** When the last batch was over: milliseconds since 1970. */
  readonly end: number;
  /** Times that a lock was not got at once: an entry's, a chain's. */
  readonly lockWaits: number;
  readonly chainWaits: number;
  /** Nanoseconds that batches took. */
  readonly batchNanos: RecordableHistogram;
}
