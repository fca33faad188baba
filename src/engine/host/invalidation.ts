/**
 * The invalidation sequence: how somebody who looked at a host page finds out that the host has taken it away since.
 *
 * The host's side counts itself in, sets the page's state, walks the chains, moves the sequence, counts itself out.
 * The looker takes the sequence, looks at the page, and asks under the chain lock whether anything ran since.
 * Either it sees that an invalidation runs or ran, or the invalidation's walk comes to the chain later and finds the
 * entry there.
 */
import { INVALIDATE_IN_PROGRESS, INVALIDATE_SEQ } from '../memory-map';

export function hostSequence(): u64 {
  return atomic.load<u64>(INVALIDATE_SEQ);
}

export function hostChangedSince(sequence: u64): bool {
  return atomic.load<i32>(INVALIDATE_IN_PROGRESS) != 0 || atomic.load<u64>(INVALIDATE_SEQ) != sequence;
}

export function beginInvalidation(): void {
  atomic.add<i32>(INVALIDATE_IN_PROGRESS, 1);
}

export function endInvalidation(): void {
  atomic.add<u64>(INVALIDATE_SEQ, 1);
  atomic.sub<i32>(INVALIDATE_IN_PROGRESS, 1);
}
