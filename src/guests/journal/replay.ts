/**
 * Does a journal again: its records are executed by an engine on the guest's memory, one group after the other, and every
 * answer is compared with the one that was given. Main thread, before any processor knows the guest.
 *
 * What depended on time is told by its answer: an H_RESIZE_HPT_PREPARE or COMMIT that found the new table ready finds it
 * ready again, because it is zeroed before; one that found it not ready does so because nothing zeroes it here.
 *
 * Readers of the table stream are opened and read again too, because what changes under an open reader is marked in guest_rpte,
 * and H_CLEAR_REF and H_CLEAR_MOD show the mark. Whoever restarts closes them afterwards.
 */
import { FRAME_BYTES_MAX } from '../../../schemas/limits.ts';
import { operationByName, operationByOpcode } from '../../../schemas/operations.ts';
import { CONTROL_BIT, EXPLAIN_BIT, EXPLAIN_WORDS, HEADER_BYTES } from '../../../schemas/records.ts';
import { STATUSES } from '../../../schemas/statuses.ts';
import { openCompletionRing, takeCompletions } from '../../rings/completion.ts';
import type { Engine } from '../../rings/engine.ts';
import { resetStream, streamMemory } from '../../rings/stream-memory.ts';
import type { StreamMemory } from '../../rings/stream-memory.ts';
import { bytesInFlight, openSubmissionRing, putFrame } from '../../rings/submission.ts';
import type { Entry } from '../../state/journal/format.ts';
import {
  ENTRY_ANSWERS,
  ENTRY_FRAME,
  ENTRY_STREAM,
  entriesOf,
  viewOf,
} from '../../state/journal/format.ts';
import { isKept } from './kept-answers.ts';

const QUANTUM = 4096;
const SLOT = 0;
const COUNT_MASK = 0xfff;
const OPCODE_MASK = 0xffff & ~EXPLAIN_BIT;

/** What the journal says and what the engine answers are not the same. */
export class ReplayMismatch extends Error {}

export interface Replay {
  /** A group's entries; the first of a segment begins with other streams. Throws ReplayMismatch. */
  take(entries: Uint8Array, isFirst: boolean): void;
  /** Records that were executed. */
  executed(): number;
}

interface Asked {
  readonly host: boolean;
  readonly frames: Uint8Array[];
  /** Where in the first frame the next record is. */
  at: number;
}

interface State {
  readonly engine: Engine;
  readonly memory: WebAssembly.Memory;
  readonly rings: StreamMemory;
  readonly streams: Map<number, Asked>;
  executed: number;
  /** Records gathered into a frame, and what is to be answered: the kept answers, and the requests' heads. */
  readonly frame: Uint8Array;
  frameBytes: number;
  heads: number[];
}

export function openReplay(engine: Engine, memory: WebAssembly.Memory): Replay {
  engine.calls.beProcessor(0);
  const words = new Int32Array(memory.buffer, 0, engine.map.STREAMS >> 2);
  words[engine.map.PAUSED >> 2] = 0;
  words[engine.map.RECORDING >> 2] = engine.map.RECORDING_OFF;
  const state: State = {
    engine,
    memory,
    rings: streamMemory(memory.buffer, engine.map, SLOT),
    streams: new Map(),
    executed: 0,
    frame: new Uint8Array(FRAME_BYTES_MAX),
    frameBytes: 0,
    heads: [],
  };
  return {
    executed: () => state.executed,
    take(entries, isFirst) {
      if (isFirst) state.streams.clear();
      for (const entry of entriesOf(entries)) takeEntry(state, entry);
    },
  };
}

function takeEntry(state: State, { kind, stream, bytes }: Entry): void {
  if (kind === ENTRY_STREAM) {
    state.streams.set(stream, { host: bytes[0] === 1, frames: [], at: 0 });
    return;
  }
  const asked = state.streams.get(stream);
  if (asked === undefined) throw new ReplayMismatch(`stream ${stream} was not opened`);
  if (kind === ENTRY_FRAME) asked.frames.push(bytes);
  else if (kind === ENTRY_ANSWERS) execute(state, asked, bytes);
  else throw new ReplayMismatch(`an entry of kind ${kind} is unknown`);
}

/** The stream's next records, as many as there are answers. */
function execute(state: State, asked: Asked, kept: Uint8Array): void {
  resetStream(state.rings, asked.host);
  const view = viewOf(kept);
  /** Where the answers of the records in hand begin. */
  let first = 0;
  for (let at = 0; at < kept.byteLength; ) {
    const record = nextRecord(asked);
    const end = at + keptBytes(view, at);
    const alone = isResize(record);
    if (alone || state.frameBytes + record.byteLength > FRAME_BYTES_MAX) {
      runFrame(state, kept.subarray(first, at));
      first = at;
    }
    gather(state, record);
    if (alone) {
      if (metReady(view.getInt16(at, true))) finishZeroing(state);
      runFrame(state, kept.subarray(first, end));
      first = end;
    }
    at = end;
  }
  runFrame(state, kept.subarray(first));
}

