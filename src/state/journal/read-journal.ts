/**
 * Reads a guest's journal back, group by group, and tells a torn end from damage. Synchronous: the main thread does it before
 * anybody is served.
 *
 * What may be wrong with an undamaged journal? The process or the machine stopped while the last group was being written:
 * it may be there in part or not at all. Its answers were not given to anybody, so it is dropped. Everything else is damage, and a
 * journal that is damaged is not used at all: half of it would be a table that never was.
 *
 * - A group that is not whole, and behind it one that is: groups are written one after the other, so it was whole once.
 * - A group that is not whole or not there although the mark says that it was synced.
 * - A segment that is missing, or not whole although another one follows.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { decodeMark, markPath, segmentPath, segmentsIn } from './files.ts';
import type { Mark } from './files.ts';
import {
  GROUP_HEADER_BYTES,
  GROUP_MAGIC,
  SEGMENT_HEADER_BYTES,
  decodeGroupHeader,
  decodeSegmentHeader,
} from './format.ts';
import type { GroupHeader, SegmentHeader } from './format.ts';

/** The journal cannot be used. The message names the file, the place and what is wrong. */
export class JournalDamage extends Error {
  readonly file: string;

  constructor(file: string, what: string) {
    super(`${file} is damaged: ${what}`);
    this.file = file;
  }
}

export interface ReadGroup {
  readonly segment: number;
  readonly group: number;
  /** The first of a segment: streams begin anew. */
  readonly isFirst: boolean;
  readonly entries: Uint8Array;
}

/** Where the journal ends, once all of it was read. */
export interface JournalEnd {
  /** The segment and group that come next. */
  readonly segment: number;
  readonly group: number;
  /** Bytes of each segment that was read. */
  readonly sizes: ReadonlyMap<number, number>;
  /** What was cut off behind the last whole group. */
  readonly tornBytes: number;
}

export interface JournalPlace {
  readonly directory: string;
  readonly guestBirth: number;
  /** The segment that begins where the snapshot was taken. */
  readonly firstSegment: number;
}

/** Chunks in which a search for whole groups goes through a file; a header may lie across two. */
const SEARCH_BYTES = 1024 * 1024;

/** All groups from the first segment on, each checked before it is given. Throws JournalDamage. */
export function* readJournal(place: JournalPlace): Generator<ReadGroup, JournalEnd> {
  const { directory, firstSegment } = place;
  const acknowledged = readMark(place);
  const last = Math.max(firstSegment - 1, ...segmentsIn(directory));
  const sizes = new Map<number, number>();
  let next: { group: number; torn: number } | undefined;
  for (let segment = firstSegment; segment <= last; segment++) {
    const path = segmentPath(directory, segment);
    const file = openSegment(path);
    try {
      const reader = { path, file, place, segment, isLast: segment === last, acknowledged };
      const header = readHeader(reader, next?.group);
      if (header === undefined) break;
      const { group, end, torn } = yield* readGroups(reader, header.firstGroup);
      next = { group, torn };
      sizes.set(segment, end);
    } finally {
      closeSync(file);
    }
  }
  const { group, torn } = next ?? { group: 0, torn: 0 };
  const segment = firstSegment + sizes.size;
  if (acknowledged !== undefined && (sizes.size === 0 || group <= acknowledged.group))
    throw new JournalDamage(
      segmentPath(directory, acknowledged.segment),
      `the journal ends before group ${acknowledged.group}, which was acknowledged`,
    );
  return { segment, group, sizes, tornBytes: torn };
}

interface Reader {
  readonly path: string;
  readonly file: number;
  readonly place: JournalPlace;
  readonly segment: number;
  readonly isLast: boolean;
  readonly acknowledged: Mark | undefined;
}

function openSegment(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new JournalDamage(path, 'it is missing');
    throw error;
  }
}

/** undefined: nothing that came behind the first segment's beginning is known to be synced. */
function readMark({ directory, guestBirth, firstSegment }: JournalPlace): Mark | undefined {
  const path = markPath(directory);
  const mark = existsSync(path) ? decodeMark(readFileSync(path), guestBirth) : undefined;
  return mark !== undefined && mark.segment >= firstSegment ? mark : undefined;
}

