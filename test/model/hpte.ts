/**
 * The words of a hashed page table entry (HPTE) as pure functions on 64-bit BigInts.
 *
 * v is dword 0 and r is dword 1 in the old format, the only one a guest ever sees. A table kept in
 * the ISA 3.0 format is converted at its edge (table.ts).
 *
 * SPEC: PAPR "Page Frame Table"; Power ISA "Hashed Page Table Entry"; encodings as KVM HV accepts
 * them.
 */

export const HPTE_V_SSIZE = 0xc000000000000000n;
export const HPTE_V_1TB_SEG = 0x4000000000000000n;
export const HPTE_V_AVPN = 0x3fffffffffffff80n;
export const HPTE_V_HVLOCK = 0x40n;
export const HPTE_V_ABSENT = 0x20n;
export const HPTE_V_BOLTED = 0x10n;
export const HPTE_V_LARGE = 0x04n;
export const HPTE_V_SECONDARY = 0x02n;
export const HPTE_V_VALID = 0x01n;
/** dword 0 of the virtual real mode area's entries: 1 TB segment, VSID 0x1ffffff. */
export const HPTE_V_VRMA_MASK = 0x4001ffffff000000n;

export const HPTE_R_PP0 = 0x8000000000000000n;
export const HPTE_R_TS = 0x4000000000000000n;
export const HPTE_R_KEY_HI = 0x3000000000000000n;
export const HPTE_R_KEY_LO = 0xe00n;
export const HPTE_R_KEY = HPTE_R_KEY_HI | HPTE_R_KEY_LO;
export const HPTE_R_RPN = 0x0ffffffffffff000n;
export const HPTE_R_R = 0x100n;
export const HPTE_R_C = 0x80n;
export const HPTE_R_RC = HPTE_R_R | HPTE_R_C;
export const HPTE_R_W = 0x40n;
export const HPTE_R_I = 0x20n;
export const HPTE_R_M = 0x10n;
export const HPTE_R_G = 0x08n;
export const HPTE_R_WIMG = 0x78n;
export const HPTE_R_N = 0x04n;
export const HPTE_R_PP = 0x03n;
/** In a guest_rpte: changed while a reader of the table stream was open. */
export const HPTE_GR_MODIFIED = HPTE_R_TS;

const WORD = (1n << 64n) - 1n;
/** Every bit of the word that is not in `bits`. */
export const not = (bits: bigint): bigint => ~bits & WORD;

/** Where the ISA 3.0 format keeps B: bits 59..58 of dword 1. */
const HPTE_R_3_0_SSIZE = 0x0c00000000000000n;
const HPTE_V_3_0_COMMON = 0x000fffffffffffffn;

export const oldToNewV = (v: bigint): bigint => v & HPTE_V_3_0_COMMON;
export const oldToNewR = (v: bigint, r: bigint): bigint =>
  (r & not(HPTE_R_3_0_SSIZE)) | ((v >> 62n) << 58n);
export const newToOldV = (v: bigint, r: bigint): bigint =>
  (v & HPTE_V_3_0_COMMON) | ((r & HPTE_R_3_0_SSIZE) << 4n);
export const newToOldR = (r: bigint): bigint => r & not(HPTE_R_3_0_SSIZE);

/**
 * Shifts (log2 bytes) of the base page, which the hash uses, and of the page that is really mapped.
 */
export interface PageSize {
  base: bigint;
  actual: bigint;
}

/** SPEC: KVM HV looks at bits 12..19 only; what they do not name is no page size. */
export function pageSize(v: bigint, r: bigint): PageSize | undefined {
  if ((v & HPTE_V_LARGE) === 0n) return { base: 12n, actual: 12n };
  const lpLow = (r >> 12n) & 0xfn;
  const lpHigh = (r >> 16n) & 0xfn;
  if (lpLow === 1n) return { base: 16n, actual: 16n };
  if (lpLow === 7n) return { base: 12n, actual: 16n };
  if (lpLow === 0n && lpHigh === 0n) return { base: 24n, actual: 24n };
  if (lpLow === 3n && lpHigh === 0n) return { base: 34n, actual: 34n };
  if (lpLow === 8n && lpHigh === 0n) return { base: 16n, actual: 24n };
  if (lpLow === 8n && lpHigh === 3n) return { base: 12n, actual: 24n };
  return undefined;
}

