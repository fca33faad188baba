/**
 * A hash page table entry, decoded for people: what its two words say, how large its page is, and
 * which virtual page it maps.
 *
 *   dword 0   | B:2 |            AVPN:55             |HVLOCK|ABSENT|BOLTED|LOCK| L | H | V |
 *              63 62 61                            7     6      5      4     3    2   1   0
 *   dword 1   |PP0|TS|KEY_HI:2|   RPN (LP in bits 12-19 if L)   |KEY_LO:3| R | C |WIMG:4| N | PP:2|
 *               63 62 61    60 59                             12 11     9  8   7  6    3  2  1   0
 *
 * SPEC: Power ISA, "Hashed Page Table"; PAPR, "Page Frame Table Access". The software bits are
 * named as Linux does.
 */
import { hex } from './words.ts';

export const HPTE_V_B = 3n << 62n;
export const HPTE_V_1TB = 1n << 62n;
export const HPTE_V_AVPN = 0x3fff_ffff_ffff_ff80n;
/** What H_AVPN compares: B and AVPN. */
export const HPTE_V_COMPARED = 0xffff_ffff_ffff_ff80n;
export const HPTE_V_HVLOCK = 0x40n;
export const HPTE_V_ABSENT = 0x20n;
export const HPTE_V_BOLTED = 0x10n;
export const HPTE_V_LOCK = 0x08n;
export const HPTE_V_LARGE = 0x04n;
export const HPTE_V_SECONDARY = 0x02n;
export const HPTE_V_VALID = 0x01n;

export const HPTE_R_PP0 = 1n << 63n;
export const HPTE_R_TS = 1n << 62n;
export const HPTE_R_KEY_HI = 3n << 60n;
export const HPTE_R_RPN = 0x0fff_ffff_ffff_f000n;
export const HPTE_R_KEY_LO = 0xe00n;
export const HPTE_R_R = 0x100n;
export const HPTE_R_C = 0x80n;
export const HPTE_R_W = 0x40n;
export const HPTE_R_I = 0x20n;
export const HPTE_R_M = 0x10n;
export const HPTE_R_G = 0x08n;
export const HPTE_R_N = 0x04n;
export const HPTE_R_PP = 0x03n;
/** Where the ISA 3.0 format keeps B. */
const HPTE_R_3_0_B_SHIFT = 58n;
const HPTE_V_3_0 = 0x000f_ffff_ffff_ffffn;

const WORD_MASK = (1n << 64n) - 1n;

/** The single bits of dword 0, highest first. */
export const DWORD0_BITS: readonly (readonly [name: string, bit: bigint])[] = [
  ['HVLOCK', HPTE_V_HVLOCK],
  ['ABSENT', HPTE_V_ABSENT],
  ['BOLTED', HPTE_V_BOLTED],
  ['LOCK', HPTE_V_LOCK],
  ['LARGE', HPTE_V_LARGE],
  ['SECONDARY', HPTE_V_SECONDARY],
  ['VALID', HPTE_V_VALID],
];

export interface PageSize {
  /** log2 of the bytes that the hash and the AVPN go by, and that the segment is declared with. */
  readonly baseShift: number;
  /** log2 of the bytes that the entry really maps. */
  readonly actualShift: number;
}

interface PageEncoding extends PageSize {
  /** Bits 12-19 of dword 1, and which of them count. */
  readonly lp: number;
  readonly lpMask: number;
}

/** Encodings with L = 1; without L base and actual are 4 KiB. */
const PAGE_ENCODINGS: readonly PageEncoding[] = [
  { lp: 0x00, lpMask: 0xff, baseShift: 24, actualShift: 24 },
  { lp: 0x01, lpMask: 0x0f, baseShift: 16, actualShift: 16 },
  { lp: 0x03, lpMask: 0xff, baseShift: 34, actualShift: 34 },
  { lp: 0x07, lpMask: 0x0f, baseShift: 12, actualShift: 16 },
  { lp: 0x08, lpMask: 0xff, baseShift: 16, actualShift: 24 },
  { lp: 0x38, lpMask: 0xff, baseShift: 12, actualShift: 24 },
];
const PAGE_4K: PageSize = { baseShift: 12, actualShift: 12 };

/** The LP field: bits 12-19 of dword 1. */
export function lpField(dword1: bigint): number {
  return Number((dword1 >> 12n) & 0xffn);
}

/** The page size that (L, LP) encode, `undefined` where they encode none. */
export function pageSizeOf(dword0: bigint, dword1: bigint): PageSize | undefined {
  if ((dword0 & HPTE_V_LARGE) === 0n) return PAGE_4K;
  const lp = lpField(dword1);
  return PAGE_ENCODINGS.find((row) => (lp & row.lpMask) === row.lp);
}

