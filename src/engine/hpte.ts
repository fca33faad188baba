/**
 * The two words of a hashed page table entry. Pure functions and names, no shared state.
 *
 *   dword 0   63 62 61                                7  6      5      4      3    2     1         0
 *            +-----+-----------------------------------+------+------+------+----+-----+---------+-----+
 *            |  B  |               AVPN                |HVLOCK|ABSENT|BOLTED|LOCK|LARGE|SECONDARY|VALID|
 *            +-----+-----------------------------------+------+------+------+----+-----+---------+-----+
 *   dword 1   63  62 61  60 59                     12 11   9 8 7 6     3 2 1  0
 *            +---+--+------+--------------------------+------+-+-+-------+-+----+
 *            |PP0|TS|KEY_HI|  RPN (LP in 12..19 if L) |KEY_LO|R|C| WIMG  |N| PP |
 *            +---+--+------+--------------------------+------+-+-+-------+-+----+
 *
 * SPEC: Power ISA 2.07 book III-S, "Page Table"; HVLOCK and ABSENT are the hypervisor's software bits, as in KVM HV.
 * The ISA 3.0 format moves B from dword 0 to bits 58-59 of dword 1; only the table knows it, a guest never does.
 */
import { ISA300 } from './memory-map';

export const HPTE_V_B: u64 = 0xc000000000000000;
/** Set in the two values of B that mean nothing. */
export const HPTE_V_B_RESERVED: u64 = 0x8000000000000000;
export const HPTE_V_1TB_SEG: u64 = 0x4000000000000000;
export const HPTE_V_AVPN: u64 = 0x3fffffffffffff80;
export const HPTE_V_HVLOCK: u64 = 0x40;
export const HPTE_V_ABSENT: u64 = 0x20;
export const HPTE_V_BOLTED: u64 = 0x10;
export const HPTE_V_LARGE: u64 = 0x04;
export const HPTE_V_SECONDARY: u64 = 0x02;
export const HPTE_V_VALID: u64 = 0x01;
/** What makes a slot taken for the guest. */
export const HPTE_V_TAKEN: u64 = HPTE_V_VALID | HPTE_V_ABSENT;
/** B and AVPN: what an AVPN compare looks at. */
export const HPTE_V_COMPARE: u64 = ~(<u64>0x7f);

export const HPTE_R_PP0: u64 = 0x8000000000000000;
export const HPTE_R_TS: u64 = 0x4000000000000000;
export const HPTE_R_KEY_HI: u64 = 0x3000000000000000;
export const HPTE_R_RPN: u64 = 0x0ffffffffffff000;
export const HPTE_R_KEY_LO: u64 = 0xe00;
export const HPTE_R_KEY: u64 = HPTE_R_KEY_HI | HPTE_R_KEY_LO;
export const HPTE_R_R: u64 = 0x100;
export const HPTE_R_C: u64 = 0x80;
export const HPTE_R_RC: u64 = HPTE_R_R | HPTE_R_C;
export const HPTE_R_WIMG: u64 = 0x78;
export const HPTE_R_W: u64 = 0x40;
export const HPTE_R_I: u64 = 0x20;
export const HPTE_R_M: u64 = 0x10;
export const HPTE_R_G: u64 = 0x08;
export const HPTE_R_N: u64 = 0x04;
export const HPTE_R_PP: u64 = 0x03;
/** What H_PROTECT replaces. */
export const HPTE_R_PROTECTION: u64 = HPTE_R_PP0 | HPTE_R_PP | HPTE_R_N | HPTE_R_KEY;
/** In guest_rpte the TS bit is hptd's mark "changed since a table stream last saw it". */
export const HPTE_GR_MODIFIED: u64 = HPTE_R_TS;

/** Page frames of the (imaginary) host: the guest's plus this, so that none is 0 and every alignment stays. */
export const HOST_FRAME_OFFSET: u64 = 1 << 44;

const ISA300_V: u64 = 0x000fffffffffffff;
const ISA300_R_B: u64 = 0x0c00000000000000;

/** dword 0 as a guest knows it, from the words in the table. */
@inline
export function guestV(v: u64, r: u64): u64 {
  return load<u32>(ISA300) == 0 ? v : (v & ISA300_V) | ((r & ISA300_R_B) << 4);
}

/** dword 1 without what the ISA 3.0 format keeps there. */
@inline
export function guestR(r: u64): u64 {
  return load<u32>(ISA300) == 0 ? r : r & ~ISA300_R_B;
}

/** dword 0 as the table keeps it. */
@inline
export function tableV(v: u64): u64 {
  return load<u32>(ISA300) == 0 ? v : v & ISA300_V;
}

/** dword 1 as the table keeps it. */
@inline
export function tableR(v: u64, r: u64): u64 {
  return load<u32>(ISA300) == 0 ? r : (r & ~ISA300_R_B) | ((v >> 62) << 58);
}

/** Does PP0|PP let anybody store? */
@inline
export function isWritable(r: u64): bool {
  const pp = r & (HPTE_R_PP0 | HPTE_R_PP);
  return pp != 3 && pp != (HPTE_R_PP0 | 2);
}

export function madeReadOnly(r: u64): u64 {
  if ((r & HPTE_R_PP0) != 0 || (r & HPTE_R_PP) == 0) return (r & ~HPTE_R_PP) | HPTE_R_PP0 | 2;
  return r | 3;
}

/** An entry outside every memory slot: ABSENT, and the real storage key is all ones. */
export function isMmio(v: u64, r: u64): bool {
  return (v & HPTE_V_ABSENT) != 0 && (r & HPTE_R_KEY) == HPTE_R_KEY;
}

/** The guest sees an ABSENT entry as VALID, and no lock bit. */
@inline
export function shownV(v: u64): u64 {
  const shown = v & ~(HPTE_V_HVLOCK | HPTE_V_ABSENT);
  return (v & HPTE_V_ABSENT) != 0 ? shown | HPTE_V_VALID : shown;
}
