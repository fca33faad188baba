/**
 * What a call is made of: the steps that are atomic, each with the slots it touches and the words of the answer that it
 * decides. ARCHITECTURE.md, section 2, says what is atomic.
 *
 * - Most calls are one step on one slot. H_ENTER may take any free slot of its group (one that it passes by was locked
 *   at that instant), so it is judged as an exact H_ENTER into the slot it says it took; H_PTEG_FULL is a step on all
 *   eight.
 * - H_READ with H_READ_4 is four reads, H_BULK_REMOVE its removals, H_BLOCK_REMOVE its removals (judged beside the first
 *   entry it removed, its anchor), H_CLEAR_HPT a removal of each slot: in their order, one after the other.
 * - What replaces the table is one step on all of it, and no step of another call of several steps comes in between.
 * - What a step does and answers is asked of the model. Only what the model cannot know, because for it nothing takes
 *   time, is said here: that a preparation may not be ready yet, and that H_BLOCK_REMOVE may find an entry busy.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { statusOf, wordCount, wordOf } from './history.ts';
import type { History, Request } from './history.ts';
import { emptyTable, perform, pieceNumber } from './slot-states.ts';
import type { SlotStates } from './slot-states.ts';

/** `slot`: one slot; `full`: eight, all taken; `prepare`: the preparation of a resize; `table`: everything. */
export type PartKind = 'slot' | 'full' | 'prepare' | 'table';

export interface Part {
  readonly kind: PartKind;
  readonly piece: number;
  /** Of `slot`: its number in the universe; of `full`: the first of eight. */
  readonly slot: number;
  /** Words of the answer that it decides; of the model's answer, from `fromWord` on. */
  readonly word: number;
  readonly words: number;
  readonly fromWord: number;
  /** It decides status and length of the answer too. */
  readonly whole: boolean;
  /** H_BLOCK_REMOVE: it removes the anchor; it is judged beside the anchor, which lies in that slot. */
  readonly setsAnchor: boolean;
  readonly anchorSlot: number;
}

export interface Plan {
  readonly parts: readonly Part[];
  /** Slots it touches, as bits of the universe's words; the bit behind the last slot is the preparation. */
  readonly mask: readonly number[];
  /** Nothing is independent of it. */
  readonly wide: boolean;
}

/** The slots of a history: every ptex that an entry may be in, ascending. */
export interface Universe {
  readonly ptexes: readonly number[];
  readonly slotOf: ReadonlyMap<number, number>;
}

export function universeOf(ptexes: Iterable<number>): Universe {
  const sorted = [...new Set(ptexes)].sort((a, b) => a - b);
  return { ptexes: sorted, slotOf: new Map(sorted.map((ptex, slot) => [ptex, slot])) };
}

export interface Planner {
  readonly states: SlotStates;
  readonly universe: Universe;
  /** Might H_BLOCK_REMOVE have found this slot locked by somebody else? */
  readonly mayBeBusy: (history: History, call: number, slot: number) => boolean;
  /** By request and order, then by answer; undefined: an answer that no table of that order gives. */
  readonly plans: Map<string | number, Plan | undefined>[];
}

/** More than there are. */
const ORDERS = 32;
const LIKE_ONE_SLOT = { slot: 0, word: 0, fromWord: 0, setsAnchor: false, anchorSlot: -1 };
const END = 3n;
const REQUEST = 1n;
const PTEX_FIELD = (1n << 56n) - 1n;