/** The known encodings in words, for messages. */
export function pageEncodingsText(): string {
  return PAGE_ENCODINGS.map(({ lp, lpMask, baseShift, actualShift }) => {
    const field = lpMask === 0xff ? `0x${lp.toString(16)}` : `0x?${lp.toString(16)}`;
    const mixed = baseShift === actualShift ? '' : ` in a ${bytesText(baseShift)} segment`;
    return `${field} ${bytesText(actualShift)}${mixed}`;
  }).join(', ');
}

/** 2^shift bytes: 4K, 64K, 16M, 16G. */
export function bytesText(shift: number): string {
  const unit = Math.floor(shift / 10);
  return `${2 ** (shift - 10 * unit)}${['', 'K', 'M', 'G', 'T', 'P', 'E'][unit] ?? ''}`;
}

/** log2 of the segment's bytes; `undefined` for the reserved values of B. */
export function segmentShiftOf(dword0: bigint): number | undefined {
  const b = (dword0 & WORD_MASK) >> 62n;
  if (b > 1n) return undefined;
  return b === 1n ? 40 : 28;
}

export interface DecodedDword0 {
  word: string;
  /** `256M`, `1T`, or what is reserved. */
  segment: string;
  /** The field where it stands, as H_AVPN wants it (B is compared too, see `compared`). */
  avpn: string;
  compared: string;
  hvlock: boolean;
  absent: boolean;
  bolted: boolean;
  lock: boolean;
  large: boolean;
  secondary: boolean;
  valid: boolean;
}

export function decodeDword0(dword0: bigint): DecodedDword0 {
  const shift = segmentShiftOf(dword0);
  const has = (bit: bigint) => (dword0 & bit) !== 0n;
  return {
    word: hex(dword0),
    segment: shift === undefined ? `reserved (B = ${dword0 >> 62n})` : bytesText(shift),
    avpn: hex(dword0 & HPTE_V_AVPN),
    compared: hex(dword0 & HPTE_V_COMPARED),
    hvlock: has(HPTE_V_HVLOCK),
    absent: has(HPTE_V_ABSENT),
    bolted: has(HPTE_V_BOLTED),
    lock: has(HPTE_V_LOCK),
    large: has(HPTE_V_LARGE),
    secondary: has(HPTE_V_SECONDARY),
    valid: has(HPTE_V_VALID),
  };
}

export interface DecodedDword1 {
  word: string;
  pp0: boolean;
  ts: boolean;
  key: number;
  rpn: string;
  referenced: boolean;
  changed: boolean;
  /** The letters of the bits that are set, `-` for the others: `--M-` is normal memory. */
  wimg: string;
  noExecute: boolean;
  pp: number;
  /** Who may do what, in words. */
  protection: string;
}

export function decodeDword1(dword1: bigint): DecodedDword1 {
  const has = (bit: bigint) => (dword1 & bit) !== 0n;
  return {
    word: hex(dword1),
    pp0: has(HPTE_R_PP0),
    ts: has(HPTE_R_TS),
    key: Number(((dword1 & HPTE_R_KEY_HI) >> 57n) | ((dword1 & HPTE_R_KEY_LO) >> 9n)),
    rpn: hex(dword1 & HPTE_R_RPN),
    referenced: has(HPTE_R_R),
    changed: has(HPTE_R_C),
    wimg: wimgLetters((dword1 >> 3n) & 15n),
    noExecute: has(HPTE_R_N),
    pp: Number(dword1 & HPTE_R_PP),
    protection: protectionText(dword1),
  };
}

/** Four bits, W highest, as letters. */
export function wimgLetters(wimg: bigint): string {
  const letters = ['W', 'I', 'M', 'G'];
  return letters.map((letter, i) => ((wimg >> BigInt(3 - i)) & 1n ? letter : '-')).join('');
}

const PROTECTIONS = [
  'supervisor read and write, user nothing',
  'supervisor read and write, user read',
  'supervisor and user read and write',
  'supervisor and user read',
  'reserved (PP0 with PP 0)',
  'reserved (PP0 with PP 1)',
  'supervisor read, user nothing',
  'reserved (PP0 with PP 3)',
] as const;

/** Supervisor and user stand for a segment's storage key 0 and 1, which is how systems use them. */
function protectionText(dword1: bigint): string {
  const pp0 = (dword1 & HPTE_R_PP0) === 0n ? 0 : 4;
  const access = PROTECTIONS[pp0 + Number(dword1 & HPTE_R_PP)]!;
  if ((dword1 & HPTE_R_N) !== 0n) return `${access}; no execute`;
  if ((dword1 & HPTE_R_G) !== 0n) return `${access}; no execute (guarded)`;
  return access;
}

