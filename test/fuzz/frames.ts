/**
 * The engine's decoders: binary frames of records, and table streams (HTAB_WRITE's data) within them. What is drawn starts
 * from the table of operations, so that most of it is nearly right; then bytes are changed.
 */
import assert from 'node:assert/strict';
import { operationByName, OPERATIONS } from '../../schemas/operations.ts';
import { FRAME_BYTES_MAX } from '../../schemas/limits.ts';
import { EXPLAIN_WORDS, encodeRequests } from '../../schemas/records.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { openTestGuest } from '../engine/harness.ts';
import type { TestGuest, TestProcessor } from '../engine/harness.ts';
import { checkTable } from '../engine/invariants.ts';
import { openYieldEngine } from '../failure/mortal.ts';
import type { Random } from '../rings/random.ts';
import { pick } from './decoder.ts';
import type { Decoder, Note, Target } from './decoder.ts';

const MIB = 2 ** 20;
/** A random HPT_RESET of order 30 touches a gigabyte: a fresh guest now and then keeps the memory small. */
const GUEST_FRAMES = 500;
const CHECK_EVERY = 50;
const EXPLAINED_ONE_IN = 5;
/** Words that mean something somewhere: small numbers, edges, an entry's dwords, a request for removal. */
const WORDS = [
  '0 1 7 8 18 19 24 64 200 16383 16384 0x100000000 0xffffffffffffffff',
  '0x123456000001 0x123456000015 0x10192 0x1f192 0x8000000000',
  '0x4000000000000000 0x4000000000000008 0xc000000000000000',
].flatMap((words) => words.split(' ').map(BigInt));

export const newGuest = (): TestGuest =>
  openTestGuest({ order: 18, ramBytes: 16 * MIB, memory: 'backed' });

