/**
 * The invalidation sequence: how somebody who looked at a host page finds out that the host has taken it away since.
 *
 * The host's side counts itself in, sets the page's state, walks the chains, moves the sequence, counts itself out.
 * The looker takes the sequence, looks at the page, and asks under the chain lock whether anything ran since.
 * Either it sees that an invalidation runs or ran, or the invalidation's walk comes to the chain later and finds the
 * entry there.
 */
import { JOURNAL_INVALIDATING } from '../journal';
import { INVALIDATE_IN_PROGRESS, INVALIDATE_SEQ } from '../memory-map';
import { self } from '../this-processor';
import { AT_HOST, AT_READ, yieldPoint } from '../yield-point';

@inline
export function hostSequence(): u64 {
  return atomic.load<u64>(INVALIDATE_SEQ);
}

@inline
export function hostChangedSince(sequence: u64): bool {
  yieldPoint(AT_READ);
  // ORDER: whether one runs, then how many ran: the other way round, one that ends in between would be seen by neither.
  return (<u64>atomic.load<u8>(INVALIDATE_IN_PROGRESS) | (atomic.load<u64>(INVALIDATE_SEQ) ^ sequence)) != 0;
}

export function beginInvalidation(): void {
  store<u32>(self + JOURNAL_INVALIDATING, 1);
  yieldPoint(AT_HOST);
  atomic.add<u8>(INVALIDATE_IN_PROGRESS, 1);
}

export function endInvalidation(): void {
  yieldPoint(AT_HOST);
  atomic.add<u64>(INVALIDATE_SEQ, 1);
  yieldPoint(AT_HOST);
  atomic.sub<u8>(INVALIDATE_IN_PROGRESS, 1);
  store<u32>(self + JOURNAL_INVALIDATING, 0);
}
