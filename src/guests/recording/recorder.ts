/**
 * One recording of a guest: from its start, over what its streams are asked and answer, to its file. Main thread only.
 *
 * How does it begin in the middle of a conversation? The guest is held: no hcall is executed (life.ts), and with the turn
 * (processors/turn.ts) in its own hands the main thread knows that nothing at all is. Then it notes what each stream
 * has been sent and not executed, and the next stamp. The table that is there by then goes to the file as H_ENTERs, after
 * the host pages that are not as at birth; host events that come meanwhile are written behind it, and doing them
 * once more changes nothing.
 *
 * How is the order known? Each item of answers carries a stamp, dense over the guest. When the processors run the guest in
 * turns, the stamps are in the order of what happened; merge.ts puts the items into it. Without turns they are in the
 * order in which processors published, which is the other one only within a stream.
 *
 * How does it end? The guest is held once more, its table hashed for the last line, and the streams let go. A recording that
 * met a limit ends without the hash, since the table has moved on beyond its last line.
 */
import { createGzipHeader } from './header.ts';
import {
  HTAB_READ_BYTES_MAX,
  PIECE_ENTRIES_MAX,
  REST_WAIT_MILLIS,
} from '../../../schemas/limits.ts';
import { operationByName } from '../../../schemas/operations.ts';
import { problem } from '../../../schemas/problems.ts';
import type { AnswerRecord } from '../../../schemas/records.ts';
import type {
  RecordingEnd,
  RecordingFacts,
  RecordingOptions,
} from '../../../schemas/recordings.ts';
import { STATUSES } from '../../../schemas/statuses.ts';
import { giveTurnBack, openTurn, tryTurn } from '../../processors/turn.ts';
import type { Turn } from '../../processors/turn.ts';
import type { Caller } from '../caller.ts';
import { oddPagesOf } from '../facts.ts';
import { inTime } from '../in-time.ts';
import { openMerge } from './merge.ts';
import type { Merge } from './merge.ts';
import type { Last } from './messages.ts';
import type { RecordedGuest, RecordedStream } from './recorded-guest.ts';
import { openWriter } from './writer.ts';
import type { Writer } from './writer.ts';

const FNV_OFFSET_BASIS = 0xcbf2_9ce4_8422_2325n;
const HTAB_HEADER_BYTES = 8;
const HTAB_ENTRY_BYTES = 16;

export interface Recorder {
  facts(): RecordingFacts;
  /** Lines may be out of order from now on. */
  noteDeath(processor: number): void;
  end(why: RecordingEnd): Promise<void>;
  /** The file; throws recording-running before it has ended. */
  file(): Uint8Array[];
  /** Everything about it is given back. */
  drop(): void;
}

interface Item {
  readonly cpu: number;
  readonly answers: Uint8Array;
}

interface State {
  readonly id: string;
  readonly guest: RecordedGuest;
  readonly options: RecordingOptions;
  readonly startedAt: Date;
  readonly turn: Turn;
  readonly writer: Writer;
  readonly notes: string[];
  merge: Merge<Item>;
  htabOrder: number;
  ordered: boolean;
  cpus: number;
  /** Answers that the writer could not be sent. */
  lost: number;
  dropping: boolean;
  ending: Promise<void> | undefined;
  why: RecordingEnd | undefined;
  timer: NodeJS.Timeout | undefined;
  file: Uint8Array[] | undefined;
  result: Pick<RecordingFacts, 'events' | 'lost' | 'bytes' | 'tableHash'> | undefined;
}

/** Resolves when the guest is being recorded. */
export async function startRecorder(
  id: string,
  guest: RecordedGuest,
  options: RecordingOptions,
  backlogBytesMax: number,
): Promise<Recorder> {
  const { bytesMax, eventsMax } = options;
  const onFull = (): void => void end(state, state.writer.written().full!);
  const writer = openWriter({ bytesMax, eventsMax }, backlogBytesMax, onFull);
  const state: State = {
    id,
    guest,
    options,
    startedAt: new Date(),
    turn: openTurn(guest.memory.buffer, guest.map),
    writer,
    notes: notesOf(guest, options),
    merge: openMerge<Item>(0, () => {}),
    htabOrder: 0,
    ordered: options.ordered || guest.alwaysInTurn(),
    cpus: 0,
    lost: 0,
    dropping: false,
    ending: undefined,
    why: undefined,
    timer: undefined,
    file: undefined,
    result: undefined,
  };
  try {
    await guest.hold(() => begin(state));
  } catch (error) {
    stopTaps(state);
    writer.drop();
    throw error;
  }
  state.timer = setTimeout(() => void end(state, 'time'), 1000 * options.secondsMax).unref();
  return {
    facts: () => factsOf(state),
    noteDeath(processor) {
      state.ordered = false;
      state.notes.push(`processor ${processor} died: lines about that moment may be out of order`);
    },
    end: (why) => end(state, why),
    file() {
      if (state.file === undefined)
        throw problem('recording-running', `recording ${id} of ${guest.name} goes on`);
      return state.file;
    },
    drop() {
      clearTimeout(state.timer);
      if (state.result === undefined) stopTaps(state);
      writer.drop();
    },
  };
}

