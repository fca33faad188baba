/** Bodies of the resources of a guest that people and scripts use: memory slots, host events, the walk, a resize. */
import { z } from 'zod';
import { GPA_LIMIT, ORDER_MAX, ORDER_MIN } from './limits.ts';
import { word } from './words.ts';

const gpa = word.describe('guest address, a "0x…" word');

export const memslotBody = z.strictObject({
  base: word.describe('guest address of the first byte, a "0x…" word, a multiple of the host page'),
  bytes: z
    .int()
    .positive()
    .max(Number(GPA_LIMIT))
    .describe('length in bytes, a multiple of the host page'),
  kind: z.enum(['ram', 'ci']).default('ram').describe('ram, or ci for cache-inhibited memory'),
});

export const hostPageBody = z.strictObject({ gpa });

export const pageFaultBody = z.strictObject({
  ptex: word.describe('index of the entry that was touched'),
  write: z.boolean().default(false).describe('true for a store'),
});

export const dirtyBody = z.strictObject({
  gpa,
  bytes: z.int().positive().max(Number(GPA_LIMIT)).describe('length of the range in bytes'),
});

export const walkBody = z.strictObject({
  ea: word.describe('effective address, a "0x…" word'),
  slbv: word.describe("VSID word of the segment's SLB entry, as slbmte takes it in RS"),
  store: z.boolean().default(false).describe('true for a store'),
  fetch: z.boolean().default(false).describe('true for an instruction fetch'),
  problemState: z.boolean().default(false).describe('true in problem state (user mode)'),
  amr: word.prefault('0x0').describe('Authority Mask Register, a "0x…" word'),
});

export const resizeBody = z.strictObject({
  order: z
    .int()
    .min(ORDER_MIN)
    .max(ORDER_MAX)
    .describe(`log2 of the new table's bytes, ${ORDER_MIN} to ${ORDER_MAX}`),
});

/** What WALK answers, by its number. */
export const WALK_OUTCOMES = [
  'translated',
  'no-entry',
  'protection',
  'storage-key',
  'no-execute',
  'entry-absent',
  'mmio',
] as const;

/** What HOST_PAGE_FAULT answers, by its number. */
export const PAGE_FAULT_OUTCOMES = [
  'valid-now',
  'empty',
  'mmio',
  'host-page-absent',
  'page-too-big',
  'wimg-wrong',
] as const;

/** What RESIZE_STATE means, by its number. */
export const RESIZE_STATES = ['none', 'preparing', 'ready', 'failed'] as const;