/** Guest address of the page's first byte; junk below the page size is not part of it. */
export function pageAddress(r: bigint, actualShift: bigint): bigint {
  return ((r & HPTE_R_RPN) >> actualShift) << actualShift;
}

export const protection = (r: bigint): bigint => r & (HPTE_R_PP0 | HPTE_R_PP);

export function isWritable(r: bigint): boolean {
  return protection(r) !== 3n && protection(r) !== (HPTE_R_PP0 | 2n);
}

export function makeReadonly(r: bigint): bigint {
  if ((r & HPTE_R_PP0) !== 0n || (r & HPTE_R_PP) === 0n) {
    return (r & not(HPTE_R_PP)) | HPTE_R_PP0 | 2n;
  }
  return r | 3n;
}

export const storageKey = (r: bigint): bigint =>
  ((r & HPTE_R_KEY_HI) >> 57n) | ((r & HPTE_R_KEY_LO) >> 9n);

/** The guest owns the slot; hardware uses it only when it is VALID. */
export const isOccupied = (v: bigint): boolean => (v & (HPTE_V_VALID | HPTE_V_ABSENT)) !== 0n;
export const isValid = (v: bigint): boolean => (v & HPTE_V_VALID) !== 0n;
export const isAbsent = (v: bigint): boolean => (v & HPTE_V_ABSENT) !== 0n;
export const isBolted = (v: bigint): boolean => (v & HPTE_V_BOLTED) !== 0n;
export const isSecondary = (v: bigint): boolean => (v & HPTE_V_SECONDARY) !== 0n;

/** ABSENT with a real key of 31 stands for MMIO, with a real key of 0 for a page that is away. */
export const isMmio = (v: bigint, r: bigint): boolean =>
  isAbsent(v) && (r & HPTE_R_KEY) === HPTE_R_KEY;

/** How dword 0 looks to the guest: no lock bit, and ABSENT is VALID. */
export function guestDword0(v: bigint): bigint {
  const unlocked = v & not(HPTE_V_HVLOCK);
  return isAbsent(v) ? (unlocked & not(HPTE_V_ABSENT)) | HPTE_V_VALID : unlocked;
}

/** The VSID's share of the hash, before the page number is added. */
export function vsidHash(vsid: bigint, oneTerabyte: boolean): bigint {
  return oneTerabyte ? vsid ^ (vsid << 25n) : vsid;
}

/** Where an entry's virtual page lies, rebuilt from its AVPN and from the group that holds it. */
export interface VirtualPage {
  vsid: bigint;
  /** Byte offset in the segment, a multiple of the base page. */
  offset: bigint;
  /** Not masked: primary group = hash & mask, secondary group = ~hash & mask. */
  hash: bigint;
}

/**
 * SPEC: KVM HV, resizing: the 23 address bits that the AVPN lacks come back from the group number,
 * and it is the base page size that counts (a mixed-size entry hashes by its base).
 */
export function virtualPage(v: bigint, base: bigint, ptex: number, groupMask: bigint): VirtualPage {
  const oneTerabyte = (v & HPTE_V_SSIZE) === HPTE_V_1TB_SEG;
  const avpn = ((v & HPTE_V_AVPN) >> 7n) & not(((1n << base) - 1n) >> 23n);
  const segmentBits = oneTerabyte ? 17n : 5n;
  const vsid = avpn >> segmentBits;
  const fromVsid = vsidHash(vsid, oneTerabyte);
  const group = BigInt(ptex >> 3) ^ (isSecondary(v) ? groupMask : 0n);
  let offset = (avpn & ((1n << segmentBits) - 1n)) << 23n;
  if (base < 23n) offset |= ((fromVsid ^ group) & groupMask) << base;
  return { vsid, offset, hash: fromVsid ^ (offset >> base) };
}
