/**
 * What one connection sends, and every byte that it must be answered, both made before any clock runs.
 *
 * The records are those of the engine profile's mix insert+remove, on groups that no other connection uses; two records
 * belong together and leave the table as it was, so a run that stops behind such a pair can begin again at any other.
 */
import { openFrame, takeFrame, H_ENTER, type Frame } from '../engine/frames.ts';
import { MIXES, SLOTS, type Scene } from '../engine/mixes.ts';
import { openRandom } from '../engine/random.ts';

export const MIX = 'insert+remove';
/** Records that belong together. */
export const UNIT = 2;
/** What an H_ENTER and its H_REMOVE are answered with: a header each, ptex; both words of the entry. */
export const ENTER_ANSWER_BYTES = 16;
export const UNIT_ANSWER_BYTES = 40;
const ENTER_BYTES = 40;
export const UNIT_BYTES = 72;

/** 64K frames of the guest's memory, 64 times the table. */
const FRAMES_PER_ORDER_SHIFT = 10;
/** Frames made of one batch size: enough that the table is touched all over, or too many objects to keep. */
const FRAMES_MAX = 1 << 14;

export interface Traffic {
  /** Request records, and what they are answered; both begin again at their end. */
  readonly requests: Uint8Array<ArrayBuffer>;
  readonly answers: Buffer<ArrayBuffer>;
  readonly echo: boolean;
}

/** A cycle of frames of one batch size, and what the whole cycle is answered. */
export interface Cycle {
  readonly frames: readonly Frame[];
  readonly answers: Buffer<ArrayBuffer>;
}

/** Traffic of connection `index` of so many on a guest with an empty table of 2^order bytes. */
export function guestTraffic(
  index: number,
  connections: number,
  order: number,
  records: number,
): Traffic {
  const { bytes } = requestRecords(index, connections, order, records);
  return { requests: bytes, answers: foreseen(bytes), echo: false };
}

/** Traffic of the same length for a server that sends it back: records that look like answers. */
export function echoTraffic({ requests }: Traffic): Traffic {
  const bytes = requests.slice();
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.byteLength; ) {
    const words = view.getUint16(at + 2, true) & 0xfff;
    // An answer has a word count without the version, and a status of success.
    view.setUint32(at, words << 16, true);
    at += 8 + 8 * words;
  }
  return { requests: bytes, answers: Buffer.from(bytes.buffer), echo: true };
}

function requestRecords(index: number, connections: number, order: number, records: number): Frame {
  const scene: Scene = {
    writer: openFrame(records + UNIT),
    random: openRandom(index),
    worker: index,
    workers: connections,
    contended: false,
    firstGroup: index,
    groupStep: connections,
    groups: Math.floor(2 ** (order - 7) / connections),
    frames: 2 ** (order - FRAMES_PER_ORDER_SHIFT),
    lowSlots: SLOTS,
  };
  const mix = MIXES.find(({ name }) => name === MIX)!;
  while (scene.writer.hcalls < records) mix.unit(scene);
  return takeFrame(scene.writer);
}

/**
 * The answers, word by word. The table is empty, so H_ENTER takes slot 0 of its group; H_REMOVE gives back the
 * entry's words as they were entered.
 */
function foreseen(requests: Uint8Array<ArrayBuffer>): Buffer<ArrayBuffer> {
  const from = new DataView(requests.buffer);
  const answers = Buffer.alloc((requests.byteLength / UNIT_BYTES) * UNIT_ANSWER_BYTES);
  const to = new DataView(answers.buffer, answers.byteOffset, answers.byteLength);
  for (let unit = 0; unit * UNIT_BYTES < requests.byteLength; unit++) {
    const enter = unit * UNIT_BYTES;
    const answer = unit * UNIT_ANSWER_BYTES;
    if (from.getUint16(enter, true) !== H_ENTER) throw new Error(`no H_ENTER at byte ${enter}`);
    to.setUint32(answer, 1 << 16, true);
    to.setBigUint64(answer + 8, from.getBigUint64(enter + 16, true) & ~7n, true);
    to.setUint32(answer + ENTER_ANSWER_BYTES, 2 << 16, true);
    to.setBigUint64(answer + ENTER_ANSWER_BYTES + 8, from.getBigUint64(enter + 24, true), true);
    to.setBigUint64(answer + ENTER_ANSWER_BYTES + 16, from.getBigUint64(enter + 32, true), true);
  }
  return answers;
}

/** Frames of `batch` records each; the last one may be shorter. */
export function cycleOf({ requests, answers, echo }: Traffic, batch: number): Cycle {
  const units = Math.min(requests.byteLength / UNIT_BYTES, Math.ceil((FRAMES_MAX * batch) / UNIT));
  const records = units * UNIT;
  const frames: Frame[] = [];
  for (let first = 0; first < records; first += batch) {
    const end = Math.min(first + batch, records);
    frames.push({ bytes: requests.subarray(startOf(first), startOf(end)), hcalls: end - first });
  }
  const bytes = units * (echo ? UNIT_BYTES : UNIT_ANSWER_BYTES);
  return { frames, answers: answers.subarray(0, bytes) };
}

/** Where a record begins. */
function startOf(record: number): number {
  return (record >> 1) * UNIT_BYTES + (record & 1) * ENTER_BYTES;
}