function keptBytes(view: DataView, at: number): number {
  const words = view.getUint16(at + 2, true);
  return HEADER_BYTES + (isKept(words) ? 8 * words : 0);
}

function nextRecord(asked: Asked): Uint8Array {
  const frame = asked.frames[0];
  if (frame === undefined) throw new ReplayMismatch('more answers than requests');
  const words = viewOf(frame).getUint16(asked.at + 2, true) & COUNT_MASK;
  const record = frame.subarray(asked.at, asked.at + HEADER_BYTES + 8 * words);
  asked.at += record.byteLength;
  if (asked.at >= frame.byteLength) {
    asked.frames.shift();
    asked.at = 0;
  }
  return record;
}

const RESIZES = new Set([
  operationByName('H_RESIZE_HPT_PREPARE')?.opcode,
  operationByName('H_RESIZE_HPT_COMMIT')?.opcode,
]);

function isResize(record: Uint8Array): boolean {
  return RESIZES.has((record[0]! | (record[1]! << 8)) & OPCODE_MASK);
}

/** Statuses that only a new table that was ready leads to. */
function metReady(status: number): boolean {
  return status === STATUSES.H_SUCCESS || status === STATUSES.H_PTEG_FULL;
}

/** As the processor that prepares it would have done between its batches. */
function finishZeroing({ engine: { calls, map }, memory }: State): void {
  const owner = new Uint32Array(memory.buffer, map.RESIZE_OWNER, 1)[0]!;
  if (owner === 0) return;
  calls.beProcessor(owner - 1);
  while (calls.backgroundSlice() !== 0);
  calls.beProcessor(0);
}

function gather(state: State, record: Uint8Array): void {
  state.frame.set(record, state.frameBytes);
  state.frameBytes += record.byteLength;
  state.heads.push(record[0]! | (record[1]! << 8));
}

/** Executes what is gathered and compares. */
function runFrame(state: State, kept: Uint8Array): void {
  if (state.frameBytes === 0) return;
  const { rings, engine } = state;
  const submission = openSubmissionRing(rings);
  submission.tail = Atomics.load(rings.block, rings.at.submissionTail);
  submission.submitted = Atomics.load(rings.block, rings.at.consumed);
  const completion = openCompletionRing(rings);
  completion.head = Atomics.load(rings.block, rings.at.completionHead);
  putFrame(submission, state.frame.subarray(0, state.frameBytes));
  const expected = openComparison(kept, state.heads);
  for (;;) {
    engine.calls.run(SLOT, QUANTUM);
    const taken = takeCompletions(completion);
    if (taken instanceof Uint8Array) expected.compare(taken);
    else if (taken !== undefined) throw new ReplayMismatch('the engine refuses a frame');
    else if (bytesInFlight(submission) === 0) break;
  }
  state.executed += state.heads.length;
  state.frameBytes = 0;
  state.heads = [];
}

function openComparison(kept: Uint8Array, heads: readonly number[]) {
  const was = viewOf(kept);
  let [at, record] = [0, 0];
  return {
    compare(answers: Uint8Array): void {
      const is = viewOf(answers);
      for (let i = 0; i < answers.byteLength; record++) {
        const words = is.getUint16(i + 2, true);
        const head = heads[record]!;
        if (!isSame(was, at, is, i, head))
          throw differs(head, was.getInt16(at, true), is.getInt16(i, true));
        at += keptBytes(was, at);
        i += HEADER_BYTES + 8 * words;
      }
    },
  };
}

/** Status, count and words; an explanation may tell of other circumstances. */
function isSame(was: DataView, at: number, is: DataView, i: number, head: number): boolean {
  if (was.getUint32(at, true) !== is.getUint32(i, true)) return false;
  const all = was.getUint16(at + 2, true);
  if (!isKept(all)) return true;
  const words = (head & EXPLAIN_BIT) === 0 ? all : all - EXPLAIN_WORDS;
  for (let word = 0; word < words; word++) {
    const place = HEADER_BYTES + 8 * word;
    if (was.getBigUint64(at + place, true) !== is.getBigUint64(i + place, true)) return false;
  }
  return true;
}

function differs(head: number, was: number, is: number): ReplayMismatch {
  const name = operationByOpcode(head & OPCODE_MASK)?.name ?? `opcode ${head & ~CONTROL_BIT}`;
  return new ReplayMismatch(
    was === is
      ? `${name} answered status ${was} and gives other words`
      : `${name} answered status ${was} and gives ${is}`,
  );
}
