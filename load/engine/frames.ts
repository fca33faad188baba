/**
 * Frames of request records, written up front so that no record is made while a clock runs.
 *
 * Words are written as 32-bit halves: making 64-bit words as bigints would take longer than executing the hcalls.
 * A record's tag is the status it must be answered with, so that whoever checks needs no second list.
 */
import { RECORD_VERSION } from '../../schemas/records.ts';

export const H_REMOVE = 0x04;
export const H_ENTER = 0x08;
export const H_READ = 0x0c;
export const H_CLEAR_MOD = 0x10;
export const H_CLEAR_REF = 0x14;
export const H_PROTECT = 0x18;
export const H_BULK_REMOVE = 0x124;

/** A tag of records that may be answered with H_SUCCESS or H_NOT_FOUND. */
export const FOUND_OR_NOT = 0x10000;

/** The longest record of any mix: H_BULK_REMOVE with eight words. */
export const RECORD_BYTES_MAX = 72;

export interface Frame {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly hcalls: number;
}

export interface FrameWriter {
  words: Uint32Array<ArrayBuffer>;
  /** Words written, and records. */
  at: number;
  hcalls: number;
}

export function openFrame(hcallsMax: number): FrameWriter {
  return { words: new Uint32Array((hcallsMax * RECORD_BYTES_MAX) / 4), at: 0, hcalls: 0 };
}

/** The frame written so far; the writer starts a new one. */
export function takeFrame(writer: FrameWriter): Frame {
  const bytes = new Uint8Array(writer.words.slice(0, writer.at).buffer);
  const frame = { bytes, hcalls: writer.hcalls };
  writer.at = 0;
  writer.hcalls = 0;
  return frame;
}

/** A record's header; then `words` words follow by `put`. */
export function begin(writer: FrameWriter, opcode: number, words: number, tag: number): void {
  writer.words[writer.at++] = opcode | (words << 16) | (RECORD_VERSION << 28);
  writer.words[writer.at++] = tag;
  writer.hcalls++;
}

/** One word, from its halves. */
export function put(writer: FrameWriter, high: number, low: number): void {
  writer.words[writer.at++] = low;
  writer.words[writer.at++] = high;
}
