/**
 * The journal's way to the disk: entries are gathered into a group, the group is written and synced, and what came
 * meanwhile is the next one. One write at a time, by Node's own threads; the main thread gathers and never waits.
 *
 * What if the disk refuses (it is full, it fails)? The group is cut off again and tried anew, until it is whole on disk: its
 * pages are written once more, since a sync that failed may have thrown them away. Nothing is acknowledged meanwhile, and
 * what is gathered has a limit, beyond which the guest waits (journal.ts).
 *
 * The mark, a file of its own, says which group is synced. It follows by some microseconds and is not synced itself, so it outlives
 * the process, not the power: with it a journal that lost its acknowledged end to damage is known from one that a crash tore.
 */
import { constants, open as openFile, unlink } from 'node:fs/promises';
import { JOURNAL_BACKLOG_BYTES_MAX, JOURNAL_RETRY_MILLIS } from '../../../schemas/limits.ts';
import { noteIn } from '../../rings/buckets.ts';
import {
  GROUP_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  encodeSegmentHeader,
  entryBytes,
  sealGroup,
  writeEntry,
} from './format.ts';
import type { Entry, SegmentHeader } from './format.ts';
import { encodeMark, markPath, segmentPath, segmentsIn, syncDirectory } from './files.ts';
import type { Mark } from './files.ts';

/** What is asked of a file; tests give others. */
export interface LogFile {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    at: number,
  ): Promise<{ bytesWritten: number }>;
  datasync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface GroupLogSite {
  readonly directory: string;
  readonly guestBirth: number;
  /** A group takes no more entries; what this gives is called when it is synced. */
  readonly onSeal: () => () => void;
  /** The disk refuses, or `undefined`: does so no longer. */
  readonly onTrouble: (error: Error | undefined) => void;
  readonly open?: (path: string, flags: number, mode: number) => Promise<LogFile>;
}

export interface LogCounts {
  groups: number;
  bytes: number;
  /** Microseconds that groups took to be written and synced, as in rings/buckets.ts. */
  readonly micros: Float64Array;
}

export interface GroupLog {
  readonly counts: LogCounts;
  add(entry: Entry): void;
  /** What was added so far is to be synced soon. */
  commit(): void;
  /** Where entries go that are added now. */
  segment(): number;
  /** On disk, of that segment and those behind it. */
  bytesFrom(segment: number): number;
  /** Bytes added and not synced. */
  backlog(): number;
  /**
   * What is added from now on goes to another segment. Resolves with its number when that is on disk; rejects when the disk
   * refuses, though the segment comes all the same. If it does not continue the one before, its groups are not marked
   * before `acknowledge`.
   */
  cut(continues: boolean): Promise<number>;
  acknowledge(): void;
  /** Segments before this one are needed no longer. */
  dropBefore(segment: number): Promise<void>;
  /** Resolves when everything added is synced, or given up because the disk refuses. */
  close(): Promise<void>;
  /** The same, but what is not on disk by now is given up. */
  abandon(): Promise<void>;
}

/** In the order of the disk. */
interface Sealed {
  readonly segment: number;
  readonly group: number;
  readonly buffer: Buffer;
  readonly bytes: number;
  readonly onSynced: () => void;
}

interface Opening {
  readonly header: SegmentHeader;
  readonly done: PromiseWithResolvers<number>;
}

interface State {
  readonly site: GroupLogSite;
  readonly counts: LogCounts;
  readonly open: (path: string, flags: number, mode: number) => Promise<LogFile>;
  readonly queue: (Sealed | Opening)[];
  /** By segment. */
  readonly sizes: Map<number, number>;
  segment: number;
  group: number;
  gathering: Buffer;
  used: number;
  spare: Buffer | undefined;
  /** Bytes of the queue, the group that is being written included. */
  queued: number;
  wanted: boolean;
  running: Promise<void> | undefined;
  file: LogFile | undefined;
  at: number;
  mark: LogFile | undefined;
  /** What the mark is to say, and whether it is being written. */
  markWanted: Mark | undefined;
  marking: Promise<void> | undefined;
  markHeld: boolean;
  synced: Mark;
  trouble: Error | undefined;
  abandoned: PromiseWithResolvers<void>;
  isAbandoned: boolean;
  closed: Promise<void> | undefined;
}

