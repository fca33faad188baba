/** What the engine profile and its worker threads tell each other. */

import type { Ball } from './cache-line.ts';

export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly order: number;
  readonly worker: number;
  readonly workers: number;
  readonly ball: Ball;
}

export type ToWorker =
  /** Makes the frames of a mix; `fill`: this worker puts the residents into the table. */
  | { kind: 'prepare'; mix: string; contended: boolean; batch: number; fill: boolean }
  /** Executes each frame once, so that the system has given the table its pages. */
  | { kind: 'touch' }
  /** Executes frames from one instant to another, in milliseconds since 1970. */
  | { kind: 'go'; from: number; to: number }
  /** Passes the ball. */
  | { kind: 'play' }
  /** Checks answers of some frames more, then `drain`: takes the residents out. */
  | { kind: 'check' }
  | { kind: 'drain' };

export interface Figures {
  readonly hcalls: number;
  /** In the engine's `run`. */
  readonly runNanos: number;
  /** Putting frames into the submission ring. */
  readonly copyNanos: number;
}

export type FromWorker = { kind: 'done'; figures?: Figures; lineNs?: number | undefined };
