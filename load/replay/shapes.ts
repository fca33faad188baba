/**
 * Checks one answer of a replay with several streams: whole, where it does not depend on the interleaving, else its form.
 * And keeps account of what the answers say was put into the table and taken out. See smp-plan.ts.
 */
import { operationByName } from '../../schemas/operations.ts';
import { HEADER_BYTES } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import type { Plan } from '../../src/cli/replay/plan.ts';
import { type Call, requestsOf, wantsExactly } from './smp-plan.ts';

export interface Account {
  entered: number;
  removed: number;
}

const COUNT_MASK = 0xfff;
const SLOTS_MASK = 7n;
/** H_BULK_REMOVE: type "response", code "success", in the highest four bits of a pair's first word. */
const BULK_SUCCESS = 0x8n;

export function isRight(
  plan: Plan,
  isUndefined: ReadonlySet<number>,
  call: Call,
  answers: Buffer,
  at: number,
): boolean {
  const { expected } = plan;
  const status = answers.readInt16LE(at);
  const words = answers.readUInt16LE(at + 2);
  const recorded = expected.readInt16LE(call.expectedAt);
  const recordedWords = expected.readUInt16LE(call.expectedAt + 2);
  if (call.whole) {
    if (status !== recorded || words !== recordedWords) return false;
    for (let offset = HEADER_BYTES; offset < HEADER_BYTES + 8 * words; offset += 8) {
      const same =
        expected.compare(
          answers,
          at + offset,
          at + offset + 8,
          call.expectedAt + offset,
          call.expectedAt + offset + 8,
        ) === 0;
      if (!same && !isUndefined.has(call.expectedAt + offset)) return false;
    }
    return true;
  }
  return hasForm(plan, call, status, words, answers, at);
}

function hasForm(
  plan: Plan,
  { op, requestAt, expectedAt }: Call,
  status: number,
  words: number,
  answers: Buffer,
  at: number,
): boolean {
  const requests = requestsOf(plan);
  const argument = (i: number): bigint =>
    requests.readBigUInt64LE(requestAt + HEADER_BYTES + 8 * i);
  const succeeded = status === STATUSES.H_SUCCESS;
  switch (op) {
    case 'H_ENTER': {
      if (status === STATUSES.H_PTEG_FULL) return words === 0;
      if (!succeeded || words !== 1) return false;
      const differs = answers.readBigUInt64LE(at + HEADER_BYTES) ^ argument(1);
      return wantsExactly(argument(0)) ? differs === 0n : (differs & ~SLOTS_MASK) === 0n;
    }
    case 'H_READ':
      return succeeded && words === plan.expected.readUInt16LE(expectedAt + 2);
    case 'H_BULK_REMOVE':
      return words === (requests.readUInt16LE(requestAt + 2) & COUNT_MASK);
    case 'SET_RC':
      return succeeded && words === 1;
    default:
      if (status === STATUSES.H_NOT_FOUND) return words === 0;
      return succeeded && words === operationByName(op)!.results.length;
  }
}

export function keepAccount(account: Account, op: string, answers: Buffer, at: number): void {
  const succeeded = answers.readInt16LE(at) === STATUSES.H_SUCCESS;
  if (op === 'H_ENTER' && succeeded) account.entered++;
  if (op === 'H_REMOVE' && succeeded) account.removed++;
  if (op !== 'H_BULK_REMOVE') return;
  const words = answers.readUInt16LE(at + 2);
  for (let i = 0; i < words; i += 2) {
    const response = answers.readBigUInt64LE(at + HEADER_BYTES + 8 * i);
    if (response >> 60n === BULK_SUCCESS) account.removed++;
  }
}