export const MICROS_BUCKETS = 24;
const FIRST_BYTES = 64 * 1024;
/** A buffer that had to grow beyond this for once is not kept. */
const KEPT_BYTES = 1024 * 1024;
/** For the daemon's user alone. */
const MODE = 0o600;
const NEW_FILE = constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY;

/** `first` has still to be written: the log begins with it. `kept`: segments before it that are still needed, with their bytes. */
export function openGroupLog(
  site: GroupLogSite,
  first: SegmentHeader,
  kept: ReadonlyMap<number, number>,
): GroupLog {
  const state: State = {
    site,
    counts: { groups: 0, bytes: 0, micros: new Float64Array(MICROS_BUCKETS + 1) },
    open: site.open ?? openFile,
    queue: [firstOpening(first)],
    sizes: new Map(kept),
    segment: first.segment,
    group: first.firstGroup,
    gathering: Buffer.alloc(FIRST_BYTES),
    used: GROUP_HEADER_BYTES,
    spare: undefined,
    queued: 0,
    wanted: false,
    running: undefined,
    file: undefined,
    at: 0,
    mark: undefined,
    markWanted: undefined,
    marking: undefined,
    markHeld: false,
    synced: { segment: first.segment, group: first.firstGroup - 1 },
    trouble: undefined,
    abandoned: Promise.withResolvers(),
    isAbandoned: false,
    closed: undefined,
  };
  run(state);
  return {
    counts: state.counts,
    add: (entry) => add(state, entry),
    commit() {
      if (state.wanted) return;
      state.wanted = true;
      // All streams that are looked at in this turn of the event loop come into the group.
      if (state.running === undefined) queueMicrotask(() => run(state));
    },
    segment: () => state.segment,
    bytesFrom: (segment) =>
      [...state.sizes].reduce((sum, [one, bytes]) => sum + (one < segment ? 0 : bytes), 0),
    backlog: () => state.queued + state.used - GROUP_HEADER_BYTES,
    cut: (continues) => cut(state, continues),
    acknowledge() {
      state.markHeld = false;
      if (state.mark !== undefined) writeMark(state, state.synced.segment, state.synced.group);
    },
    dropBefore: (segment) => dropBefore(state, segment),
    close: () => (state.closed ??= close(state)),
    abandon() {
      abandon(state);
      return (state.closed ??= close(state));
    },
  };
}

function abandon(state: State): void {
  state.isAbandoned = true;
  state.abandoned.resolve();
}

/** Nobody waits for it. */
function firstOpening(header: SegmentHeader): Opening {
  const done = Promise.withResolvers<number>();
  done.promise.catch(() => {});
  return { header, done };
}

function add(state: State, entry: Entry): void {
  const bytes = entryBytes(entry.bytes.byteLength);
  if (state.used + bytes > state.gathering.byteLength) grow(state, state.used + bytes);
  writeEntry(state.gathering, state.used, entry);
  state.used += bytes;
}

function grow(state: State, bytes: number): void {
  const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
  larger.set(state.gathering.subarray(0, state.used));
  state.gathering = larger;
}

function cut(state: State, continues: boolean): Promise<number> {
  seal(state);
  state.segment++;
  state.markHeld ||= !continues;
  const { segment, group: firstGroup } = state;
  const { guestBirth } = state.site;
  const done = Promise.withResolvers<number>();
  state.queue.push({ header: { segment, firstGroup, guestBirth, continues }, done });
  if (state.trouble !== undefined) done.reject(state.trouble);
  run(state);
  return done.promise;
}

/** Moves what is gathered to the end of the queue. */
function seal(state: State): void {
  const { segment, group, gathering: buffer, used } = state;
  sealGroup(buffer.subarray(0, used), segment, group);
  state.queue.push({ segment, group, buffer, bytes: used, onSynced: state.site.onSeal() });
  state.queued += used;
  state.group++;
  state.gathering = state.spare ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
  state.spare = undefined;
  state.used = GROUP_HEADER_BYTES;
  state.wanted = false;
}

function run(state: State): void {
  state.running ??= writeAll(state).finally(() => {
    state.running = undefined;
    // RACE: something may have been asked for after the last look.
    if (hasWork(state)) run(state);
  });
}

function hasWork({ queue, wanted, isAbandoned }: State): boolean {
  return !isAbandoned && (queue.length > 0 || wanted);
}

async function writeAll(state: State): Promise<void> {
  while (hasWork(state)) {
    if (state.queue.length === 0) seal(state);
    const next = state.queue[0]!;
    const begun = performance.now();
    if (!(await untilDone(state, () => writeNext(state, next)))) return;
    state.queue.shift();
    if ('header' in next) next.done.resolve(next.header.segment);
    else synced(state, next, performance.now() - begun);
  }
}