function notesOf(guest: RecordedGuest, { ordered }: RecordingOptions): string[] {
  const { processors } = guest;
  if (guest.alwaysInTurn()) return [];
  if (!ordered) return ['lines of several streams may not stand in the order of what happened'];
  if (processors === 1) return [];
  return [
    `the daemon's ${processors} processors run this guest in turns while it is recorded, one at a time`,
  ];
}

/** In a guest that is held. */
async function begin(state: State): Promise<void> {
  const { guest, turn, writer } = state;
  if (guest.status().state === 'migrating')
    throw problem('guest-state', `${guest.name} is migrating: its table stream is in use`);
  setRecording(state, guest.map.RECORDING_IN_TURN);
  await inTime(guest.allPassed(), 'a processor is still executing an hcall');
  await haveTurn(turn);
  const stamps = Atomics.load(turn.words, guest.map.STAMPS >> 2);
  state.merge = openMerge<Item>(stamps, ({ cpu, answers }) => keep(state, cpu, answers));
  state.htabOrder = guest.status().order;
  for (const stream of guest.streams()) tap(state, stream, stream.unexecuted());
  guest.onStream = (stream) => tap(state, stream, []);
  giveTurnBack(turn);
  for (const { gpa, state: page } of oddPagesOf(guest.memory, guest.map, guest.config))
    writer.send({ kind: 'page', gpa, state: page });
  if (state.htabOrder !== 0) await guest.withOwnStream((caller) => sendTable(state, caller));
  writer.send({ kind: 'begun' });
  if (!state.ordered) setRecording(state, guest.map.RECORDING_LOOSE);
}

function setRecording({ turn }: State, value: number): void {
  Atomics.store(turn.words, turn.recording, value);
}