export interface VirtualPage {
  segment: string;
  vsid: string;
  /**
   * Offset of the page in its segment; `null` where the group does not give back what the AVPN
   * lacks.
   */
  segmentOffset: string | null;
  /** VSID and offset in one: the virtual address of the page. `null` with the offset. */
  virtualAddress: string | null;
  /**
   * Whether a search for the page looks into the group that holds the entry. H_ENTER does not
   * check.
   */
  found: boolean;
}

/**
 * Which virtual page the entry maps, from its AVPN and the number of its group in a table of
 * 2^order bytes. `null` where nothing can be told: B or the page size is unknown.
 *
 * SPEC: Power ISA, "Page Table Search": hash = VSID ^ (offset >> p), for 1T segments ^ (VSID << 25)
 * too, and the group is the hash's low bits, complemented for a secondary entry. The AVPN ends at
 * bit 23 of the address, so the bits of the offset from p to 22 are in the group alone: xor the
 * VSID out again.
 */
export function virtualPageOf(
  dword0: bigint,
  dword1: bigint,
  group: bigint,
  order: number,
): VirtualPage | null {
  const size = pageSizeOf(dword0, dword1);
  const segmentShift = segmentShiftOf(dword0);
  if (size === undefined || segmentShift === undefined) return null;
  const pageShift = BigInt(size.baseShift);
  const offsetBits = BigInt(segmentShift);
  const groupMask = (1n << BigInt(order - 7)) - 1n;
  const known = ((dword0 & HPTE_V_AVPN) >> 7n) << 23n;
  const vsid = known >> offsetBits;
  const vsidHash = segmentShift === 40 ? vsid ^ (vsid << 25n) : vsid;
  const primary = (dword0 & HPTE_V_SECONDARY) === 0n ? group : ~group & groupMask;
  const pageInSegment = (vsidHash ^ primary) & groupMask;

  let offset = known & ((1n << offsetBits) - 1n);
  if (pageShift < 23n) offset |= (pageInSegment << pageShift) & 0x7f_ffffn;
  const found = ((offset >> pageShift) & groupMask) === pageInSegment;
  const told = found || pageShift >= 23n;
  return {
    segment: bytesText(segmentShift),
    vsid: hex(vsid),
    segmentOffset: told ? hex(offset) : null,
    virtualAddress: told ? hex((vsid << offsetBits) | offset) : null,
    found,
  };
}

/**
 * The group (primary or secondary) that a search for the page starts with; the way back, for tests
 * and tools.
 */
export function groupOf(
  vsid: bigint,
  offset: bigint,
  dword0: bigint,
  baseShift: number,
  order: number,
): bigint {
  const vsidHash = segmentShiftOf(dword0) === 40 ? vsid ^ (vsid << 25n) : vsid;
  const hash = vsidHash ^ (offset >> BigInt(baseShift));
  const groupMask = (1n << BigInt(order - 7)) - 1n;
  return ((dword0 & HPTE_V_SECONDARY) === 0n ? hash : ~hash) & groupMask;
}

export interface DecodedEntry {
  dword0: DecodedDword0;
  dword1: DecodedDword1;
  /** `null`: (L, LP) encode no page size. */
  page: { base: string; actual: string } | null;
  /** First address of the page that is mapped. */
  realAddress: string;
}

/** Both words of an entry in the format that guests see. */
export function decodeEntry(dword0: bigint, dword1: bigint): DecodedEntry {
  const size = pageSizeOf(dword0, dword1);
  const actual = 1n << BigInt(size?.actualShift ?? 12);
  return {
    dword0: decodeDword0(dword0),
    dword1: decodeDword1(dword1),
    page:
      size === undefined
        ? null
        : { base: bytesText(size.baseShift), actual: bytesText(size.actualShift) },
    realAddress: hex(dword1 & HPTE_R_RPN & ~(actual - 1n)),
  };
}

/**
 * The words of an entry that a POWER9 host keeps in the ISA 3.0 format, in the format of guests.
 * The AVPN's bits above 51 are gone: the new format has no room for them.
 */
export function fromIsa300(dword0: bigint, dword1: bigint): { dword0: bigint; dword1: bigint } {
  const b = (dword1 >> HPTE_R_3_0_B_SHIFT) & 3n;
  return {
    dword0: (dword0 & HPTE_V_3_0) | (b << 62n),
    dword1: dword1 & ~(3n << HPTE_R_3_0_B_SHIFT),
  };
}
