/** Names of a guest's journal, and its mark: which group is synced. docs/journal.md has the format. */
import { readdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

const SEGMENT_NAME = /^journal-(\d{10})$/;
const MARK_MAGIC = 0x4b_52_4d_4a_44_54_50_48n; // "HPTDJMRK"
const MARK_BYTES = 40;
const MARK_CRC_AT = 32;

export function segmentPath(directory: string, segment: number): string {
  return join(directory, `journal-${String(segment).padStart(10, '0')}`);
}

export function markPath(directory: string): string {
  return join(directory, 'journal-mark');
}

export interface Mark {
  readonly segment: number;
  readonly group: number;
}

/** The last group that is known to be synced, and of which guest: its createdAt in milliseconds. */
export function encodeMark(guestBirth: number, { segment, group }: Mark): Uint8Array {
  const bytes = new Uint8Array(MARK_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MARK_MAGIC, true);
  view.setBigUint64(8, BigInt(guestBirth), true);
  view.setBigUint64(16, BigInt(segment), true);
  view.setBigInt64(24, BigInt(group), true);
  view.setUint32(MARK_CRC_AT, crc32(bytes.subarray(0, MARK_CRC_AT)), true);
  return bytes;
}

/** undefined: the mark says nothing, because it is empty, torn or another guest's. */
export function decodeMark(bytes: Uint8Array, guestBirth: number): Mark | undefined {
  if (bytes.byteLength !== MARK_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, MARK_BYTES);
  const isOurs =
    view.getBigUint64(0, true) === MARK_MAGIC &&
    view.getUint32(MARK_CRC_AT, true) === crc32(bytes.subarray(0, MARK_CRC_AT)) &&
    Number(view.getBigUint64(8, true)) === guestBirth;
  if (!isOurs) return undefined;
  return {
    segment: Number(view.getBigUint64(16, true)),
    group: Number(view.getBigInt64(24, true)),
  };
}

/** Numbers of the segments that are there. */
export function segmentsIn(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => {
    const found = SEGMENT_NAME.exec(name);
    return found === null ? [] : [Number(found[1])];
  });
}

/** An image of this number is on disk, and no journal goes on: what led to it is needed no longer. */
export function removeJournalBefore(directory: string, segment: number): void {
  for (const old of segmentsIn(directory))
    if (old < segment) rmSync(segmentPath(directory, old), { force: true });
}

/** After this the names in a directory are on disk. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
