/** What the stream profile tells its servers and its crowd, and is told. */

export type ToServer = { readonly kind: 'usage' } | { readonly kind: 'stop' };

/** What a process has used since it began, and when it looked. */
export interface Usage {
  readonly kind: 'usage';
  readonly cpuMicros: number;
  readonly atMillis: number;
  readonly rssBytes: number;
}

export type FromServer = { readonly kind: 'ready'; readonly url: string } | Usage;

/** The crowd: a connection in a worker thread that sends batches as fast as they are answered. */
export interface CrowdStart {
  /** Of the stream. */
  readonly url: string;
  readonly echo: boolean;
  readonly order: number;
  readonly batch: number;
  readonly window: number;
}

export type ToCrowd = { readonly kind: 'go' } | { readonly kind: 'rest' };

/** `going`: it is in full swing; `resting`: nothing of it is in flight. */
export type FromCrowd =
  | { readonly kind: 'connected' }
  | { readonly kind: 'going' }
  | { readonly kind: 'resting'; readonly hcallsPerSecond: number };
