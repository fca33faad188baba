/**
 * Reads an image of a guest, checking every byte: for a look at it, or into a guest's memory. Synchronous; the main thread
 * does it before anybody is served, and `hptd snapshot describe`.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  CHUNK_HEAD_BYTES,
  DamagedImageError,
  FORMAT,
  HASH_BYTES,
  PIECE_BYTES,
  PREFIX_BYTES,
  checkBody,
  headerLength,
  memoryMapOf,
  openSum,
  parseFacts,
  parseHead,
  parseHeader,
} from './image-format.ts';
import type { ImageFacts, ImageHeader } from './image-format.ts';

export interface ImageDescription {
  readonly format: number;
  readonly memoryMap: number;
  readonly header: ImageHeader;
  readonly facts: ImageFacts;
  readonly bytes: number;
  readonly chunks: number;
  /** Of guest memory, those that lie over others counted too. */
  readonly memoryBytes: number;
  readonly sha256: string;
}

/** Gets each chunk as it comes. The bytes are valid until it returns. */
export type ChunkTaker = (address: number, bytes: Buffer) => void;

const BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * `memoryMap`: of the guest that is to have it; undefined: any, for a look. Throws DamagedImageError, ForeignImageError, or
 * what the file system says; `take` may have been called by then.
 */
export function readImage(
  path: string,
  memoryMap?: number,
  take: ChunkTaker = () => {},
): ImageDescription {
  const file = openSync(path, 'r');
  try {
    return readWhole(openSource(file), memoryMap, take);
  } finally {
    closeSync(file);
  }
}

function readWhole(
  source: Source,
  memoryMap: number | undefined,
  take: ChunkTaker,
): ImageDescription {
  const sum = openSum();
  const prefix = Buffer.from(source.next(PREFIX_BYTES));
  const headerText = Buffer.from(source.next(headerLength(prefix)));
  const header = parseHeader(prefix, headerText, memoryMap);
  sum.update(prefix).update(headerText);
  let [chunks, memoryBytes] = [0, 0];
  for (;;) {
    const headBytes = Buffer.from(source.next(CHUNK_HEAD_BYTES));
    const head = parseHead(headBytes);
    const body = source.next(head.length);
    checkBody(headBytes, body);
    sum.update(headBytes);
    if (head.kind === 'end') {
      const facts = parseFacts(body);
      const wanted = sum.update(body).digest('hex');
      const found = source.next(HASH_BYTES).toString('hex');
      if (head.chunks !== chunks || found !== wanted)
        throw new DamagedImageError('its parts do not belong together: the SHA-256 is another');
      if (!source.isAtEnd()) throw new DamagedImageError('it goes on behind its end');
      const bytes = source.length;
      return {
        format: FORMAT,
        memoryMap: memoryMapOf(prefix),
        header,
        facts,
        bytes,
        chunks,
        memoryBytes,
        sha256: found,
      };
    }
    chunks++;
    memoryBytes += head.length;
    take(head.address, body);
  }
}

interface Source {
  readonly length: number;
  /** The next bytes, valid until the next call; at most a piece at once. Throws DamagedImageError when there are fewer. */
  next(bytes: number): Buffer;
  isAtEnd(): boolean;
}

function openSource(file: number): Source {
  const { size } = fstatSync(file);
  const buffer = Buffer.allocUnsafe(Math.min(size, BUFFER_BYTES) + PIECE_BYTES);
  let [at, end, position] = [0, 0, 0];
  return {
    length: size,
    next(bytes) {
      if (end - at < bytes) {
        buffer.copyWithin(0, at, end);
        end -= at;
        at = 0;
        let read = -1;
        while (end < bytes && read !== 0) {
          read = readSync(file, buffer, end, buffer.length - end, position);
          end += read;
          position += read;
        }
        if (end < bytes) throw new DamagedImageError(`it ends at byte ${size}, in the middle`);
      }
      at += bytes;
      return buffer.subarray(at - bytes, at);
    },
    isAtEnd: () => at === end && position === size,
  };
}
