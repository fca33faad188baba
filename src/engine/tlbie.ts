/**
 * TLB invalidation. hptd has no TLB to invalidate: what is kept is the account of it, with the operand that the
 * instruction would have had, and its place in the order of things: an entry that was VALID is invalidated while it
 * is locked and before it is free, so that no new translation can stand beside the old one.
 *
 * SPEC: Power ISA 2.07 book III-S, tlbie, "RB contents" for L=0 and L=1.
 */
import { HPTE_V_B, HPTE_V_COMPARE, guestR } from './hpte';
import { pageBitsBelowAvpn } from './hash';
import { COUNT_TLBIE, COUNT_TLBSYNC, LAST_TLBIE_RB } from './memory-map';
import { SHIFT_16M, SHIFT_4K, SHIFT_64K, pageShifts } from './page-sizes';
import { count, explaining, self } from './this-processor';
import { AT_TLBIE, yieldPoint } from './yield-point';

/** The tlbie operand RB for an entry. */
export function tlbieOperand(v: u64, r: u64, ptex: u64): u64 {
  const shifts = pageShifts(v, r);
  const base = shifts & 0xff;
  const actual = shifts >> 8;
  const low = pageBitsBelowAvpn(v, ptex);
  let rb = (v & HPTE_V_COMPARE) << 16;
  if (base == SHIFT_4K) {
    rb |= low << 12;
    if (actual == SHIFT_64K) rb |= 5 << 5;
    else if (actual == SHIFT_16M) rb |= 4 << 5;
  } else {
    const below = (<u64>1 << <u64>actual) - 1;
    rb |= (low << <u64>base) & 0x7ff000;
    rb &= ~below;
    rb |= (low << <u64>(base - 12)) & 0xfe;
    rb |= 1;
    rb |= r & 0xff000 & below;
  }
  return rb | ((v & HPTE_V_B) >> 62 << 8);
}

/**
 * One translation invalidated; a batch ends with `tlbsync`. `v` in guest form, `real`: dword 1 as it is in the table.
 * The operand is worked out only for those who asked to be told.
 */
@inline
export function tlbie(v: u64, real: u64, ptex: u64, explains: bool = explaining): void {
  yieldPoint(AT_TLBIE);
  if (explains) store<u64>(self + LAST_TLBIE_RB, tlbieOperand(v, guestR(real), ptex));
  count(COUNT_TLBIE, 1);
}

@inline
export function tlbsync(): void {
  count(COUNT_TLBSYNC, 1);
}