/** How the call came to its answer in a table of that order. */
export function planOf(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Plan | undefined {
  const request = history.request[call]!;
  const { name } = history.requests[request]!;
  const variant = variantOf(history, call, name);
  const known = (planner.plans[request * ORDERS + order] ??= new Map());
  const before = known.get(variant);
  if (before !== undefined) return before;
  const parts = partsOf(planner, history, call, order);
  const plan = parts === undefined ? undefined : finished(planner.universe, parts);
  if (name !== 'H_BLOCK_REMOVE') known.set(variant, plan);
  return plan;
}

/** What of the answer decides how the call is taken apart; a number where one will do. */
function variantOf(history: History, call: number, name: string): string | number {
  const status = statusOf(history, call);
  if (name === 'H_ENTER' && status === 0) return `${wordOf(history, call, 0)}`;
  if (name !== 'H_BULK_REMOVE') return (status & 0xffff) * 16 + wordCount(history, call);
  // A pair that was carried out is judged by the step on its slot; every other word here, so it is part of the key.
  const words = Array.from({ length: wordCount(history, call) }, (_, i) =>
    wordOf(history, call, i),
  );
  const judgedLater = (word: bigint, i: number) => i % 2 === 0 && word >> 61n === 4n;
  return `${status} ${words.map((word, i) => (judgedLater(word, i) ? '' : word)).join(' ')}`;
}

function finished({ ptexes }: Universe, parts: readonly Part[]): Plan {
  const mask = Array.from({ length: (ptexes.length + 32) >> 5 }, () => 0);
  for (const { kind, slot } of parts) {
    const slots = kind === 'slot' ? 1 : kind === 'full' ? 8 : 0;
    for (let i = slot; i < slot + slots; i++) mask[i >> 5]! |= 1 << (i & 31);
    if (kind === 'prepare') mask[ptexes.length >> 5]! |= 1 << (ptexes.length & 31);
  }
  return { parts, mask, wide: parts.some(({ kind }) => kind === 'table') };
}

function partsOf(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Part[] | undefined {
  const request = history.requests[history.request[call]!]!;
  const { name, args } = request;
  switch (name) {
    case 'H_ENTER':
      return partsOfEnter(planner, history, call, order);
    case 'H_READ':
      return partsOfRead(planner, history, call, order);
    case 'H_BULK_REMOVE':
      return partsOfBulkRemove(planner, history, call, order);
    case 'H_BLOCK_REMOVE':
      return partsOfBlockRemove(planner, history, call, order);
    case 'H_CLEAR_HPT':
      return statusOf(history, call) === 0 ? partsOfClear(planner, order) : undefined;
    case 'H_RESIZE_HPT_PREPARE':
      return [wholeCall(planner, 'prepare', request)];
    case 'H_RESIZE_HPT_COMMIT':
      return [wholeCall(planner, changesTable(history, call) ? 'table' : 'prepare', request)];
    case 'H_PAGE_INIT':
      return refusedAs(planner, history, call, order);
    case 'HPT_RESET':
    case 'HPT_RESIZE':
      return [wholeCall(planner, 'table', request)];
    default:
      return partsOnSlot(
        planner,
        history,
        call,
        order,
        Number(name === 'SET_RC' ? args[0] : args[1]),
      );
  }
}

/** H_SUCCESS, or H_PTEG_FULL after a rehash that made the old table's entries ABSENT. */
function changesTable(history: History, call: number): boolean {
  const status = statusOf(history, call);
  return status === STATUSES.H_SUCCESS || status === STATUSES.H_PTEG_FULL;
}

function wholeCall({ states }: Planner, kind: PartKind, { name, args }: Request): Part {
  const piece = pieceNumber(states, name, args);
  return { ...LIKE_ONE_SLOT, kind, piece, words: 0, whole: true };
}

/** One step on one slot, unless the call is refused before it comes to any. */
function partsOnSlot(
  planner: Planner,
  history: History,
  call: number,
  order: number,
  ptex: number,
): Part[] | undefined {
  const request = history.requests[history.request[call]!]!;
  const slot = slotIn(planner, ptex, order);
  if (slot === undefined) return refusedAs(planner, history, call, order);
  return [{ ...wholeCall(planner, 'slot', request), slot }];
}

function slotIn({ universe }: Planner, ptex: number, order: number): number | undefined {
  return ptex < 2 ** (order - 4) ? universe.slotOf.get(ptex) : undefined;
}

/** A call that comes to no slot: it is answered as in an empty table, or wrongly. */
function refusedAs(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Part[] | undefined {
  const expected = perform(
    emptyTable(planner.states, order),
    history.requests[history.request[call]!]!,
  );
  const same =
    statusOf(history, call) === expected.status &&
    wordCount(history, call) === expected.out.length &&
    expected.out.every((word, i) => wordOf(history, call, i) === word);
  return same ? [] : undefined;
}

function partsOfEnter(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Part[] | undefined {
  const { name, args } = history.requests[history.request[call]!]!;
  const [flags = 0n, ptex = 0n, ...words] = args;
  const exact = (flags & FLAGS.H_EXACT) !== 0n;
  const status = statusOf(history, call);
  const inEmpty = perform(emptyTable(planner.states, order), { name, args });
  if (inEmpty.status !== 0) return refusedAs(planner, history, call, order);
  if (status === STATUSES.H_PTEG_FULL && !exact) {
    if (wordCount(history, call) !== 0) return undefined;
    const slot = slotIn(planner, Number(ptex - (ptex % 8n)), order)!;
    return [{ ...LIKE_ONE_SLOT, kind: 'full', piece: 0, slot, words: 0, whole: false }];
  }
  const taken = status === 0 ? wordOf(history, call, 0) : ptex;
  const inReach = exact ? taken === ptex : taken >> 3n === ptex >> 3n;
  const slot = slotIn(planner, Number(taken), order);
  if (!inReach || slot === undefined) return undefined;
  const placed = { name, args: [flags | FLAGS.H_EXACT, taken, ...words] };
  return [{ ...wholeCall(planner, 'slot', placed), slot }];
}

function partsOfRead(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Part[] | undefined {
  const { args } = history.requests[history.request[call]!]!;
  const ptex = Number(args[1]);
  if ((args[0]! & FLAGS.H_READ_4) === 0n || ptex >= 2 ** (order - 4)) {
    return partsOnSlot(planner, history, call, order, ptex);
  }
  if (statusOf(history, call) !== 0 || wordCount(history, call) !== 8) return undefined;
  const first = ptex - (ptex % 4);
  return [0, 1, 2, 3].map((i) => ({
    ...LIKE_ONE_SLOT,
    kind: 'slot' as const,
    piece: pieceNumber(planner.states, 'H_READ', [0n, BigInt(first + i)]),
    slot: planner.universe.slotOf.get(first + i)!,
    word: 2 * i,
    words: 2,
    whole: false,
  }));
}

/** Which pairs are carried out, and what stands in the others, is the same whatever the table holds. */
function partsOfBulkRemove(
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
const CODE_BUSY = 4n;
const codeOf = (word: bigint): bigint => (word >> 59n) & 7n;

function partsOfBlockRemove(
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
      if (planner.mayBeBusy(history, call, slot)) continue;
      return undefined;
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

function partsOfClear(planner: Planner, order: number): Part[] {
  const piece = pieceNumber(planner.states, 'H_CLEAR_HPT', []);
  return planner.universe.ptexes.flatMap((ptex, slot) =>
    ptex < 2 ** (order - 4)
      ? [{ ...LIKE_ONE_SLOT, kind: 'slot' as const, piece, slot, words: 0, whole: false }]
      : [],
  );
}

/** Does what the history says agree with the model's words, as halves? */
export function sameWords(
  { answers, answerAt }: History,
  call: number,
  { word, fromWord }: Part,
  words: number,
  expected: Uint32Array,
  undefinedWords: number,
): boolean {
  const from = answerAt[call]! + 2 + 2 * word;
  for (let i = 0; i < words; i++) {
    if ((undefinedWords & (1 << i)) !== 0) continue;
    const at = 2 * (fromWord + i);
    if (answers[from + 2 * i] !== expected[at]) return false;
    if (answers[from + 2 * i + 1] !== expected[at + 1]) return false;
  }
  return true;
}
