/** The part of autocannon that the REST profile uses: it brings no types of its own. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  export interface Request {
    readonly method: string;
    readonly path: string;
    readonly headers: Record<string, string>;
    readonly body: string;
    /** Called with each answer to this request. */
    readonly onResponse: (status: number, body: string) => void;
  }

  /** One connection. */
  export interface Client {
    setRequests(requests: readonly Request[]): void;
  }

  export interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds after which it ends unless it is stopped before. */
    readonly duration: number;
    /** Milliseconds between looks at whether to stop. */
    readonly sampleInt: number;
    readonly setupClient: (client: Client) => void;
  }

  export interface Result {
    readonly errors: number;
    readonly non2xx: number;
  }

  /** Emits `response` with (client, status, bytes, milliseconds as a fraction). */
  export interface Run extends EventEmitter, PromiseLike<Result> {
    stop(): void;
  }

  export default function autocannon(options: Options): Run;
}