/** Tries until the disk takes it. False: given up. */
async function untilDone(state: State, work: () => Promise<void>): Promise<boolean> {
  for (;;) {
    try {
      if (state.isAbandoned) return false;
      await work();
      say(state, undefined);
      return true;
    } catch (error) {
      say(state, error as Error);
      await pause(state);
    }
  }
}

function say(state: State, error: Error | undefined): void {
  if (error?.message === state.trouble?.message) return;
  state.trouble = error;
  state.site.onTrouble(error);
  if (error === undefined) return;
  for (const one of state.queue) if ('header' in one) one.done.reject(error);
  // Nobody was told of what the disk has not taken.
  if (state.closed !== undefined) abandon(state);
}

async function pause({ abandoned }: State): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, JOURNAL_RETRY_MILLIS);
  await Promise.race([promise, abandoned.promise]);
  clearTimeout(timer);
}

function writeNext(state: State, next: Sealed | Opening): Promise<void> {
  return 'header' in next ? openSegment(state, next.header) : writeGroup(state, next);
}

async function openSegment(state: State, header: SegmentHeader): Promise<void> {
  const { site, open } = state;
  await state.file?.close();
  state.file = undefined;
  state.file = await open(segmentPath(site.directory, header.segment), NEW_FILE, MODE);
  await writeWhole(state.file, encodeSegmentHeader(header), 0);
  await state.file.datasync();
  state.mark ??= await open(markPath(site.directory), constants.O_CREAT | constants.O_WRONLY, MODE);
  await syncDirectory(site.directory);
  if (!state.markHeld) writeMark(state, header.segment, header.firstGroup - 1);
  state.at = SEGMENT_HEADER_BYTES;
  state.sizes.set(header.segment, SEGMENT_HEADER_BYTES);
}

async function writeGroup(state: State, { buffer, bytes }: Sealed): Promise<void> {
  const file = state.file!;
  try {
    await writeWhole(file, buffer.subarray(0, bytes), state.at);
    await file.datasync();
  } catch (error) {
    // Without what was torn; should that fail too, the next try writes over it.
    await file.truncate(state.at).catch(() => {});
    throw error;
  }
}

async function writeWhole(file: LogFile, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, at + done);
    done += bytesWritten;
  }
}

function synced(state: State, { segment, group, buffer, bytes, onSynced }: Sealed, millis: number) {
  const { counts } = state;
  state.at += bytes;
  state.sizes.set(segment, state.at);
  state.queued -= bytes;
  if (buffer.byteLength <= KEPT_BYTES) state.spare = buffer;
  counts.groups++;
  counts.bytes += bytes;
  noteIn(counts.micros, millis * 1000);
  state.synced = { segment, group };
  if (!state.markHeld) writeMark(state, segment, group);
  onSynced();
}

/** One write at a time; those that come meanwhile become one. */
function writeMark(state: State, segment: number, group: number): void {
  state.markWanted = { segment, group };
  state.marking ??= writeMarks(state);
}

async function writeMarks(state: State): Promise<void> {
  for (let mark = state.markWanted; mark !== undefined; mark = state.markWanted) {
    state.markWanted = undefined;
    const bytes = encodeMark(state.site.guestBirth, mark);
    // A mark that cannot be written says less, and nothing wrong.
    await state.mark!.write(bytes, 0, bytes.byteLength, 0).catch(() => {});
  }
  state.marking = undefined;
}

/** Those too that a daemon before this one left. */
async function dropBefore({ site, sizes }: State, segment: number): Promise<void> {
  for (const old of segmentsIn(site.directory).filter((number) => number < segment)) {
    await unlink(segmentPath(site.directory, old)).catch(() => {});
    sizes.delete(old);
  }
}

async function close(state: State): Promise<void> {
  if (state.trouble !== undefined) abandon(state);
  if (state.used > GROUP_HEADER_BYTES) state.wanted = true;
  if (hasWork(state)) run(state);
  while (state.running !== undefined) await state.running;
  await state.marking;
  await state.file?.close();
  await state.mark?.close();
}

/** Is more gathered than the disk can be expected to take soon? */
export function isFull(log: GroupLog): boolean {
  return log.backlog() > JOURNAL_BACKLOG_BYTES_MAX;
}