/** The turn is a processor's for a quantum at most. */
async function haveTurn(turn: Turn): Promise<void> {
  const latest = performance.now() + REST_WAIT_MILLIS;
  while (!tryTurn(turn)) {
    if (performance.now() > latest)
      throw problem('processor-busy', 'a processor does not end its turn');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function tap(state: State, stream: RecordedStream, unexecuted: readonly Uint8Array[]): void {
  const cpu = state.cpus++;
  const { writer } = state;
  const ask = (bytes: Uint8Array): void => {
    if (!state.dropping) writer.send({ kind: 'frame', cpu, bytes });
  };
  for (const bytes of unexecuted) ask(bytes);
  stream.tap({
    onFrame: (frame) => ask(Uint8Array.from(frame)),
    onItem: (stamp, answers) => state.merge.add(stamp, { cpu, answers: Uint8Array.from(answers) }),
  });
}

/** In the order of the file. */
function keep(state: State, cpu: number, answers: Uint8Array): void {
  const { writer } = state;
  state.dropping ||= !writer.keepsUp();
  if (!state.dropping) return writer.send({ kind: 'answers', cpu, bytes: answers });
  // What follows a gap would be wrong: nothing is sent any more.
  state.lost += answerCount(answers);
  state.why = 'backlog';
  void end(state, 'backlog');
}

function answerCount(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  for (let at = 0; at < bytes.byteLength; at += 8 + 8 * view.getUint16(at + 2, true)) count++;
  return count;
}

/** The table in KVM's HTAB format, first pass only: what is there. */
async function sendTable(state: State, caller: Caller): Promise<void> {
  const entries = 2 ** (state.htabOrder - 4);
  const opened = await one(caller, 'HTAB_OPEN', 0n, 0n);
  const reader = succeeded(opened).words[0]!;
  try {
    for (let next = 0; next < entries; ) {
      const answer = await one(caller, 'HTAB_READ', reader, BigInt(HTAB_READ_BYTES_MAX));
      if (answer.status === STATUSES.H_CONTINUE) continue;
      const bytes = bytesOf(succeeded(answer).words);
      if (bytes.byteLength === 0) throw tableChanged(state);
      next = endOf(bytes);
      state.writer.send({ kind: 'table', bytes });
    }
  } finally {
    await one(caller, 'HTAB_CLOSE', reader).catch(() => undefined);
  }
  if (state.guest.status().order !== state.htabOrder) throw tableChanged(state);
}

/** The first word is the number of bytes in those behind it. */
function bytesOf([length, ...words]: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(8 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setBigUint64(8 * i, word, true));
  return bytes.subarray(0, Number(length));
}

/** The slot behind the last record. */
function endOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  for (let at = 0; at < bytes.byteLength; ) {
    const valid = view.getUint16(at + 4, true);
    end = view.getUint32(at, true) + valid + view.getUint16(at + 6, true);
    at += HTAB_HEADER_BYTES + valid * HTAB_ENTRY_BYTES;
  }
  return end;
}

async function one(caller: Caller, name: string, ...words: bigint[]): Promise<AnswerRecord> {
  const [answer] = await caller.call([{ opcode: operationByName(name)!.opcode, tag: 0, words }]);
  return answer!;
}

function succeeded(answer: AnswerRecord): AnswerRecord {
  if (answer.status !== STATUSES.H_SUCCESS)
    throw problem('processor-busy', `the table cannot be read now (status ${answer.status})`);
  return answer;
}

function tableChanged({ guest }: State): Error {
  return problem('table-changed', `the table of ${guest.name} was replaced while it was read`);
}

function end(state: State, why: RecordingEnd): Promise<void> {
  state.why ??= why;
  return (state.ending ??= endNow(state).catch((error: unknown) => fail(state, error)));
}

async function endNow(state: State): Promise<void> {
  const { guest, writer } = state;
  clearTimeout(state.timer);
  const mayHash = state.why === 'asked' || state.why === 'time';
  let hash: Last['hash'];
  await guest
    .hold(async () => {
      if (mayHash) hash = await hashHeld(state);
      setRecording(state, guest.map.RECORDING_IN_TURN);
      await inTime(guest.allPassed(), 'a processor is still executing an hcall');
      await haveTurn(state.turn);
      stopTaps(state);
      giveTurnBack(state.turn);
    })
    .catch(() => stopTaps(state));
  const { order } = guest.status();
  const last: Last = { end: state.why!, order, lost: state.lost, hash };
  const written = await writer.end(last);
  const lost = state.lost + written.lost;
  state.why = written.full ?? state.why;
  if (written.note !== undefined) state.notes.push(written.note);
  if (lost > 0)
    state.notes.push(`${lost} records that were executed at the end are not in the file`);
  const header = createGzipHeader({
    guest,
    startedAt: state.startedAt,
    order: state.htabOrder,
    ordered: state.ordered,
    vcpus: Math.max(1, state.cpus),
    events: written.events,
    hcalls: written.hcalls,
    lost,
    notes: state.notes,
  });
  state.file = [header, ...written.file];
  const bytes = state.file.reduce((sum, part) => sum + part.byteLength, 0);
  state.result = { events: written.events, lost, bytes, tableHash: written.tableHash };
}

/** The hash of the whole table, good if the writer sees no event between its beginning and the end. */
async function hashHeld(state: State): Promise<Last['hash']> {
  const { guest } = state;
  const { order } = guest.status();
  if (order === 0) return undefined;
  await haveTurn(state.turn);
  for (const stream of guest.streams()) stream.show();
  state.writer.send({ kind: 'hashing' });
  giveTurnBack(state.turn);
  return guest.withOwnStream(async (caller) => {
    let [hash, valid] = [FNV_OFFSET_BASIS, 0n];
    for (let next = 0n; next < 2n ** BigInt(order - 4); ) {
      const piece = BigInt(PIECE_ENTRIES_MAX);
      const answer = await one(caller, 'TABLE_HASH', next, piece, hash, valid);
      if (answer.status !== STATUSES.H_SUCCESS) return undefined;
      [hash, valid, next] = answer.words as [bigint, bigint, bigint];
    }
    return { fnv1a64: hash, valid };
  });
}

function stopTaps(state: State): void {
  state.guest.onStream = undefined;
  for (const stream of state.guest.streams()) {
    stream.show();
    stream.tap(undefined);
  }
  const { map } = state.guest;
  setRecording(state, state.guest.alwaysInTurn() ? map.RECORDING_IN_TURN : map.RECORDING_OFF);
}

/** A recording that could not be ended is one without a file. */
function fail(state: State, error: unknown): void {
  state.writer.drop();
  state.notes.push(`the file is lost: ${(error as Error).message}`);
  state.file = [];
  state.result = { events: 0, lost: state.lost, bytes: 0, tableHash: false };
}

function factsOf(state: State): RecordingFacts {
  const { events, fileBytes } = state.writer.written();
  return {
    id: state.id,
    state:
      state.result !== undefined ? 'ended' : state.ending !== undefined ? 'ending' : 'recording',
    startedAt: state.startedAt.toISOString(),
    ordered: state.ordered,
    notes: state.notes,
    ...(state.result ?? { events, lost: state.lost, bytes: fileBytes, tableHash: false }),
    end: state.why ?? null,
  };
}
