/**
 * Whether and when to connect again. Nothing is decided by the words of an error: its class, its close code or
 * its HTTP status tell.
 */
import { CLOSE_CODES } from '../../schemas/stream.ts';
import { RefusedError, StreamEndedError, UnavailableError } from './errors.ts';

export interface Backoff {
  /** Connections tried after a loss before the stream is over (12). */
  readonly attempts?: number;
  /** Before the first attempt (100); each further wait is twice as long. */
  readonly firstMillis?: number;
  /** The longest wait (5,000). */
  readonly mostMillis?: number;
}

/** Some 40 s with all the waits: what a daemon or a host takes to come back. */
const ATTEMPTS = 12;
const FIRST_MILLIS = 100;
const MOST_MILLIS = 5_000;

/** Codes that come from between the two ends: going away, no close at all, try again later. */
const AGAIN_CODES = new Set([
  1001,
  1006,
  1013,
  ...CLOSE_CODES.flatMap(({ code, again }) => (again ? [code] : [])),
]);

/** HTTP statuses of a daemon, or a proxy before it, that is not ready yet; 404: the guest was not created again yet. */
const AGAIN_STATUSES = new Set([404, 429, 502, 503, 504]);

/** True where connecting again may bring the stream back. */
export function isTemporary(cause: Error): boolean {
  if (cause instanceof StreamEndedError) return AGAIN_CODES.has(cause.code);
  if (cause instanceof RefusedError) return AGAIN_STATUSES.has(cause.status);
  return cause instanceof UnavailableError;
}

/** How long to wait before the n-th attempt, n from 1 on; undefined: give up. */
export function waitMillis(attempt: number, backoff: Backoff): number | undefined {
  const { attempts = ATTEMPTS, firstMillis = FIRST_MILLIS, mostMillis = MOST_MILLIS } = backoff;
  if (attempt > attempts) return undefined;
  return Math.min(mostMillis, firstMillis * 2 ** (attempt - 1));
}
