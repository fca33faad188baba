/** Virtual pages and the entries that map them: what a guest's kernel works out before it makes an hcall. */
import { groupOf } from '../../schemas/hpte.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import type { TestProcessor } from './harness.ts';

export const V = 0x01n;
export const SECONDARY = 0x02n;
export const LARGE = 0x04n;
export const BOLTED = 0x10n;
export const ABSENT = 0x20n;
export const HVLOCK = 0x40n;
export const ONE_TERABYTE = 1n << 62n;
export const R = 0x100n;
export const C = 0x80n;
export const MODIFIED = 1n << 62n;
/** WIMG 0010, PP 2: memory that everybody may read and write. */
export const RW = 0x12n;
export const EXACT = 1n << 39n;
export const READ_4 = 1n << 37n;
export const AVPN = 1n << 31n;
export const ANDCOND = 1n << 30n;
export const ZERO = 1n << 15n;
export const COPY = 1n << 14n;
export const ALL_ONES = (1n << 64n) - 1n;

/** Base and actual shift, L and LP in their places, and how a segment asks for the base. */
export const SIZES = {
  '4K': { base: 12, actual: 12, l: 0n, lp: 0n, slb: 0x000n },
  '64K': { base: 16, actual: 16, l: LARGE, lp: 0x1000n, slb: 0x110n },
  '16M': { base: 24, actual: 24, l: LARGE, lp: 0n, slb: 0x100n },
  '16G': { base: 34, actual: 34, l: LARGE, lp: 0x3000n, slb: 0x120n },
  '64K in 4K': { base: 12, actual: 16, l: LARGE, lp: 0x7000n, slb: 0x000n },
  '16M in 64K': { base: 16, actual: 24, l: LARGE, lp: 0x8000n, slb: 0x110n },
  '16M in 4K': { base: 12, actual: 24, l: LARGE, lp: 0x38000n, slb: 0x000n },
} as const;
export type SizeName = keyof typeof SIZES;

export interface Page {
  readonly vsid: bigint;
  /** Byte offset in the segment. */
  readonly offset: bigint;
  readonly size: SizeName;
  readonly oneTerabyte?: boolean;
}

/** dword 0 but for software bits: B, AVPN, L and VALID. */
export function dword0(page: Page): bigint {
  const { base, l } = SIZES[page.size];
  const va = (page.vsid << (page.oneTerabyte === true ? 40n : 28n)) | page.offset;
  const known = va >> 23n;
  const dropped = base > 23 ? (1n << BigInt(base - 23)) - 1n : 0n;
  return (page.oneTerabyte === true ? ONE_TERABYTE : 0n) | ((known & ~dropped) << 7n) | l | V;
}

/** B and AVPN, as H_AVPN compares them. */
export function avpn(page: Page): bigint {
  return dword0(page) & ~0x7fn;
}

export function dword1(page: Page, gpa: bigint, bits: bigint): bigint {
  return gpa | SIZES[page.size].lp | bits;
}

/** First ptex of the page's group. */
export function groupPtex(page: Page, order: number, secondary = false): bigint {
  const v = dword0(page) | (secondary ? SECONDARY : 0n);
  return groupOf(page.vsid, page.offset, v, SIZES[page.size].base, order) * 8n;
}

/** The segment's word as WALK takes it. */
export function slbv(page: Page): bigint {
  const vsid = page.vsid << (page.oneTerabyte === true ? 24n : 12n);
  return (page.oneTerabyte === true ? ONE_TERABYTE : 0n) | vsid | SIZES[page.size].slb;
}

/** Enters into that very slot, and throws if it did not work. */
export function enterAt(on: TestProcessor, ptex: bigint, v: bigint, r: bigint): bigint {
  const { status } = on.call('H_ENTER', [EXACT, ptex, v, r]);
  if (status !== STATUSES.H_SUCCESS) throw new Error(`H_ENTER at ${ptex}: ${status}`);
  return ptex;
}

/** Enters a page into slot `slot` of its primary or secondary group of a table of that order. */
export function enterPage(
  on: TestProcessor,
  page: Page,
  gpa: bigint,
  how: {
    bits?: bigint;
    software?: bigint;
    slot?: bigint;
    secondary?: boolean;
    order?: number;
  } = {},
): bigint {
  const { bits = RW, software = 0n, slot = 0n, secondary = false, order = 18 } = how;
  const v = dword0(page) | software | (secondary ? SECONDARY : 0n);
  return enterAt(on, groupPtex(page, order, secondary) + slot, v, dword1(page, gpa, bits));
}

/** A word as the table stream has it, big-endian. */
export function swapBytes(word: bigint): bigint {
  let swapped = 0n;
  for (let i = 0n; i < 64n; i += 8n) swapped |= ((word >> i) & 0xffn) << (56n - i);
  return swapped;
}
