/**
 * The trace format hpt-trace/1: one header line, then one event a line.
 *
 * Keys that are not named here are provenance and statistics, for people: they are let through unread.
 * Words are strings of 1 to 16 hexadecimal digits after "0x". Used by the CLI's replay and by tests.
 */
import { z } from 'zod';
import { MEMSLOTS_MAX } from './limits.ts';

export const TRACE_FORMAT = 'hpt-trace/1';

/** The words stay strings: a trace has millions, and only its encoder knows where they go. */
const traceWord = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,16}$/, 'a word is "0x" and 1 to 16 hexadecimal digits');
const bytes = z.int().positive();
const order = z.int().min(0).max(46);

const traceMemslot = z.looseObject({
  base: z.union([traceWord, z.int().min(0)]),
  bytes,
  kind: z.enum(['ram', 'ci']).default('ram'),
});

/** Known deviations of the recording hypervisor, undone before comparing. Others need nothing. */
const quirks = z.looseObject({
  vSoftwareBit: traceWord.optional(),
  bulkRemoveRcShift: z.int().min(0).max(55).optional(),
});

export const traceHeader = z.looseObject({
  format: z.literal(TRACE_FORMAT),
  name: z.string().min(1),
  vcpus: z.int().positive().default(1),
  ordered: z.boolean().default(true),
  htabOrder: order,
  ramBytes: bytes.optional(),
  memslots: z.array(traceMemslot).max(MEMSLOTS_MAX).optional(),
  hostPageBytes: bytes.default(65536),
  backingPageBytes: bytes.default(2 ** 24),
  isa300: z.boolean().default(false),
  quirks: quirks.default({}),
  events: z.int().min(0).optional(),
});

const words = z.array(traceWord);
const ret = z.int();

/** An hcall, or a host event written like one. `out` may hold null (undefined) and, for HTAB_READ, bytes in hex. */
export const callEvent = z.looseObject({
  op: z.string().min(1),
  args: words,
  ret,
  out: z.array(z.union([traceWord, z.null()])).default([]),
});

export const htabReadEvent = z.looseObject({
  op: z.literal('HTAB_READ'),
  args: words.length(1),
  ret,
  out: z
    .array(
      z.string().regex(/^([0-9a-fA-F]{2})*$/, 'table stream bytes are pairs of hexadecimal digits'),
    )
    .max(1)
    .default([]),
});

export const referenceEvent = z.looseObject({
  op: z.enum(['SET_R', 'SET_C']),
  ptex: z.int().min(0),
});
export const resetEvent = z.looseObject({ op: z.literal('HPT_RESET'), order });
export const bareEvent = z.looseObject({ op: z.string().min(1) });

export const endEvent = z.looseObject({
  op: z.literal('END'),
  order: order.optional(),
  validEntries: z.int().min(0).optional(),
  tableSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'a SHA-256 is 64 lower-case hexadecimal digits')
    .optional(),
});

export type TraceHeader = z.output<typeof traceHeader>;
export type CallEvent = z.output<typeof callEvent>;
export type HtabReadEvent = z.output<typeof htabReadEvent>;
export type EndEvent = z.output<typeof endEvent>;

/** Events without an hcall that are written like one. */
const CALL_LIKE = /^(H_.+|HOST_.+|HPT_RESIZE|SET_RC|TABLE_HASH|HTAB_OPEN|HTAB_CLOSE)$/;

/** Which schema an event of this name must satisfy; a name that the format does not have satisfies the least. */
export function eventSchema(op: string): z.ZodType {
  switch (op) {
    case 'SET_R':
    case 'SET_C':
      return referenceEvent;
    case 'HPT_RESET':
      return resetEvent;
    case 'HTAB_READ':
      return htabReadEvent;
    case 'END':
      return endEvent;
    case 'H_REGISTER_PROC_TBL':
      return bareEvent;
    default:
      return CALL_LIKE.test(op) ? callEvent : bareEvent;
  }
}
