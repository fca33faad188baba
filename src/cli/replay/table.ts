/**
 * The whole table, read through a stream as a guest would: H_READ with H_READ_4 over every entry, in frames, pipelined.
 * Used at a trace's END to compare with the recorded SHA-256.
 */
import { createHash, type Hash } from 'node:crypto';
import { FLAGS } from '../../../schemas/flags.ts';
import { operationByName } from '../../../schemas/operations.ts';
import { HEADER_BYTES, writeRequest } from '../../../schemas/records.ts';
import type { HcallStream } from '../../client/stream.ts';

export interface TableContents {
  readonly validEntries: number;
  readonly sha256: string;
  /** An H_READ was refused: the table is smaller than the trace says, or there is none. */
  readonly refused: boolean;
}

/** Is told of each valid entry. */
export type EntryListener = (ptex: number, dword0: bigint) => void;

interface Reading {
  readonly hash: Hash;
  /** The valid entries of one answer. */
  readonly buffer: Buffer;
  readonly onEntry: EntryListener | undefined;
  ptex: number;
  validEntries: number;
  refused: boolean;
}

const ENTRIES_PER_READ = 4;
const READ_BYTES = HEADER_BYTES + 16;
const READS_PER_FRAME = 1024;
const ENTRY_HASH_BYTES = 24;
/** Dword 0's lock bit, in its lowest byte: never part of the hash. */
const LOCK_BIT = 0x40;
const VALID = 1;

/** Takes the stream's answers over; nothing may be unanswered. */
export async function readTable(
  stream: Pick<HcallStream, 'sendFrame' | 'onAnswers' | 'drained'>,
  order: number,
  onEntry?: EntryListener,
): Promise<TableContents> {
  const entries = order === 0 ? 0 : 2 ** (order - 4);
  const reading: Reading = {
    hash: createHash('sha256'),
    buffer: Buffer.alloc(ENTRIES_PER_READ * ENTRY_HASH_BYTES),
    onEntry,
    ptex: 0,
    validEntries: 0,
    refused: false,
  };
  stream.onAnswers((answers) => takeAnswers(reading, answers));
  for (let ptex = 0; ptex < entries; ptex += ENTRIES_PER_READ * READS_PER_FRAME) {
    const reads = Math.min(READS_PER_FRAME, (entries - ptex) / ENTRIES_PER_READ);
    const wait = stream.sendFrame(readFrame(ptex, reads), reads);
    if (wait !== undefined) await wait;
  }
  await stream.drained();
  return {
    validEntries: reading.validEntries,
    sha256: reading.hash.digest('hex'),
    refused: reading.refused,
  };
}

function readFrame(firstPtex: number, reads: number): Uint8Array {
  const frame = new Uint8Array(reads * READ_BYTES);
  const view = new DataView(frame.buffer);
  const { opcode } = operationByName('H_READ')!;
  for (let i = 0; i < reads; i++) {
    const words = [FLAGS.H_READ_4, BigInt(firstPtex + i * ENTRIES_PER_READ)];
    writeRequest(view, i * READ_BYTES, { opcode, tag: i, words });
  }
  return frame;
}

function takeAnswers(reading: Reading, answers: Buffer): void {
  for (let at = 0; at < answers.length; ) {
    const words = answers.readUInt16LE(at + 2);
    if (words === 2 * ENTRIES_PER_READ) takeEntries(reading, answers, at + HEADER_BYTES);
    else reading.refused = true;
    reading.ptex += ENTRIES_PER_READ;
    at += HEADER_BYTES + 8 * words;
  }
}

/** SPEC: of each valid entry ptex, dword 0 without its lock bit and dword 1, big-endian. */
function takeEntries(reading: Reading, answers: Buffer, first: number): void {
  const { buffer } = reading;
  let to = 0;
  for (let i = 0; i < ENTRIES_PER_READ; i++) {
    const at = first + 16 * i;
    const low = answers.readUInt32LE(at);
    if ((low & VALID) === 0) continue;
    reading.onEntry?.(reading.ptex + i, answers.readBigUInt64LE(at));
    buffer.writeUInt32BE(0, to);
    buffer.writeUInt32BE(reading.ptex + i, to + 4);
    buffer.writeUInt32BE(answers.readUInt32LE(at + 4), to + 8);
    buffer.writeUInt32BE((low & ~LOCK_BIT) >>> 0, to + 12);
    buffer.writeUInt32BE(answers.readUInt32LE(at + 12), to + 16);
    buffer.writeUInt32BE(answers.readUInt32LE(at + 8), to + 20);
    to += ENTRY_HASH_BYTES;
    reading.validEntries++;
  }
  if (to > 0) reading.hash.update(buffer.subarray(0, to));
}
