/** H_BULK_REMOVE, H_BLOCK_REMOVE and H_CLEAR_HPT taken apart: a removal of each slot that they name. */
import { STATUSES } from '../../schemas/statuses.ts';
import { maySlotBeLocked } from './company.ts';
import { statusOf, wordCount, wordOf } from './history.ts';
import type { History } from './history.ts';
import { END, LIKE_ONE_SLOT, PTEX_FIELD, REQUEST, slotIn } from './plan.ts';
import type { Part, Planner } from './plan.ts';
import { emptyTable, perform, pieceNumber } from './slot-states.ts';

/** Which pairs are carried out, and what stands in the others, is the same whatever the table holds. */
export function partsOfBulkRemove(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Part[] | undefined {
  const { name, args } = history.requests[history.request[call]!]!;
  const inEmpty = perform(emptyTable(planner.states, order), { name, args });
  if (statusOf(history, call) !== inEmpty.status) return undefined;
  if (wordCount(history, call) !== inEmpty.out.length) return undefined;
  const parts: Part[] = [];
  for (let i = 0; i < args.length; i++) {
    const isDone = i % 2 === 0 && args[i]! >> 62n === REQUEST && inEmpty.out[i]! >> 60n === 9n;
    if (!isDone) {
      if (wordOf(history, call, i) !== inEmpty.out[i]) return undefined;
      continue;
    }
    const pair = i + 1 < args.length ? [args[i]!, args[i + 1]!] : [args[i]!];
    const piece = pieceNumber(planner.states, name, pair);
    const slot = planner.universe.slotOf.get(Number(args[i]! & PTEX_FIELD))!;
    parts.push({ ...LIKE_ONE_SLOT, kind: 'slot', piece, slot, word: i, words: 1, whole: false });
  }
  return parts;
}

const CODE_DONE = 0n;
const CODE_PARAMETER = 2n;
export const CODE_BUSY = 4n;
export const codeOf = (word: bigint): bigint => (word >> 59n) & 7n;

export function partsOfBlockRemove(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Part[] | undefined {
  const [ava = 0n, ...asked] = history.requests[history.request[call]!]!.args;
  if (wordCount(history, call) !== asked.length) return undefined;
  const given = asked.map((_, i) => wordOf(history, call, i));
  const end = asked.findIndex((ts) => ts >> 62n !== REQUEST);
  const carriedOut = end === -1 ? asked.length : end;
  if (given.slice(carriedOut).some((word, i) => word !== asked[carriedOut + i])) return undefined;
  const isInvalid = end !== -1 && asked[end]! >> 62n !== END;
  const isPartial = given.slice(0, carriedOut).some((word) => codeOf(word) !== CODE_DONE);
  const status = isInvalid ? STATUSES.H_PARAMETER : isPartial ? STATUSES.H_PARTIAL : 0;
  if (statusOf(history, call) !== status) return undefined;

  const anchor = given.slice(0, carriedOut).findIndex((word) => codeOf(word) === CODE_DONE);
  const parts: Part[] = [];
  const removed = new Set<number>();
  let unexplained = 0;
  for (let i = 0; i < carriedOut; i++) {
    const ts = asked[i]!;
    const ptex = Number(ts & PTEX_FIELD);
    const slot = slotIn(planner, ptex, order);
    const code = codeOf(given[i]!);
    // An entry that this very call removed is locked until its end.
    const isBusy = removed.has(ptex) || code === CODE_BUSY;
    if (slot === undefined || isBusy) {
      const wanted = slot === undefined ? CODE_PARAMETER : CODE_BUSY;
      if (given[i] !== responseTo(ts, wanted)) return undefined;
      if (slot === undefined || removed.has(ptex)) continue;
      // Nobody had the lock: an injected failure of the attempt, or wrong.
      if (maySlotBeLocked(planner.company, call, ptex)) continue;
      if (++unexplained > history.stumbles[call]!) return undefined;
      continue;
    }
    if (code === CODE_DONE) removed.add(ptex);
    const beside = anchor !== -1 && i > anchor;
    const words = beside ? [ava, asked[anchor]!, ts] : [ava, ts];
    parts.push({
      kind: 'slot',
      piece: pieceNumber(planner.states, 'H_BLOCK_REMOVE', words),
      slot,
      word: i,
      words: 1,
      fromWord: beside ? 1 : 0,
      whole: false,
      setsAnchor: i === anchor,
      anchorSlot: beside ? slotIn(planner, Number(asked[anchor]! & PTEX_FIELD), order)! : -1,
    });
  }
  return parts;
}

function responseTo(ts: bigint, code: bigint): bigint {
  return (2n << 62n) | (code << 59n) | (ts & ((1n << 56n) | PTEX_FIELD));
}

export function partsOfClear(planner: Planner, order: number): Part[] {
  const piece = pieceNumber(planner.states, 'H_CLEAR_HPT', []);
  return planner.universe.ptexes.flatMap((ptex, slot) =>
    ptex < 2 ** (order - 4)
      ? [{ ...LIKE_ONE_SLOT, kind: 'slot' as const, piece, slot, words: 0, whole: false }]
      : [],
  );
}
