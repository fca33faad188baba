/**
 * Writes an image of a guest into a file, from the guest's memory: a temporary file that gets its name when it is whole and
 * on the disk. Synchronous: the thread of snapshots does it. Every error is what the file system says, and leaves the
 * temporary file to `abandon`.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Hash } from 'node:crypto';
import {
  CHUNK_HEAD_BYTES,
  PAGE_BYTES,
  PIECE_BYTES,
  endRecord,
  openSum,
  prefixAndHeader,
  sealChunk,
} from './image-format.ts';
import type { ImageFacts, ImageHeader } from './image-format.ts';

export interface ImageWriter {
  /** Appends what the piece holds; `whole`: pages of zeroes too, because something else may stand in the file already. */
  putPiece(piece: Uint8Array, address: number, whole: boolean): void;
  /** Ends the file, waits for the disk, and gives the file its name. Gives its length. */
  finish(facts: ImageFacts, path: string): number;
  /** Forgets all of it. */
  abandon(): void;
}

const BUFFER_BYTES = 4 * 1024 * 1024;
const ROOM_BYTES = PIECE_BYTES + (CHUNK_HEAD_BYTES * PIECE_BYTES) / PAGE_BYTES;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

interface Output {
  readonly file: number;
  readonly buffer: Buffer;
  used: number;
  length: number;
  chunks: number;
  readonly sum: Hash;
}

export function openImageWriter(
  temporaryPath: string,
  memoryMap: number,
  header: ImageHeader,
): ImageWriter {
  const output: Output = {
    // Not over one that is there: two writers of one file are a defect.
    file: openSync(temporaryPath, 'wx', 0o600),
    buffer: Buffer.allocUnsafe(BUFFER_BYTES),
    used: 0,
    length: 0,
    chunks: 0,
    sum: openSum(),
  };
  const scratch = Buffer.alloc(PIECE_BYTES);
  append(output, prefixAndHeader(memoryMap, header));
  return {
    putPiece(piece, address, whole) {
      // The guest may run: what is summed and what is written must be the same bytes.
      scratch.set(piece);
      if (output.used + ROOM_BYTES > BUFFER_BYTES) flush(output);
      for (const [from, to] of whole ? [WHOLE_PIECE] : usedRuns(scratch))
        putChunk(output, scratch.subarray(from, to), address + from);
    },
    finish(facts, path) {
      append(output, endRecord(output.chunks, facts));
      flush(output);
      writeAll(output, output.sum.digest());
      fsyncSync(output.file);
      renameSync(temporaryPath, path);
      syncDirectorySync(dirname(path));
      closeSync(output.file);
      return output.length;
    },
    abandon() {
      closeSync(output.file);
      rmSync(temporaryPath, { force: true });
    },
  };
}

const WHOLE_PIECE = [0, PIECE_BYTES] as const;

/** From where to where pages are not zero. */
function* usedRuns(piece: Buffer): Generator<readonly [number, number]> {
  let from = -1;
  for (let at = 0; at <= piece.length; at += PAGE_BYTES) {
    const used = at < piece.length && !ZERO_PAGE.equals(piece.subarray(at, at + PAGE_BYTES));
    if (used && from === -1) from = at;
    if (used || from === -1) continue;
    yield [from, at];
    from = -1;
  }
}

function putChunk(output: Output, bytes: Buffer, address: number): void {
  const { buffer, used } = output;
  bytes.copy(buffer, used + CHUNK_HEAD_BYTES);
  sealChunk(buffer, used, address, bytes.length);
  output.sum.update(buffer.subarray(used, used + CHUNK_HEAD_BYTES));
  output.used += CHUNK_HEAD_BYTES + bytes.length;
  output.chunks++;
}

function append(output: Output, bytes: Buffer): void {
  if (output.used + bytes.length > BUFFER_BYTES) flush(output);
  bytes.copy(output.buffer, output.used);
  output.used += bytes.length;
  output.sum.update(bytes);
}

function flush(output: Output): void {
  writeAll(output, output.buffer.subarray(0, output.used));
  output.used = 0;
}

/** A write may take less than it was given, of a disk that fills up for example. */
function writeAll(output: Output, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(output.file, bytes, at);
  output.length += bytes.length;
}

/** Without this a rename may be undone by a loss of power. Where nobody is kept waiting: else journal/files.ts has it. */
export function syncDirectorySync(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
