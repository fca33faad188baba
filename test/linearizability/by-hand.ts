/** Histories made by hand, for the checker's own tests. */
import assert from 'node:assert/strict';
import { FLAGS } from '../../schemas/flags.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { firstImpossible, openSearch } from './checker.ts';
import { historyOf, requestText } from './history.ts';
import type { Request } from './history.ts';
import { universeOf } from './plan.ts';
import { shrunkText } from './report.ts';
import { shrink } from './shrink.ts';
import { openSlotStates } from './slot-states.ts';

/** Who, from when to when, what, and the answer. */
export type Line = readonly [
  thread: number,
  from: number,
  to: number,
  name: string,
  args: readonly bigint[],
  status: keyof typeof STATUSES,
  out?: readonly bigint[],
  stumbles?: number,
];

const A = 0x1000n;
const V = 1n;
const RW = 0x12n;
export const R_OF = (frame: bigint): bigint => (frame << 16n) | RW;
const EXACT = FLAGS.H_EXACT;
const CONFIG = {
  order: 18,
  ramBytes: 2 ** 26,
  hostPageBytes: 65536,
  backingPageBytes: 65536,
  isa300: false,
};
const PLACES = [...Array(16).keys()];

/** The call that cannot be, as text; undefined: the history is linearizable. */
function impossibleIn(lines: readonly Line[]): string | undefined {
  const found = impossibleWith(lines, true);
  const isPlain = lines.every(([, , , name]) => !/^HOST|^HPT_RESIZE$|^SET_RC$/.test(name));
  if (isPlain) assert.equal(impossibleWith(lines, false), found);
  return found;
}

function impossibleWith(lines: readonly Line[], apart: boolean): string | undefined {
  const numbers = new Map<string, number>();
  const requests: Request[] = [];
  const rows = lines.map((line) => {
    const [thread, invoked, responded, name, args, status, out = [], stumbles = 0] = line;
    const text = requestText({ name, args });
    if (!numbers.has(text)) numbers.set(text, requests.push({ name, args }) - 1);
    const request = numbers.get(text)!;
    return { thread, request, invoked, responded, status: STATUSES[status], out, stumbles };
  });
  const history = historyOf(requests, rows);
  const checked = {
    states: openSlotStates(CONFIG, apart),
    universe: universeOf(PLACES),
    plans: [],
  };
  const call = firstImpossible(openSearch(history, checked));
  if (call === undefined) return undefined;
  const report = shrunkText(shrink(history, checked, call));
  const { name, args } = requests[history.request[call]!]!;
  assert.ok(report.includes(`${requestText({ name, args })}\n`), report);
  return requestText({ name, args });
}

export const possible = (lines: readonly Line[]) => assert.equal(impossibleIn(lines), undefined);
export const impossible = (lines: readonly Line[], call: RegExp) =>
  assert.match(impossibleIn(lines) ?? 'possible', call);

export const enter = (
  thread: number,
  from: number,
  to: number,
  ptex: bigint,
  v = A,
  r = R_OF(1n),
): Line => [thread, from, to, 'H_ENTER', [EXACT, ptex, v | V, r], 'H_SUCCESS', [ptex]];
export const read = (
  thread: number,
  from: number,
  to: number,
  ptex: bigint,
  v = 0n,
  r = 0xdeadn,
): Line => [thread, from, to, 'H_READ', [0n, ptex], 'H_SUCCESS', [v, r]];
export const remove = (
  thread: number,
  from: number,
  to: number,
  ptex: bigint,
  v = A,
  r = R_OF(1n),
): Line => [thread, from, to, 'H_REMOVE', [0n, ptex, 0n], 'H_SUCCESS', [v | V, r]];
