/**
 * guest_rpte: dword 1 as the guest put it there, kept in the reverse map. The guest's R and C live here, apart from
 * the host's (in the real dword 1, the rmap words and the dirty bitmaps). The caller holds the entry's HVLOCK.
 */
import { HPTE_GR_MODIFIED } from './hpte';
import { MOD_INTEREST, revmapAddress } from './memory-map';
import { AT_GUEST_VIEW, yieldPoint } from './yield-point';

@inline
export function guestRpte(ptex: u64): u64 {
  return load<u64>(revmapAddress(ptex));
}

/** Replaces the guest's view without telling the readers of the table stream. */
@inline
export function setGuestRpte(ptex: u64, value: u64): void {
  yieldPoint(AT_GUEST_VIEW);
  store<u64>(revmapAddress(ptex), value);
}

/**
 * Tells them that the entry changed. ORDER: before the entry is unlocked, or a reader's pass between the two would
 * miss the change for good.
 */
@inline
export function noteModification(ptex: u64): void {
  if (atomic.load<u8>(MOD_INTEREST) == 0) return;
  const revmap = revmapAddress(ptex);
  store<u64>(revmap, load<u64>(revmap) | HPTE_GR_MODIFIED);
}
