/**
 * A trace made ready to be replayed: what to send and what must come back, both already as the stream's bytes.
 *
 * `requests` and `expected` hold one record per event that is sent, in order, tagged with the event's line number.
 * A correct daemon's answers are byte for byte `expected`, but for the words listed in `undefinedAt`; so comparing is
 * comparing memory. Only where the next record depends on an answer does a step stand between runs of records.
 */
import type { RequestRecord } from '../../../schemas/records.ts';
import type { TraceHeader } from '../../../schemas/trace.ts';

export interface Plan {
  readonly header: TraceHeader;
  readonly requests: Uint8Array<ArrayBuffer>;
  readonly expected: Buffer<ArrayBuffer>;
  /** Byte offsets in `expected` of words that are not compared, ascending. */
  readonly undefinedAt: readonly number[];
  readonly steps: readonly Step[];
  /** Lines whose answer tells about the whole table. */
  readonly hashLines: ReadonlySet<number>;
  /** Event lines, END aside; those that are hcalls; those that are not sent. */
  readonly events: number;
  readonly hcalls: number;
  readonly skipped: number;
  /** How often each operation that hptd does not know was skipped. */
  readonly unknown: ReadonlyMap<string, number>;
}

export type Step =
  /** Records that depend on nothing but their order. `readerAt`: where the open reader's number goes. */
  | {
      readonly kind: 'run';
      readonly requestStart: number;
      requestEnd: number;
      readonly expectedStart: number;
      expectedEnd: number;
      readonly readerAt: number[];
    }
  /** H_RESIZE_HPT_PREPARE: asked until it is not busy, unless the recording was busy too. */
  | { readonly kind: 'prepare'; readonly record: RequestRecord; readonly status: number }
  /** HTAB_OPEN, whose answer the reads need. */
  | { readonly kind: 'open'; readonly record: RequestRecord; readonly status: number }
  /** TABLE_HASH of a table larger than one piece. */
  | {
      readonly kind: 'hash';
      readonly line: number;
      readonly entries: number;
      readonly hash: bigint;
      readonly valid: bigint;
    }
  /** END: the whole table, read entry by entry. */
  | {
      readonly kind: 'end';
      readonly line: number;
      readonly order: number;
      readonly validEntries?: number;
      readonly tableSha256?: string;
    };

export type Run = Extract<Step, { kind: 'run' }>;
