/**
 * Random calls on groups that only one client uses, each with the answer it must be given. Nobody else enters there and the
 * host gives no R or C, so what a slot holds is known: plain data, much less than a model of the table.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { operationByName } from '../../schemas/operations.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { below, type Random } from '../engine/random.ts';

export interface Slots {
  readonly random: Random;
  readonly firstGroup: number;
  readonly groups: number;
  /** By ptex less that of the first slot; undefined: the slot is empty. */
  readonly held: ({ readonly pteh: bigint; readonly ptel: bigint } | undefined)[];
  tag: number;
}

export interface ExpectedCall {
  readonly record: RequestRecord;
  readonly op: string;
  readonly status: number;
  readonly words: readonly bigint[];
}

const SLOTS = 8;
const VALID = 1n;
const AVPN_SHIFT = 12n;
const FRAMES = 64;
const FRAME_SHIFT = 16n;
/** Memory coherent, PP 2. */
const PTEL = 0x12n;
/** What H_PROTECT changes of dword 1 here: PP. */
const PP = 3n;
const BULK_REQUEST = 1n << 62n;
const BULK_END = 3n << 62n;
const BULK_RESPONSE = 1n << 63n;
const BULK_NOT_FOUND = BULK_RESPONSE | (1n << 60n);
const BULK_PAIRS = 4;

export function openSlots(random: Random, firstGroup: number, groups: number): Slots {
  const held = Array.from({ length: groups * SLOTS }, () => undefined);
  return { random, firstGroup, groups, held, tag: 0 };
}

export function randomCall(slots: Slots): ExpectedCall {
  const kind = below(slots.random, 16);
  if (kind < 6) return enter(slots);
  if (kind < 9) return remove(slots);
  if (kind < 12) return read(slots);
  return kind < 15 ? protect(slots) : bulkRemove(slots);
}

function call(
  slots: Slots,
  op: string,
  args: readonly bigint[],
  status: number,
  words: readonly bigint[] = [],
): ExpectedCall {
  slots.tag = (slots.tag + 1) >>> 0;
  const { opcode } = operationByName(op)!;
  return { record: { opcode, tag: slots.tag, words: args }, op, status, words };
}

function randomSlot(slots: Slots): number {
  return below(slots.random, slots.held.length);
}

function ptexOf(slots: Slots, slot: number): bigint {
  return BigInt(slots.firstGroup * SLOTS + slot);
}

function enter(slots: Slots): ExpectedCall {
  const { random, held } = slots;
  const wanted = randomSlot(slots);
  const pteh = (BigInt(below(random, 2 ** 30)) << AVPN_SHIFT) | VALID;
  const ptel = (BigInt(below(random, FRAMES)) << FRAME_SHIFT) | PTEL;
  const exact = below(random, 2) === 0;
  const group = wanted - (wanted % SLOTS);
  const free = exact ? wanted : held.indexOf(undefined, group);
  const taken = exact ? held[wanted] !== undefined : free === -1 || free >= group + SLOTS;
  const args = [exact ? FLAGS.H_EXACT : 0n, ptexOf(slots, wanted), pteh, ptel];
  if (taken) return call(slots, 'H_ENTER', args, STATUSES.H_PTEG_FULL);
  held[free] = { pteh, ptel };
  return call(slots, 'H_ENTER', args, STATUSES.H_SUCCESS, [ptexOf(slots, free)]);
}

function remove(slots: Slots): ExpectedCall {
  const slot = randomSlot(slots);
  const entry = slots.held[slot];
  const args = [0n, ptexOf(slots, slot), 0n];
  if (entry === undefined) return call(slots, 'H_REMOVE', args, STATUSES.H_NOT_FOUND);
  slots.held[slot] = undefined;
  return call(slots, 'H_REMOVE', args, STATUSES.H_SUCCESS, [entry.pteh, entry.ptel]);
}

function read(slots: Slots): ExpectedCall {
  const slot = randomSlot(slots);
  const entry = slots.held[slot];
  // Dword 1 of an empty slot means nothing: isRight does not look at it.
  const words = entry === undefined ? [0n, 0n] : [entry.pteh, entry.ptel];
  return call(slots, 'H_READ', [0n, ptexOf(slots, slot)], STATUSES.H_SUCCESS, words);
}

function protect(slots: Slots): ExpectedCall {
  const slot = randomSlot(slots);
  const entry = slots.held[slot];
  const pp = BigInt(2 + below(slots.random, 2));
  const args = [pp, ptexOf(slots, slot), 0n];
  if (entry === undefined) return call(slots, 'H_PROTECT', args, STATUSES.H_NOT_FOUND);
  slots.held[slot] = { pteh: entry.pteh, ptel: (entry.ptel & ~PP) | pp };
  return call(slots, 'H_PROTECT', args, STATUSES.H_SUCCESS);
}

function bulkRemove(slots: Slots): ExpectedCall {
  const args: bigint[] = [];
  const words: bigint[] = [];
  for (let i = 0; i < BULK_PAIRS - 1; i++) {
    const slot = randomSlot(slots);
    const ptex = ptexOf(slots, slot);
    args.push(BULK_REQUEST | ptex, 0n);
    words.push((slots.held[slot] === undefined ? BULK_NOT_FOUND : BULK_RESPONSE) | ptex, 0n);
    slots.held[slot] = undefined;
  }
  args.push(BULK_END, 0n);
  words.push(BULK_END, 0n);
  return call(slots, 'H_BULK_REMOVE', args, STATUSES.H_SUCCESS, words);
}

/** undefined: the answer is right; else what is wrong, for people. */
export function faultOf(expected: ExpectedCall, answer: AnswerRecord): string | undefined {
  const { record, op, status, words } = expected;
  const compared = op === 'H_READ' && ((words[0] ?? 0n) & VALID) === 0n ? 1 : words.length;
  const same =
    answer.tag === record.tag &&
    answer.status === status &&
    answer.words.length === words.length &&
    words.every((word, i) => i >= compared || word === answer.words[i]);
  if (same) return undefined;
  return `${op} ${text(record.words)}: status ${answer.status} ${text(answer.words)} instead of ${status} ${text(words)}`;
}

function text(words: readonly bigint[]): string {
  return `[${words.map((word) => `0x${word.toString(16)}`).join(' ')}]`;
}
