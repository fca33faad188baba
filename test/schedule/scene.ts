/**
 * The guest of a program: laid out once, put back to its start before every schedule by copying what can have changed,
 * and looked at afterwards.
 */
import type { GuestConfig } from '../../schemas/guests.ts';
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import type { StreamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { finishPreparing, openTestGuest } from '../engine/harness.ts';
import type { TestGuest } from '../engine/harness.ts';
import type { Program } from './programs.ts';
import {
  ANSWERS,
  BEGAN,
  CALLS_MAX,
  DEVIATIONS,
  DEVIATION_LIST,
  ENDED,
  FAILURES,
  GOING,
  OUTCOME,
  POINT,
  SEEN,
  STRICT,
  THREADS,
  WATCHED_SLOTS,
} from './stage.ts';
import type { Stage } from './stage.ts';

/** How H_ENTER looks for a slot: an older way, to see it fail. */
export type SlotSearch = GuestConfig['slotSearch'];

const MIB = 1024 * 1024;
/** Host pages as large as the backing's: a page that is unmapped is one chain. */
export const CONFIG = {
  order: 18,
  ramBytes: 16 * MIB,
  hostPageBytes: 65536,
  backingPageBytes: 65536,
} as const;
export const WATCHED_FRAMES = 64;
const TABLE_BYTES = 2 * 2 ** CONFIG.order;
/** Counters and journal. */
const PROCESSOR_BYTES = 1024;
const GUEST_BLOCK_BYTES = 512;

export interface Scene {
  readonly guest: TestGuest;
  /** Address of a thread's count of tlbie. */
  tlbieOf(thread: number): number;
  /** Guest and stage as they are before the first step. */
  reset(stage: Stage, failures: number, deviations: readonly number[], strict: boolean): void;
  /** All that the calls answered and left behind, as it is in memory: equal keys need no second look. */
  key(stage: Stage): string;
  answers(thread: number): AnswerRecord[];
}

export function openScene(program: Program, slotSearch: SlotSearch = 'linearizable'): Scene {
  const guest = openTestGuest({ ...CONFIG, slotSearch });
  for (const { name, args } of program.before) guest.call(name, args);
  finishPreparing(guest);
  const streams = program.threads.map((calls, thread) => {
    const stream = streamMemory(guest.memory.buffer, guest.engine.map, thread + 1);
    resetStream(stream, true);
    const records = calls.map(({ name, args }, tag) => ({
      opcode: operationByName(name)!.opcode,
      tag,
      words: args,
    }));
    putFrame(openSubmissionRing(stream), encodeRequests(records));
    return stream;
  });
  const kept = keptParts(guest, program.threads.length);
  const compared = comparedParts(guest, program.replaces === true);
  const snapshot = kept.map((part) => part.slice());
  const pending = program.replaces === true ? pendingTable(guest) : undefined;
  const entries = new Int32Array(
    guest.memory.buffer,
    guest.word32(guest.exports.TABLE_BASE!),
    WATCHED_SLOTS * 4,
  );
  return {
    guest,
    tlbieOf: (thread) =>
      guest.exports.PROCESSORS! +
      guest.exports.PROCESSOR_BYTES! * (thread + 1) +
      guest.exports.COUNT_TLBIE!,
    reset(stage, failures, deviations, strict) {
      for (const [i, part] of kept.entries()) part.set(snapshot[i]!);
      pending?.fill(0n);
      resetStage(stage, program.threads.length, failures, deviations, strict);
      for (let slot = 0; slot < WATCHED_SLOTS; slot++) {
        stage.words[SEEN + 2 * slot] = entries[slot * 4]!;
        stage.words[SEEN + 2 * slot + 1] = entries[slot * 4 + 1]!;
      }
    },
    key: (stage) => keyOf(stage, compared, streams),
    answers: (thread) => decodeAnswers(answerBytes(streams[thread]!)),
  };
}

/** What is put back: all that a program can change. */
function keptParts(guest: TestGuest, threads: number): Uint8Array[] {
  const { PROCESSORS, PROCESSOR_BYTES: apart, STREAMS, STREAM_BYTES } = guest.exports;
  const bytes = (at: number, length: number) => new Uint8Array(guest.memory.buffer, at, length);
  const each = Array.from({ length: threads }, (_, thread) => [
    bytes(PROCESSORS! + apart! * (thread + 1), PROCESSOR_BYTES),
    bytes(STREAMS! + STREAM_BYTES! * (thread + 1), STREAM_BYTES!),
  ]);
  return [...comparedParts(guest, false), ...each.flat()];
}

/** The guest block, the watched entries with their reverse map, and what is kept about the watched frames. */
function comparedParts(guest: TestGuest, replaces: boolean): Uint8Array[] {
  const { TABLE_BASE, REVMAP_BASE, READERS, MEMSLOTS, SLOT_RMAP, SLOT_HOST, SLOT_DIRTY } =
    guest.exports;
  const bytes = (at: number, length: number) => new Uint8Array(guest.memory.buffer, at, length);
  const pending = guest.word32(guest.exports.RESIZE_BASE!);
  const tables = replaces ? [pending, pending + TABLE_BYTES / 2] : [];
  return [
    bytes(TABLE_BASE!, GUEST_BLOCK_BYTES),
    bytes(READERS!, 64),
    bytes(MEMSLOTS!, 64),
    ...[guest.word32(TABLE_BASE!), guest.word32(REVMAP_BASE!), ...tables].map((at) =>
      bytes(at, WATCHED_SLOTS * 16),
    ),
    bytes(guest.word32(MEMSLOTS! + SLOT_RMAP!), WATCHED_FRAMES * 8),
    bytes(guest.word32(MEMSLOTS! + SLOT_HOST!), WATCHED_FRAMES),
    bytes(guest.word32(MEMSLOTS! + SLOT_DIRTY!), WATCHED_FRAMES / 8),
  ];
}

/** The table in preparation: zero before every schedule. */
function pendingTable(guest: TestGuest): BigUint64Array {
  return guest.words(guest.word32(guest.exports.RESIZE_BASE!), TABLE_BYTES / 8);
}

function resetStage(
  { words }: Stage,
  threads: number,
  failures: number,
  deviations: readonly number[],
  strict: boolean,
): void {
  words.fill(0, OUTCOME, DEVIATION_LIST);
  words[OUTCOME] = GOING;
  words[THREADS] = threads;
  words[FAILURES] = failures;
  words[STRICT] = strict ? 1 : 0;
  words[DEVIATIONS] = deviations.length / 2;
  words.set(deviations, DEVIATION_LIST);
}

function answerBytes({ block, at, completionWords, completion }: StreamMemory): Uint8Array {
  const tail = block[at.completionTail]!;
  const pieces: Uint8Array[] = [];
  for (let item = 0; item < tail; ) {
    const length = completionWords[item >> 2]!;
    pieces.push(completion.slice(item + 8, item + 8 + length));
    item += 8 + length;
  }
  return Buffer.concat(pieces);
}

function keyOf(
  stage: Stage,
  compared: readonly Uint8Array[],
  streams: readonly StreamMemory[],
): string {
  const answers = streams.map(({ completion, block, at }) =>
    completion.subarray(0, block[at.completionTail]),
  );
  const before = precedence(stage, streams.length);
  return Buffer.concat([...compared, ...answers]).toString('latin1') + before;
}

/** Which calls ended before which others began, as a text. */
function precedence(stage: Stage, threads: number): string {
  let text = '';
  for (let a = 0; a < threads; a++) {
    for (let b = 0; b < threads; b++) {
      if (a === b) continue;
      for (let i = 0; i < callsOf(stage, a); i++) {
        for (let j = 0; j < callsOf(stage, b); j++)
          text += precedes(stage, [a, i], [b, j]) ? '<' : '.';
      }
    }
  }
  return text;
}

function callsOf({ words }: Stage, thread: number): number {
  return words[ANSWERS + thread]! >> 2;
}

/** A call: its thread, and its number there. */
export type CallPlace = readonly [thread: number, call: number];

/** Had the one call ended before the other began? Then no order may have them the other way round. */
export function precedes({ words }: Stage, [a, i]: CallPlace, [b, j]: CallPlace): boolean {
  return words[ENDED + a * CALLS_MAX + i]! < words[BEGAN + b * CALLS_MAX + j]!;
}

/** Where each thread stands, for a report. */
export function standing({ words }: Stage): number[] {
  return Array.from({ length: words[THREADS]! }, (_, thread) => words[POINT + thread]!);
}
