/**
 * The image of a guest, as a file: what a snapshot is. docs/state.md describes it for people; this is its only home in code.
 *
 *     prefix    magic (8 bytes), u32 format, u32 memory map, u32 length of the header, u32 CRC-32 of all that and the header
 *     header    JSON: which guest this is, as it was created
 *     chunk     u32 CHUNK, u32 address, u32 length, u32 CRC-32 of the three and the bytes; the bytes
 *     …
 *     end       u32 END, u32 length of the facts, u32 chunks, u32 CRC-32 of the three and the facts; the facts, JSON: how the
 *               guest was when the snapshot was taken; SHA-256 of prefix, header, every chunk's first 16 bytes, end and facts
 *
 * Little-endian. A chunk may lie over one that came before: the later one holds. Memory that no chunk covers is zero. The
 * SHA-256 covers the bytes of chunks by their CRC-32, so that it costs next to nothing. Pure.
 */
import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { guestConfig, guestName } from '../../schemas/guests.ts';
import { hex } from '../../schemas/words.ts';

/** As PNG's: a first byte that is no text, and line ends that show what was done to the file as if it were text. */
export const MAGIC = Buffer.from('\x89HPTD\r\n\x1a', 'latin1');
export const FORMAT = 1;
export const PREFIX_BYTES = 24;
export const CHUNK_HEAD_BYTES = 16;
export const HASH_BYTES = 32;
const CHUNK = 0x4b_4e_48_43;
const END = 0x44_4e_45_2e;

/** A chunk never crosses the end of a piece (engine/pieces.ts). */
export const PIECE_BYTES = 65536;
/** What is written or left out at the least. */
export const PAGE_BYTES = 4096;
/** A header or facts that are longer are none: names and 32 memory slots are some 4 KiB. */
export const JSON_BYTES_MAX = 65536;

export const imageHeader = z.object({
  guest: guestName,
  /** As the guest was created. */
  config: guestConfig,
  createdAt: z.iso.datetime(),
  /** Version of the hptd that wrote it. */
  writtenBy: z.string(),
});
export type ImageHeader = z.output<typeof imageHeader>;

export const imageFacts = z.object({
  takenAt: z.iso.datetime(),
  /** What it becomes when it is there again. */
  state: z.enum(['running', 'paused']),
  /** Of the active table; 0: none. */
  order: z.int().min(0),
});
export type ImageFacts = z.output<typeof imageFacts>;

/** The file is not what was written. */
export class DamagedImageError extends Error {
  override readonly name = 'DamagedImageError';
}

/** The file is whole, but this hptd cannot read it. */
export class ForeignImageError extends Error {
  override readonly name = 'ForeignImageError';
}

/** What the SHA-256 at the end covers, as it is written or read. */
export function openSum(): Hash {
  return createHash('sha256');
}

export function prefixAndHeader(memoryMap: number, header: ImageHeader): Buffer {
  const text = Buffer.from(JSON.stringify(header, wordsAsText));
  const bytes = Buffer.alloc(PREFIX_BYTES + text.length);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(FORMAT, 8);
  bytes.writeUInt32LE(memoryMap, 12);
  bytes.writeUInt32LE(text.length, 16);
  text.copy(bytes, PREFIX_BYTES);
  bytes.writeUInt32LE(crc32(text, crc32(bytes.subarray(0, 20))), 20);
  return bytes;
}

/** Length of the header behind a prefix. Throws DamagedImageError. */
export function headerLength(prefix: Buffer): number {
  if (!prefix.subarray(0, MAGIC.length).equals(MAGIC))
    throw new DamagedImageError('it does not begin as an image of a guest does');
  const length = prefix.readUInt32LE(16);
  if (length > JSON_BYTES_MAX)
    throw new DamagedImageError('the length of its header is impossible');
  return length;
}

/** As REST takes and shows them. */
function wordsAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? hex(value) : value;
}

export function memoryMapOf(prefix: Buffer): number {
  return prefix.readUInt32LE(12);
}

/** `memoryMap`: the only one that will do; undefined: any. Throws either error. */
export function parseHeader(
  prefix: Buffer,
  text: Buffer,
  memoryMap: number | undefined,
): ImageHeader {
  if (crc32(text, crc32(prefix.subarray(0, 20))) !== prefix.readUInt32LE(20))
    throw new DamagedImageError('the checksum of its header is wrong');
  const [format, map] = [prefix.readUInt32LE(8), memoryMapOf(prefix)];
  if (format !== FORMAT)
    throw new ForeignImageError(`it has format ${format}, and this hptd reads format ${FORMAT}`);
  if (memoryMap !== undefined && map !== memoryMap)
    throw new ForeignImageError(
      `it is of memory map ${map}, and this hptd has memory map ${memoryMap}`,
    );
  return parseJson(imageHeader, text, 'header');
}

function parseJson<T extends z.ZodType>(schema: T, text: Buffer, what: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(text.toString('utf8')));
  } catch (error) {
    throw new DamagedImageError(`its ${what} cannot be read: ${(error as Error).message}`);
  }
}

/** Writes a chunk's head in front of its bytes, which begin 16 bytes behind `at`. */
export function sealChunk(bytes: Buffer, at: number, address: number, length: number): void {
  bytes.writeUInt32LE(CHUNK, at);
  bytes.writeUInt32LE(address, at + 4);
  bytes.writeUInt32LE(length, at + 8);
  const body = bytes.subarray(at + CHUNK_HEAD_BYTES, at + CHUNK_HEAD_BYTES + length);
  bytes.writeUInt32LE(crc32(body, crc32(bytes.subarray(at, at + 12))), at + 12);
}

export function endRecord(chunks: number, facts: ImageFacts): Buffer {
  const text = Buffer.from(JSON.stringify(facts));
  const bytes = Buffer.alloc(CHUNK_HEAD_BYTES + text.length);
  bytes.writeUInt32LE(END, 0);
  bytes.writeUInt32LE(text.length, 4);
  bytes.writeUInt32LE(chunks, 8);
  text.copy(bytes, CHUNK_HEAD_BYTES);
  bytes.writeUInt32LE(crc32(text, crc32(bytes.subarray(0, 12))), 12);
  return bytes;
}

/** What follows in the file: a chunk's address and length, or the end. Throws DamagedImageError. */
export type Head =
  | { readonly kind: 'chunk'; readonly address: number; readonly length: number }
  | { readonly kind: 'end'; readonly length: number; readonly chunks: number };

export function parseHead(head: Buffer): Head {
  const kind = head.readUInt32LE(0);
  const [first, second] = [head.readUInt32LE(4), head.readUInt32LE(8)];
  if (kind === END && first <= JSON_BYTES_MAX)
    return { kind: 'end', length: first, chunks: second };
  const fits = second > 0 && (first % PIECE_BYTES) + second <= PIECE_BYTES;
  if (kind === CHUNK && fits) return { kind: 'chunk', address: first, length: second };
  throw new DamagedImageError('there is neither a chunk nor the end where one should be');
}

/** Throws DamagedImageError. */
export function checkBody(head: Buffer, body: Buffer): void {
  if (crc32(body, crc32(head.subarray(0, 12))) !== head.readUInt32LE(12))
    throw new DamagedImageError('a checksum is wrong');
}

export function parseFacts(text: Buffer): ImageFacts {
  return parseJson(imageFacts, text, 'facts');
}
