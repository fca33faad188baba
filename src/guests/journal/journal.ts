/**
 * A guest's journal while it runs: what its streams are sent and answer goes to disk, and no answer goes out before. Main
 * thread only.
 *
 * The guest runs in turns (processors/turn.ts), so the stamps of its items of answers are the order of what happened
 * (guests/recording/recorder.ts). A frame is noted when it is taken, ahead of its execution; an item in the order of stamps, when all
 * before it have been noted. Done again in that order on the table that there was, the same records give the same table and
 * the same answers: replay.ts.
 *
 * Answers stay in their stream's completion ring until the group that has them is synced: a stream hands out what is
 * before `durableTo`. A ring that is full stops its stream, as a client does that reads nothing; and when the disk does not follow,
 * `hasRoom` stops the frames.
 *
 * A snapshot cuts the journal: its image is the beginning of the next segment. Should the order be lost (a processor died in the
 * middle of a run), the journal ends there and begins anew behind a snapshot, and answers wait until that is on disk.
 */
import { JOURNAL_BYTES_MAX } from '../../../schemas/limits.ts';
import type { KeptJournal } from '../../state/journal/kept-journal.ts';
import type { Role } from '../types.ts';
import { openMerge } from '../recording/merge.ts';
import type { Merge } from '../recording/merge.ts';
import {
  ENTRY_ANSWERS,
  ENTRY_FRAME,
  ENTRY_STREAM,
  STREAM_MASK,
} from '../../state/journal/format.ts';
import type { SegmentHeader } from '../../state/journal/format.ts';
import { isFull, openGroupLog } from '../../state/journal/group-log.ts';
import type { GroupLog, GroupLogSite, LogCounts } from '../../state/journal/group-log.ts';
import { keptAnswers } from './kept-answers.ts';

/** What the journal asks of a stream. */
export interface JournaledStream {
  /** More answers may be handed out. */
  deliver(): void;
  /** There is room for frames. */
  goOn(): void;
  /** Shows the journal what is in the completion ring by now. */
  show(): void;
  /** Where the completion ring's answers end, and what of its frames is not executed; while no processor runs the stream. */
  answeredTo(): number;
  unexecuted(): Uint8Array[];
}

/** What a stream tells the journal. */
export interface StreamJournal {
  /** Up to here the completion ring's answers may be handed out. */
  readonly durableTo: number;
  hasRoom(): boolean;
  noteFrame(frame: Uint8Array): void;
  /** `answers`: whole records in the ring, where they stay until they are handed out; the item ends at `end`. */
  noteItem(stamp: number, answers: Uint8Array, end: number): void;
  close(): void;
}

export interface JournalFacts {
  readonly counts: LogCounts;
  /** Bytes that wait for the disk, and bytes that a restart would have to read. */
  readonly backlogBytes: number;
  readonly keptBytes: number;
  /** Why nothing is acknowledged now. */
  readonly trouble: string | undefined;
}

export interface Journal extends KeptJournal {
  facts(): JournalFacts;
  openStream(role: Role, stream: JournaledStream): StreamJournal;
  /** A processor died: the order is not known from here on. */
  loseOrder(): void;
  /** The guest is deleted or failed: nothing more is written. Resolves when the files are closed. */
  abandon(): Promise<void>;
}

export interface JournalSite {
  readonly directory: string;
  readonly guestBirth: number;
  /** Stamps given so far. */
  stamps(): number;
  readonly onTrouble: GroupLogSite['onTrouble'];
  readonly open?: GroupLogSite['open'];
}

interface Lane extends StreamJournal {
  readonly stream: JournaledStream;
  readonly role: Role;
  /** Its number in the segment; 0: none yet. */
  number: number;
  durableTo: number;
  /** Where the answers end that the group at hand has; undefined: it has none. */
  gatheredTo: number | undefined;
}

interface Item {
  readonly lane: Lane;
  readonly answers: Uint8Array;
  readonly end: number;
}

/** Answers that wait for the snapshot with which the order begins anew, and how far each stream's go. */
interface Waiting {
  readonly segment: number;
  readonly ends: Map<Lane, number>;
}

interface State {
  readonly site: JournalSite;
  readonly log: GroupLog;
  readonly lanes: Set<Lane>;
  merge: Merge<Item>;
  /** Streams numbered in this segment. */
  numbers: number;
  /** With answers in the group at hand. */
  touched: Lane[];
  wasFull: boolean;
  /** The newest image is of its beginning. */
  imageSegment: number;
  orderLost: boolean;
  waiting: Waiting | undefined;
  trouble: Error | undefined;
}

