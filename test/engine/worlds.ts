/**
 * The guests of the property test, and the few pages, frames and addresses on which everything in a sequence falls, so
 * that operations meet.
 */
import type { GuestConfig } from '../../schemas/guests.ts';
import { MIB } from './harness.ts';
import { groupPtex } from './pages.ts';
import type { Page } from './pages.ts';

const HIGH_VSID = 1n << 32n;
/** Neighbours in a block of eight, one beyond it, the same with another VSID, and every page size. */
export const PAGES: readonly Page[] = [
  { vsid: 0x123n, offset: 0x45_6000n, size: '4K' },
  { vsid: 0x123n, offset: 0x45_7000n, size: '4K' },
  { vsid: 0x123n, offset: 0x45_8000n, size: '4K' },
  { vsid: 0x123n, offset: 0x45_6000n, size: '64K in 4K' },
  { vsid: 0x123n | HIGH_VSID, offset: 0x45_6000n, size: '4K', oneTerabyte: true },
  { vsid: 0x123n, offset: 0x45_6000n, size: '4K', oneTerabyte: true },
  { vsid: 0x77_1234n, offset: 0x0123_0000n, size: '64K' },
  { vsid: 0x77_1234n, offset: 0x0124_0000n, size: '64K' },
  { vsid: 0x77_1234n, offset: 0x0124_0000n, size: '16M in 64K' },
  { vsid: 0x5_5555n, offset: 0x33_0300_0000n, size: '16M', oneTerabyte: true },
  { vsid: 0x5_5555n, offset: 0x33_0400_0000n, size: '16M', oneTerabyte: true },
  { vsid: 0x99n, offset: 0x0300_0000n, size: '16M in 4K' },
  { vsid: 0x1ff_ffffn, offset: 0n, size: '16M', oneTerabyte: true },
  { vsid: 0x99n, offset: 0n, size: '16G', oneTerabyte: true },
];

/** Pages that a whole sequence keeps to: all of them, those of one block, or so few that groups fill up. */
export const FAMILIES: readonly (readonly number[])[] = [
  PAGES.map((_, i) => i),
  [0, 1, 2, 3, 4, 5],
  [6, 7, 8],
  [9, 10, 12],
  [4, 5],
  [0],
];

/** A word, or something that becomes one: a slot of a page's group, with bits to set beside it. */
export type Argument = bigint | Place;

export interface Place {
  readonly page: number;
  readonly secondary: boolean;
  readonly slot: bigint;
  readonly bits?: bigint;
}

export interface Step {
  readonly name: string;
  readonly args: readonly Argument[];
  readonly explain: boolean;
  readonly processor: number;
}

/** The group of a page depends on the size of the table that is there when the word is used. */
export function resolve(argument: Argument, order: number): bigint {
  if (typeof argument === 'bigint') return argument;
  const group = groupPtex(PAGES[argument.page]!, order === 0 ? 18 : order, argument.secondary);
  return (argument.bits ?? 0n) | group | argument.slot;
}

const M = BigInt(MIB);
export const LAYOUTS: readonly GuestConfig['memslots'][] = [
  [{ base: 0n, bytes: 64 * MIB, kind: 'ram' }],
  // Two slots that part a backing page of 16 MiB, a cache-inhibited one, and one at odds with every huge page.
  [
    { base: 0n, bytes: 24 * MIB, kind: 'ram' },
    { base: 24n * M, bytes: 24 * MIB, kind: 'ram' },
    { base: 64n * M, bytes: 16 * MIB, kind: 'ci' },
    { base: 128n * M + 0x1_0000n, bytes: 0x3_0000, kind: 'ram' },
  ],
  [
    { base: 0n, bytes: 32 * MIB, kind: 'ci' },
    { base: 64n * M, bytes: 32 * MIB, kind: 'ram' },
  ],
];

/** Guest addresses that pages of every size can share, the seams of the slots, and MMIO. */
export const ADDRESSES: readonly bigint[] = [
  0n,
  0x1_0000n,
  0x2_0000n,
  16n * M,
  24n * M,
  32n * M,
  64n * M,
  128n * M + 0x1_0000n,
  1n << 32n,
];
/** Frames beside those, the last one of a slot, the inside of a huge page. */
export const RARE_ADDRESSES: readonly bigint[] = [
  0x1_1000n,
  0x1_0004n,
  23n * M,
  24n * M - 8n,
  16n * M + 0x5_0000n,
  63n * M,
  128n * M + 0x2_3000n,
  80n * M,
  1n << 43n,
];
