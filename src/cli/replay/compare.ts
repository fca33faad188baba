/**
 * Compares the answers of a stream with those a plan expects, frame by frame as they come.
 *
 * While all is well a frame of answers is compared as memory, without looking at its records: the words that mean
 * nothing are first copied from the answer into the expectation. Only a frame that differs is taken apart.
 */
import { operationByOpcode } from '../../../schemas/operations.ts';
import { type AnswerRecord, HEADER_BYTES } from '../../../schemas/records.ts';
import { ProtocolError } from '../../client/errors.ts';
import type { Plan } from './plan.ts';

export interface Mismatch {
  readonly line: number;
  readonly op: string;
  readonly args: readonly bigint[];
  readonly expected: { readonly status: number; readonly words: readonly (bigint | null)[] };
  readonly actual: { readonly status: number; readonly words: readonly bigint[] };
}

export interface Comparer {
  readonly plan: Plan;
  /** Bytes of `plan.expected` that have been answered. */
  position: number;
  /** The first undefined word at or behind `position`. */
  undefinedIndex: number;
  mismatches: number;
  /** The first of them, decoded. */
  readonly first: Mismatch[];
  tableDiffers: boolean;
}

export const SHOWN_MISMATCHES = 10;

export function openComparer(plan: Plan): Comparer {
  return { plan, position: 0, undefinedIndex: 0, mismatches: 0, first: [], tableDiffers: false };
}

/** Takes a frame of whole answer records, the next in order. */
export function compareFrame(comparer: Comparer, answers: Buffer): void {
  if (sameBytes(comparer, answers)) {
    moveTo(comparer, comparer.position + answers.length);
  } else {
    compareRecords(comparer, answers);
  }
}

function moveTo(comparer: Comparer, position: number): void {
  const { undefinedAt } = comparer.plan;
  comparer.position = position;
  while (
    comparer.undefinedIndex < undefinedAt.length &&
    undefinedAt[comparer.undefinedIndex]! < position
  ) {
    comparer.undefinedIndex++;
  }
}

function sameBytes(comparer: Comparer, answers: Buffer): boolean {
  const { expected, undefinedAt } = comparer.plan;
  const start = comparer.position;
  const end = start + answers.length;
  if (end > expected.length) return false;
  for (let i = comparer.undefinedIndex; i < undefinedAt.length && undefinedAt[i]! < end; i++) {
    const at = undefinedAt[i]!;
    answers.copy(expected, at, at - start, at - start + 8);
  }
  return expected.compare(answers, 0, answers.length, start, end) === 0;
}

function compareRecords(comparer: Comparer, answers: Buffer): void {
  const { expected } = comparer.plan;
  for (let at = 0; at < answers.length; ) {
    const here = comparer.position;
    if (here >= expected.length) throw new ProtocolError('an answer came that nothing asked for');
    const line = expected.readUInt32LE(here + 4);
    if (answers.readUInt32LE(at + 4) !== line)
      throw new ProtocolError(`the answer to line ${line} carries another tag`);
    if (!sameAnswer(comparer, answers, at)) noteMismatch(comparer, line, answers, at);
    moveTo(comparer, here + recordBytes(expected, here));
    at += recordBytes(answers, at);
  }
}

function recordBytes(bytes: Buffer, at: number): number {
  return HEADER_BYTES + 8 * bytes.readUInt16LE(at + 2);
}

function sameAnswer(comparer: Comparer, answers: Buffer, at: number): boolean {
  const { expected } = comparer.plan;
  const here = comparer.position;
  if (expected.readUInt32LE(here) !== answers.readUInt32LE(at)) return false;
  const bytes = recordBytes(expected, here);
  for (let offset = HEADER_BYTES; offset < bytes; offset += 8) {
    const differs =
      expected.readUInt32LE(here + offset) !== answers.readUInt32LE(at + offset) ||
      expected.readUInt32LE(here + offset + 4) !== answers.readUInt32LE(at + offset + 4);
    if (differs && !isUndefined(comparer, here + offset)) return false;
  }
  return true;
}

/** Is the expected word at `offset`, in the record at `position`, one that means nothing? */
function isUndefined(comparer: Comparer, offset: number): boolean {
  const { undefinedAt } = comparer.plan;
  let i = comparer.undefinedIndex;
  while (i < undefinedAt.length && undefinedAt[i]! < offset) i++;
  return undefinedAt[i] === offset;
}

function noteMismatch(comparer: Comparer, line: number, answers: Buffer, at: number): void {
  comparer.mismatches++;
  if (comparer.plan.hashLines.has(line)) comparer.tableDiffers = true;
  if (comparer.first.length >= SHOWN_MISMATCHES) return;
  const here = comparer.position;
  const { expected } = comparer.plan;
  const expectedWords = wordsAt(expected, here).map((word, i) =>
    isUndefined(comparer, here + HEADER_BYTES + 8 * i) ? null : word,
  );
  comparer.first.push({
    line,
    ...requestOf(comparer.plan, line),
    expected: { status: expected.readInt16LE(here), words: expectedWords },
    actual: { status: answers.readInt16LE(at), words: wordsAt(answers, at) },
  });
}

function wordsAt(bytes: Buffer, at: number): bigint[] {
  return Array.from({ length: bytes.readUInt16LE(at + 2) }, (_, i) =>
    bytes.readBigUInt64LE(at + HEADER_BYTES + 8 * i),
  );
}

/** The request of a line, found by walking: only mismatches that are shown need it. */
function requestOf(plan: Plan, line: number): { op: string; args: bigint[] } {
  const bytes = Buffer.from(
    plan.requests.buffer,
    plan.requests.byteOffset,
    plan.requests.byteLength,
  );
  for (let at = 0; at < bytes.length; ) {
    const count = bytes.readUInt16LE(at + 2) & 0xfff;
    if (bytes.readUInt32LE(at + 4) === line) {
      const args = Array.from({ length: count }, (_, i) =>
        bytes.readBigUInt64LE(at + HEADER_BYTES + 8 * i),
      );
      return { op: operationByOpcode(bytes.readUInt16LE(at))!.name, args };
    }
    at += HEADER_BYTES + 8 * count;
  }
  throw new ProtocolError(`line ${line} was never sent`);
}

/** Compares an answer that was waited for. `words`: null is not compared. */
export function compareAnswer(
  comparer: Comparer,
  asked: { readonly line: number; readonly op: string; readonly args: readonly bigint[] },
  expected: Mismatch['expected'],
  actual: Pick<AnswerRecord, 'status' | 'words'>,
): void {
  const same =
    expected.status === actual.status &&
    expected.words.length === actual.words.length &&
    expected.words.every((word, i) => word === null || word === actual.words[i]);
  if (same) return;
  comparer.mismatches++;
  if (comparer.plan.hashLines.has(asked.line)) comparer.tableDiffers = true;
  if (comparer.first.length < SHOWN_MISMATCHES) {
    comparer.first.push({
      ...asked,
      expected,
      actual: { status: actual.status, words: actual.words },
    });
  }
}