/** `first` and `kept`: see openGroupLog. */
export function openJournal(
  site: JournalSite,
  first: SegmentHeader,
  kept: ReadonlyMap<number, number>,
): Journal {
  const { directory, guestBirth, open } = site;
  const onTrouble = (error: Error | undefined): void => {
    state.trouble = error;
    site.onTrouble(error);
  };
  const log = openGroupLog(
    { directory, guestBirth, onTrouble, open, onSeal: () => seal(state) },
    first,
    kept,
  );
  const state: State = {
    site,
    log,
    lanes: new Set(),
    merge: openMerge(site.stamps(), (item) => keep(state, item)),
    numbers: 0,
    touched: [],
    wasFull: false,
    imageSegment: Math.min(first.segment, ...kept.keys()),
    orderLost: false,
    waiting: undefined,
    trouble: undefined,
  };
  return {
    facts: () => ({
      counts: log.counts,
      backlogBytes: log.backlog(),
      keptBytes: log.bytesFrom(0),
      trouble: state.trouble?.message,
    }),
    openStream: (role, stream) => openLane(state, role, stream),
    wantsImage() {
      if (state.orderLost || state.waiting !== undefined) return 'answers wait';
      return log.bytesFrom(state.imageSegment) >= JOURNAL_BYTES_MAX ? 'journal long' : undefined;
    },
    trouble: () => state.trouble,
    cut: () => cut(state),
    hasImage: (segment, keptFrom) => hasImage(state, segment, keptFrom),
    loseOrder() {
      state.orderLost = true;
    },
    close: () => log.close(),
    abandon: () => log.abandon(),
  };
}

function openLane(state: State, role: Role, stream: JournaledStream): StreamJournal {
  const lane: Lane = {
    stream,
    role,
    number: 0,
    durableTo: 0,
    gatheredTo: undefined,
    hasRoom() {
      if (!isFull(state.log)) return true;
      state.wasFull = true;
      // What is gathered may be frames that are never executed.
      state.log.commit();
      return false;
    },
    noteFrame(frame) {
      nameLane(state, lane);
      state.log.add({ kind: ENTRY_FRAME, stream: lane.number, bytes: frame });
    },
    noteItem: (stamp, answers, end) => state.merge.add(stamp, { lane, answers, end }),
    close: () => void state.lanes.delete(lane),
  };
  state.lanes.add(lane);
  return lane;
}

/** Its first entry in the segment says what it is. */
function nameLane(state: State, lane: Lane): void {
  if (lane.number !== 0) return;
  lane.number = ++state.numbers;
  if (lane.number > STREAM_MASK) throw new Error('a segment has more streams than it can number');
  const bytes = Uint8Array.of(lane.role === 'host' ? 1 : 0);
  state.log.add({ kind: ENTRY_STREAM, stream: lane.number, bytes });
}

/** In the order of what happened. */
function keep(state: State, { lane, answers, end }: Item): void {
  // From here on the order is not known; the answers wait for the snapshot.
  if (state.orderLost) return;
  if (answers.byteLength > 0) {
    nameLane(state, lane);
    // A guest's answers are all short.
    const bytes = lane.role === 'guest' ? answers : keptAnswers(answers);
    state.log.add({ kind: ENTRY_ANSWERS, stream: lane.number, bytes });
  }
  if (lane.gatheredTo === undefined) state.touched.push(lane);
  lane.gatheredTo = end;
  state.log.commit();
}

function seal(state: State): () => void {
  const { touched, waiting } = state;
  const ends = touched.map((lane) => lane.gatheredTo!);
  for (const lane of touched) lane.gatheredTo = undefined;
  state.touched = [];
  return () => {
    // RACE: meanwhile the snapshot may have come, or the order been lost again; then `waiting` there goes further.
    const release = waiting === undefined || state.waiting === undefined;
    touched.forEach((lane, i) => {
      if (release) lane.durableTo = ends[i]!;
      else if (state.waiting === waiting) waiting.ends.set(lane, ends[i]!);
    });
    if (release) for (const lane of touched) lane.stream.deliver();
    makeRoom(state);
  };
}

function makeRoom(state: State): void {
  if (!state.wasFull || isFull(state.log)) return;
  state.wasFull = false;
  for (const { stream } of state.lanes) stream.goOn();
}

function cut(state: State): Promise<number> {
  const { log, lanes, site } = state;
  for (const { stream } of lanes) stream.show();
  // An item whose predecessor never came: a processor died between the two.
  const continues = !state.orderLost && state.merge.waiting() === 0;
  const done = log.cut(continues);
  state.numbers = 0;
  for (const lane of lanes) lane.number = 0;
  state.merge = openMerge(site.stamps(), (item) => keep(state, item));
  if (!continues) {
    state.orderLost = false;
    const ends = new Map([...lanes].map((lane) => [lane, lane.stream.answeredTo()]));
    state.waiting = { segment: log.segment(), ends };
  }
  for (const lane of lanes) for (const frame of lane.stream.unexecuted()) lane.noteFrame(frame);
  return done;
}

async function hasImage(state: State, segment: number, keptFrom: number): Promise<void> {
  const { waiting, log } = state;
  if (waiting !== undefined && segment >= waiting.segment) {
    state.waiting = undefined;
    log.acknowledge();
    for (const [lane, end] of waiting.ends) {
      lane.durableTo = end;
      lane.stream.deliver();
    }
  }
  state.imageSegment = segment;
  await log.dropBefore(keptFrom);
}
