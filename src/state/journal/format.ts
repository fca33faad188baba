/**
 * A guest's journal as bytes: segments of groups of entries. Pure. docs/journal.md describes the format for people.
 *
 *   segment    header (64 bytes), then groups one behind the other
 *   group      header (32 bytes), then entries; what was written and synced at once
 *   entry      u32 kind << 28 | stream, u32 bytes, the bytes, zeroes up to a multiple of 8
 *
 * Numbers are little-endian. Each header has a checksum of its own, so that a length can be believed before it is followed.
 * Groups are numbered over all segments of a guest without a gap: what is missing shows.
 */
import { crc32 } from 'node:zlib';

export const SEGMENT_HEADER_BYTES = 64;
export const GROUP_HEADER_BYTES = 32;
export const ENTRY_HEADER_BYTES = 8;

const SEGMENT_MAGIC = 0x4c_4e_52_4a_44_54_50_48n; // "HPTDJRNL"
const SEGMENT_VERSION = 1;
const SEGMENT_CRC_AT = 60;
export const GROUP_MAGIC = 0x50_52_47_48; // "HGRP"
const GROUP_CRC_AT = 28;
const FLAG_CONTINUES = 1;

/** A stream is opened; one byte: 1 for the role host. */
export const ENTRY_STREAM = 1;
/** A frame that the stream was sent, written ahead of its execution: request records. */
export const ENTRY_FRAME = 2;
/** The next records of the stream were executed: their answers. These entries stand in the order of execution. */
export const ENTRY_ANSWERS = 3;
const KIND_SHIFT = 28;
/** Streams of one segment. */
export const STREAM_MASK = 0xfff_ffff;

export interface SegmentHeader {
  readonly segment: number;
  /** Number of its first group. */
  readonly firstGroup: number;
  /** createdAt of the guest in milliseconds: a guest of the same name that was deleted has another. */
  readonly guestBirth: number;
  /** It goes on where the segment before it ends; else only the snapshot of its number leads to its beginning. */
  readonly continues: boolean;
}

export interface GroupHeader {
  readonly group: number;
  readonly segment: number;
  readonly bytes: number;
  readonly crc: number;
}

export interface Entry {
  readonly kind: number;
  readonly stream: number;
  readonly bytes: Uint8Array;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, SEGMENT_MAGIC, true);
  view.setUint32(8, SEGMENT_VERSION, true);
  view.setUint32(12, header.continues ? FLAG_CONTINUES : 0, true);
  view.setBigUint64(16, BigInt(header.segment), true);
  view.setBigUint64(24, BigInt(header.firstGroup), true);
  view.setBigUint64(32, BigInt(header.guestBirth), true);
  view.setUint32(SEGMENT_CRC_AT, crc32(bytes.subarray(0, SEGMENT_CRC_AT)), true);
  return bytes;
}

/** The header, or what is wrong with it. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | string {
  if (bytes.byteLength < SEGMENT_HEADER_BYTES) return 'it is shorter than its header';
  const view = viewOf(bytes);
  if (view.getBigUint64(0, true) !== SEGMENT_MAGIC) return 'it is no journal of hptd';
  if (view.getUint32(SEGMENT_CRC_AT, true) !== crc32(bytes.subarray(0, SEGMENT_CRC_AT)))
    return 'the checksum of its header is wrong';
  const version = view.getUint32(8, true);
  if (version !== SEGMENT_VERSION) return `its version is ${version}, not ${SEGMENT_VERSION}`;
  return {
    continues: (view.getUint32(12, true) & FLAG_CONTINUES) !== 0,
    segment: Number(view.getBigUint64(16, true)),
    firstGroup: Number(view.getBigUint64(24, true)),
    guestBirth: Number(view.getBigUint64(32, true)),
  };
}

/** Writes a group's header before its entries, which begin at GROUP_HEADER_BYTES and reach to the end of `bytes`. */
export function sealGroup(bytes: Uint8Array, segment: number, group: number): void {
  const view = viewOf(bytes);
  view.setUint32(0, GROUP_MAGIC, true);
  view.setUint32(4, bytes.byteLength - GROUP_HEADER_BYTES, true);
  view.setBigUint64(8, BigInt(group), true);
  view.setBigUint64(16, BigInt(segment), true);
  view.setUint32(24, crc32(bytes.subarray(GROUP_HEADER_BYTES)), true);
  view.setUint32(GROUP_CRC_AT, crc32(bytes.subarray(0, GROUP_CRC_AT)), true);
}

/** The header that begins at `at`; undefined: there is none. */
export function decodeGroupHeader(bytes: Uint8Array, at: number): GroupHeader | undefined {
  if (at + GROUP_HEADER_BYTES > bytes.byteLength) return undefined;
  const view = viewOf(bytes.subarray(at, at + GROUP_HEADER_BYTES));
  if (view.getUint32(0, true) !== GROUP_MAGIC) return undefined;
  if (view.getUint32(GROUP_CRC_AT, true) !== crc32(bytes.subarray(at, at + GROUP_CRC_AT)))
    return undefined;
  return {
    bytes: view.getUint32(4, true),
    group: Number(view.getBigUint64(8, true)),
    segment: Number(view.getBigUint64(16, true)),
    crc: view.getUint32(24, true),
  };
}

export function entryBytes(bytes: number): number {
  return ENTRY_HEADER_BYTES + ((bytes + 7) & ~7);
}

/** Writes an entry at `at`, of which entryBytes() is the length. `to` has zeroes there. */
export function writeEntry(to: Buffer, at: number, { kind, stream, bytes }: Entry): void {
  to.writeUInt32LE(((kind << KIND_SHIFT) | stream) >>> 0, at);
  to.writeUInt32LE(bytes.byteLength, at + 4);
  to.set(bytes, at + ENTRY_HEADER_BYTES);
  const end = at + ENTRY_HEADER_BYTES + bytes.byteLength;
  to.fill(0, end, at + entryBytes(bytes.byteLength));
}

/** The entries of a group whose checksum is right. */
export function* entriesOf(group: Uint8Array): Generator<Entry> {
  const view = viewOf(group);
  for (let at = 0; at < group.byteLength; ) {
    const head = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    const first = at + ENTRY_HEADER_BYTES;
    yield {
      kind: head >>> KIND_SHIFT,
      stream: head & STREAM_MASK,
      bytes: group.subarray(first, first + length),
    };
    at += entryBytes(length);
  }
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
