/** A guest as REST creates and shows it: its table, its memory slots, what stands behind them. */
import { z } from 'zod';
import { GPA_LIMIT, MEMSLOTS_MAX, ORDER_MAX, ORDER_MIN } from './limits.ts';
import { word } from './words.ts';

export const guestName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'a guest name is 1 to 63 letters, digits, dots, dashes or underscores, the first a letter or digit',
  )
  .describe('name of the guest');

const hostPageBytes = z.union([z.literal(4096), z.literal(65536)]);
const backingPageBytes = z.union([
  z.literal(4096),
  z.literal(65536),
  z.literal(2 ** 24),
  z.literal(2 ** 34),
]);

/** What SLOT_SEARCH means to the engine, from 0 on. */
export const SLOT_SEARCHES = ['linearizable', 'two-pass', 'one-pass'] as const;

export const memslot = z.strictObject({
  base: word.describe('guest address of the first byte'),
  bytes: z.int().positive().max(Number(GPA_LIMIT)).describe('length'),
  kind: z
    .enum(['ram', 'ci'])
    .default('ram')
    .describe('RAM, or memory that must be mapped cache-inhibited'),
});

export const guestConfig = z.strictObject({
  order: z
    .union([z.literal(0), z.int().min(ORDER_MIN).max(ORDER_MAX)])
    .describe(`log2 of the table's bytes, ${ORDER_MIN} to ${ORDER_MAX}; 0: no table yet`),
  ramBytes: z
    .int()
    .positive()
    .max(Number(GPA_LIMIT))
    .optional()
    .describe(
      'guest memory: bounds what H_RESIZE_HPT_PREPARE allows, and is one slot at address 0 unless memslots are given',
    ),
  memslots: z
    .array(memslot)
    .max(MEMSLOTS_MAX)
    .optional()
    .describe('memory slots; addresses outside them are MMIO'),
  hostPageBytes: hostPageBytes
    .default(65536)
    .describe("the host's page size, the granularity of a guest frame"),
  backingPageBytes: backingPageBytes
    .default(2 ** 24)
    .describe('size of the host pages behind guest memory'),
  isa300: z
    .boolean()
    .default(false)
    .describe('keep entries in the ISA 3.0 format, as a POWER9 host does'),
  memory: z
    .enum(['none', 'backed'])
    .default('none')
    .describe(
      'backed: keep the bytes of guest memory, so that H_ZERO_PAGE and H_PAGE_INIT really write',
    ),
  state: z
    .enum(['running', 'paused'])
    .default('running')
    .describe('what it is once it is there: paused takes a table before its first hcall'),
  slotSearch: z
    .enum(SLOT_SEARCHES)
    .default('linearizable')
    .describe(
      'for experiments: how H_ENTER looks for a slot. one-pass: each is tried once; two-pass: each is then locked, looked at and unlocked, as KVM HV does; linearizable: H_PTEG_FULL only if no slot was free at one instant',
    ),
});

export type GuestConfig = z.output<typeof guestConfig>;

/**
 * What a guest's tables may take: the largest that its own hcalls can give it, with its reverse map, and as much for one in
 * preparation beside it. SPEC: src/engine/hcalls/resize.ts bounds H_RESIZE_HPT_PREPARE so.
 */
export function tableBytesMost({ order, ramBytes, memslots = [] }: GuestConfig): number {
  const ram =
    ramBytes ?? memslots.reduce((sum, { bytes, kind }) => sum + (kind === 'ram' ? bytes : 0), 0);
  const recommended = Math.max(Math.ceil(Math.log2(Math.max(ram, 1))) - 7, ORDER_MIN);
  return 4 * 2 ** Math.min(Math.max(order, recommended + 1), ORDER_MAX);
}
