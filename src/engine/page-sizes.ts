/**
 * Page sizes from L (dword 0) and LP (dword 1, bits 12-19). Pure functions.
 *
 *   L LPlo LPhi   base  actual          L LPlo LPhi   base  actual
 *   0  -    -      4K    4K             1  7   any     4K    64K
 *   1  0    0      16M   16M            1  8    0      64K   16M
 *   1  1   any     64K   64K            1  8    3      4K    16M
 *   1  3    0      16G   16G            anything else: no page size
 *
 * SPEC: Power ISA 2.07 book III-S, "Virtual Page Number and page size encodings"; the set is KVM HV's.
 */
import { HPTE_R_RPN, HPTE_V_LARGE } from './hpte';

export const SHIFT_4K: u32 = 12;
export const SHIFT_64K: u32 = 16;
export const SHIFT_16M: u32 = 24;
export const SHIFT_16G: u32 = 34;

/** base page shift | actual page shift << 8; 0 for no page size. */
export function pageShifts(v: u64, r: u64): u32 {
  if ((v & HPTE_V_LARGE) == 0) return SHIFT_4K | (SHIFT_4K << 8);
  const lp = <u32>(r >> 12) & 0xff;
  // The commonest first: a switch is a jump through a table.
  if ((lp & 0xf) == 1) return SHIFT_64K | (SHIFT_64K << 8);
  switch (lp & 0xf) {
    case 0:
      return lp == 0 ? SHIFT_16M | (SHIFT_16M << 8) : 0;
    case 3:
      return lp == 0x03 ? SHIFT_16G | (SHIFT_16G << 8) : 0;
    case 7:
      return SHIFT_4K | (SHIFT_64K << 8);
    case 8:
      return lp == 0x08 ? SHIFT_64K | (SHIFT_16M << 8) : lp == 0x38 ? SHIFT_4K | (SHIFT_16M << 8) : 0;
    default:
      return 0;
  }
}

/** Of an entry that was accepted: never 0. */
export function basePageShift(v: u64, r: u64): u32 {
  return pageShifts(v, r) & 0xff;
}

/** 0 for no page size. The commonest two are told without a call. */
@inline
export function actualPageShift(v: u64, r: u64): u32 {
  if ((v & HPTE_V_LARGE) == 0) return SHIFT_4K;
  return (r & 0xf000) == 0x1000 ? SHIFT_64K : pageShifts(v, r) >> 8;
}

/** Guest address of the first byte that an entry maps. */
@inline
export function pageAddress(r: u64, actualShift: u32): u64 {
  return r & HPTE_R_RPN & (~(<u64>0) << actualShift);
}
