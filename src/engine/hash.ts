/**
 * Which group a virtual page belongs to, and back. Pure functions.
 *
 *   256 MiB segment: hash = VSID ^ (offset >> p)       1 TiB: hash = VSID ^ (VSID << 25) ^ (offset >> p)
 *   primary group = hash & mask, secondary group = ~hash & mask, p = base page shift
 *
 * AVPN holds the virtual address from bit 23 up. The bits below, where the base page is smaller, come back out
 * of the group number: the group is hash & mask, and the VSID's part of the hash is in AVPN.
 * SPEC: Power ISA 2.07 book III-S, "Hashed Page Table search"; PAPR for what AVPN leaves out.
 */
import { HPTE_V_1TB_SEG, HPTE_V_AVPN, HPTE_V_SECONDARY } from './hpte';

const SHIFT_256M: u64 = 28;
const SHIFT_1T: u64 = 40;
/** AVPN starts at this bit of the virtual address. */
export const AVPN_SHIFT: u64 = 23;
const HASH_MASK: u64 = (1 << 39) - 1;

/** The VSID's part of the hash. */
function vsidHash(vsid: u64, large: bool): u64 {
  return large ? vsid ^ (vsid << 25) : vsid;
}

/** The hash of a page: `offset` within its segment. */
export function pageHash(vsid: u64, offset: u64, baseShift: u32, large: bool): u64 {
  return (vsidHash(vsid, large) ^ (offset >> <u64>baseShift)) & HASH_MASK;
}

/** dword 0's B and AVPN for a page. */
export function avpnOf(vsid: u64, offset: u64, baseShift: u32, large: bool): u64 {
  const dropped = baseShift > <u32>AVPN_SHIFT ? ((<u64>1 << (<u64>baseShift - AVPN_SHIFT)) - 1) : 0;
  // The virtual address has up to 78 bits: what lies above bit 23 is put together without it.
  const above = (vsid << ((large ? SHIFT_1T : SHIFT_256M) - AVPN_SHIFT)) | (offset >> AVPN_SHIFT);
  const avpn = ((above & ~dropped) << 7) & HPTE_V_AVPN;
  return large ? avpn | HPTE_V_1TB_SEG : avpn;
}

/**
 * The hash of the page that an entry maps, rebuilt from its AVPN and the group it stands in.
 * `groupMask`: number of groups less 1 of the table it stands in.
 */
export function entryHash(v: u64, baseShift: u32, ptex: u64, groupMask: u64): u64 {
  const large = (v & HPTE_V_1TB_SEG) != 0;
  const segmentShift = large ? SHIFT_1T : SHIFT_256M;
  let group = ptex >> 3;
  if ((v & HPTE_V_SECONDARY) != 0) group = ~group;
  const below = baseShift > <u32>AVPN_SHIFT ? ((<u64>1 << (<u64>baseShift - AVPN_SHIFT)) - 1) : 0;
  const avpn = ((v & HPTE_V_AVPN) >> 7) & ~below;
  const offsetBits = segmentShift - AVPN_SHIFT;
  const vsid = avpn >> offsetBits;
  let offset = (avpn & ((<u64>1 << offsetBits) - 1)) << AVPN_SHIFT;
  if (baseShift < <u32>AVPN_SHIFT) offset |= ((vsidHash(vsid, large) ^ group) & groupMask) << <u64>baseShift;
  return pageHash(vsid, offset, baseShift, large);
}

/** The low 11 bits of (segment offset >> base shift), out of the group: what a TLB invalidation needs beside AVPN. */
export function pageBitsBelowAvpn(v: u64, ptex: u64): u64 {
  let group = ptex >> 3;
  if ((v & HPTE_V_SECONDARY) != 0) group = ~group;
  return (group ^ (v >> ((v & HPTE_V_1TB_SEG) != 0 ? 24 : 12))) & 0x7ff;
}
