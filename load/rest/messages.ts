/** What the REST profile and its server processes say to each other over IPC. */

export const SERVER_KINDS = ['hptd', 'echo'] as const;
export type ServerKind = (typeof SERVER_KINDS)[number];

/** The only thing a server is asked: what it has used so far. */
export const USAGE_PLEASE = 'usage';

export interface Usage {
  /** The server's own clock. */
  readonly atMicros: number;
  /** Processor time of all its threads, and of its main thread. */
  readonly cpuMicros: number;
  readonly mainThreadMicros: number;
}

/** Said once, when it listens. */
export interface Ready {
  readonly url: string;
}