export function randomWord(random: Random): bigint {
  if (random.below(4) > 0) return pick(random, WORDS);
  return (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
}

function randomRecord(random: Random, tag: number): RequestRecord {
  const { opcode, arguments: args, wordsMin, dataWordsMax } = pick(random, OPERATIONS);
  const most = args.length + (dataWordsMax === 0 ? 0 : random.below(20));
  const count = wordsMin + random.below(most - wordsMin + 1) + (random.below(60) === 0 ? 1 : 0);
  const words = Array.from({ length: count }, () => randomWord(random));
  return { opcode, tag, words, explain: random.below(EXPLAINED_ONE_IN) === 0 };
}

/** The frame, with bytes changed and its end cut off now and then. */
function damaged(random: Random, frame: Uint8Array): Uint8Array {
  for (let i = random.below(4) === 0 ? random.below(6) : 0; i > 0; i--)
    frame[random.below(frame.byteLength)] = random.below(256);
  return random.below(30) === 0 ? frame.subarray(0, random.below(frame.byteLength)) : frame;
}

function randomFrame(random: Random): Uint8Array {
  const records = Array.from({ length: 1 + random.below(20) }, (_, tag) =>
    randomRecord(random, tag),
  );
  return damaged(random, encodeRequests(records));
}

/** Records of a table stream: index, numbers of entries and of empty slots, the entries big-endian. */
function randomStream(random: Random): Buffer {
  const pieces = Array.from({ length: 1 + random.below(5) }, () => {
    const valid = random.below(4);
    const piece = Buffer.alloc(8 + 16 * valid);
    piece.writeUInt32LE(random.below(6) === 0 ? random.below(2 ** 32) : random.below(64));
    piece.writeUInt16LE(random.below(20) === 0 ? random.below(2 ** 16) : valid, 4);
    piece.writeUInt16LE(random.below(10) === 0 ? random.below(2 ** 16) : random.below(9), 6);
    for (let i = 0; i < valid; i++) {
      piece.writeBigUInt64BE(
        random.below(3) === 0 ? randomWord(random) : 0x1234_5600_0001n,
        8 + 16 * i,
      );
      piece.writeBigUInt64BE(random.below(3) === 0 ? randomWord(random) : 0x10192n, 16 + 16 * i);
    }
    return piece;
  });
  const stream = Buffer.concat(pieces);
  return random.below(8) === 0 ? stream.subarray(0, random.below(stream.length)) : stream;
}

function htabWrite(random: Random, tag: number): RequestRecord {
  const stream = randomStream(random);
  const words = [BigInt(random.below(10) === 0 ? random.below(200) : stream.length)];
  const padded = Buffer.alloc(8 * Math.ceil(stream.length / 8));
  stream.copy(padded);
  for (let at = 0; at < padded.length; at += 8) words.push(padded.readBigUInt64LE(at));
  return { opcode: operationByName('HTAB_WRITE')!.opcode, tag, words };
}

function randomStreamFrame(random: Random): Uint8Array {
  const reads = (['HTAB_OPEN', 'HTAB_READ', 'HTAB_CLOSE'] as const).map((name) => ({
    opcode: operationByName(name)!.opcode,
    words: [0n, name === 'HTAB_READ' ? 200n : 0n].slice(0, name === 'HTAB_CLOSE' ? 1 : 2),
  }));
  const records = Array.from({ length: 1 + random.below(8) }, (_, tag) =>
    random.below(3) > 0
      ? htabWrite(random, tag)
      : random.below(2) === 0
        ? { ...pick(random, reads), tag }
        : randomRecord(random, tag),
  );
  return damaged(random, encodeRequests(records));
}

/** What must hold of a frame whatever is in it: it is answered, or refused at a place within it. */
export function performFrame(
  on: TestProcessor,
  frame: Uint8Array,
): ReturnType<TestProcessor['frame']> {
  assert.ok(frame.byteLength <= FRAME_BYTES_MAX);
  const answers = on.frame(frame);
  if (Array.isArray(answers)) assert.ok(answers.length > 0 || frame.byteLength === 0);
  else assert.ok(answers.offset <= frame.byteLength);
  return answers;
}

/** On the engine as it is; where somebody wants notes, on its test build, which tells every step. */
async function openFrames(note?: Note): Promise<Target> {
  let guest = newGuest();
  let on = processorOf(guest, note);
  let frames = 0;
  return {
    perform(frame) {
      if (frame.byteLength > FRAME_BYTES_MAX) return;
      if (++frames % GUEST_FRAMES === 0) {
        guest = newGuest();
        on = processorOf(guest, note);
      }
      const answers = performFrame(on, frame);
      if (note !== undefined) noteAnswers(frame, answers, note);
      if (frames % CHECK_EVERY === 0) checkTable(guest);
    },
    close: async () => void checkTable(guest),
  };
}

function processorOf(guest: TestGuest, note: Note | undefined): TestProcessor {
  if (note === undefined) return guest;
  let before = 0;
  const calls = openYieldEngine(guest.memory, {
    yieldPoint(point) {
      note(`${before} to ${point}`);
      before = point;
    },
    attemptFails: () => 0,
  });
  return guest.processor(1, true, calls);
}

/** How each record was answered, and by which rule if it asked. */
function noteAnswers(
  frame: Uint8Array,
  answers: ReturnType<TestProcessor['frame']>,
  note: Note,
): void {
  if (!Array.isArray(answers)) return note(`fault ${answers.fault}`);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 0;
  for (const { status, words } of answers) {
    const opcode = view.getUint16(at, true);
    const rule = words.length >= EXPLAIN_WORDS ? words[words.length - EXPLAIN_WORDS]! : 0n;
    note(`${opcode} ${status} ${rule < 100n ? rule : ''}`);
    at += 8 + 8 * (view.getUint16(at + 2, true) & 0xfff);
  }
}

export const BINARY_RECORDS: Decoder = {
  name: 'binary-records',
  sources: 'engine',
  draw: randomFrame,
  open: openFrames,
};

export const TABLE_STREAMS: Decoder = {
  name: 'table-streams',
  sources: 'engine',
  draw: randomStreamFrame,
  open: openFrames,
};