/** `group`: the next one; undefined: any. undefined: nothing of this segment was acknowledged, and nothing of it is used. */
function readHeader(reader: Reader, group: number | undefined): SegmentHeader | undefined {
  const { path, file, place, segment, isLast, acknowledged } = reader;
  const mayBeNothing = acknowledged === undefined || acknowledged.segment < segment;
  const header = decodeSegmentHeader(readAt(file, 0, SEGMENT_HEADER_BYTES));
  if (typeof header === 'string') {
    // It was being made when everything stopped.
    if (isLast && mayBeNothing && fstatSync(file).size <= SEGMENT_HEADER_BYTES) return undefined;
    throw new JournalDamage(path, header);
  }
  if (header.segment !== segment || header.guestBirth !== place.guestBirth)
    throw new JournalDamage(path, 'it is another journal, renamed');
  if (group === undefined) return header;
  if (!header.continues) {
    // It waits for a snapshot that never came to be; its answers waited too.
    if (mayBeNothing) return undefined;
    throw new JournalDamage(path, 'the snapshot that it begins with is not there');
  }
  if (header.firstGroup !== group)
    throw new JournalDamage(path, `it begins with group ${header.firstGroup}, not ${group}`);
  return header;
}

function* readGroups(
  reader: Reader,
  first: number,
): Generator<ReadGroup, { group: number; end: number; torn: number }> {
  const { file, segment, path } = reader;
  const { size } = fstatSync(file);
  let at = SEGMENT_HEADER_BYTES;
  let group = first;
  while (at < size) {
    const header = decodeGroupHeader(readAt(file, at, GROUP_HEADER_BYTES), 0);
    const entries = header === undefined ? undefined : readEntries(file, at, header);
    if (header === undefined || entries === undefined) {
      throwUnlessTorn(reader, group, at);
      cutOff(file, at);
      return { group, end: at, torn: size - at };
    }
    if (header.group !== group || header.segment !== segment)
      throw new JournalDamage(
        path,
        `byte ${at}: group ${header.group} stands where ${group} should`,
      );
    yield { segment, group, isFirst: group === first, entries };
    at += GROUP_HEADER_BYTES + header.bytes;
    group++;
  }
  return { group, end: at, torn: 0 };
}

/** undefined: they are not there in full, or not what was written. */
function readEntries(
  file: number,
  at: number,
  { bytes, crc }: GroupHeader,
): Uint8Array | undefined {
  const entries = readAt(file, at + GROUP_HEADER_BYTES, bytes);
  return entries.byteLength === bytes && crc32(entries) === crc ? entries : undefined;
}

function throwUnlessTorn(
  { path, file, segment, isLast, acknowledged }: Reader,
  group: number,
  at: number,
): void {
  const where = `byte ${at}: group ${group} is not whole`;
  if (acknowledged !== undefined && group <= acknowledged.group)
    throw new JournalDamage(path, `${where}, and was acknowledged`);
  if (!isLast) throw new JournalDamage(path, `${where}, and another segment follows`);
  const found = findGroup(file, at + 8, segment);
  if (found !== undefined)
    throw new JournalDamage(path, `${where}, but behind it group ${found} begins`);
}

/** The number of a group of this segment whose header is whole, from `from` on. */
function findGroup(file: number, from: number, segment: number): number | undefined {
  for (let at = from; ; at += SEARCH_BYTES) {
    const bytes = readAt(file, at, SEARCH_BYTES + GROUP_HEADER_BYTES);
    if (bytes.byteLength < GROUP_HEADER_BYTES) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i + GROUP_HEADER_BYTES <= bytes.byteLength; i += 8) {
      if (view.getUint32(i, true) !== GROUP_MAGIC) continue;
      const header = decodeGroupHeader(bytes, i);
      if (header?.segment === segment) return header.group;
    }
  }
}

/** So that it is not met again in the middle of a longer journal. */
function cutOff(file: number, at: number): void {
  ftruncateSync(file, at);
  fdatasyncSync(file);
}

/** Fewer bytes at the file's end. */
function readAt(file: number, at: number, bytes: number): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  let read = 0;
  while (read < bytes) {
    const bytesRead = readSync(file, buffer, read, bytes - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
}
