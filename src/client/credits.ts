/**
 * A stream's credits, as docs/stream.md counts them: a frame costs its length plus an overhead from the moment
 * it is sent until every record of it has been answered. Answers come in order, so frames are settled in order.
 *
 * Plain data, no allocation per hcall. Owned by one stream.
 */
import { ProtocolError } from './errors.ts';

export interface Credits {
  /** Bytes that may still be sent. */
  left: number;
  /** Records sent and not answered. */
  unanswered: number;
  /** Cost and unanswered records of the frames in flight; the oldest at `head`. */
  readonly costs: number[];
  readonly counts: number[];
  head: number;
}

/** Settled frames are dropped from the arrays' front only when there are this many. */
const COMPACT_AT = 4096;

export function openCredits(bytes: number): Credits {
  return { left: bytes, unanswered: 0, costs: [], counts: [], head: 0 };
}

/** Notes a frame as sent. The caller has checked that `cost` is at most `left`. */
export function spend(credits: Credits, cost: number, records: number): void {
  credits.left -= cost;
  credits.unanswered += records;
  credits.costs.push(cost);
  credits.counts.push(records);
}

/** Notes `records` answers and gives back the credits of the frames that are complete by them. */
export function settle(credits: Credits, records: number): void {
  if (records > credits.unanswered) {
    throw new ProtocolError(`${records} answers came for ${credits.unanswered} unanswered records`);
  }
  credits.unanswered -= records;
  let rest = records;
  while (rest > 0) {
    const waiting = credits.counts[credits.head]!;
    if (waiting > rest) {
      credits.counts[credits.head] = waiting - rest;
      return;
    }
    rest -= waiting;
    credits.left += credits.costs[credits.head]!;
    credits.head++;
  }
  if (credits.head >= COMPACT_AT) compact(credits);
}

function compact(credits: Credits): void {
  credits.costs.splice(0, credits.head);
  credits.counts.splice(0, credits.head);
  credits.head = 0;
}
