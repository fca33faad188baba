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
 * - HOST_UNMAP, HOST_AGE and HOST_DIRTY come by the entries of their frame one after the other, in the chain's order,
 *   which nobody else knows: until they end an entry may have been come by or not, then it has been.
 * - What a step does and answers is asked of the model. Only what the model cannot know, because for it nothing takes
 *   time, is said here or in company.ts: that a preparation may not be ready yet, that H_BLOCK_REMOVE may find an entry
 *   busy, that a page may go or come while H_ENTER or HOST_PAGE_FAULT runs.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { pagesDuring } from './company.ts';
import { statusOf, wordCount, wordOf } from './history.ts';
import type { History, Request } from './history.ts';
import { LIKE_ONE_SLOT, maskWords, slotIn } from './plan.ts';
import type { Part, PartKind, Plan, Planner, Universe } from './plan.ts';
import {
  CODE_BUSY,
  codeOf,
  partsOfBlockRemove,
  partsOfBulkRemove,
  partsOfClear,
} from './removal-parts.ts';
import { ALL_THERE, FRAMES, emptyTable, perform, pieceNumber } from './slot-states.ts';

/** More than there are. */
const ORDERS = 32;

/** How the call came to its answer in a table of that order. */
export function planOf(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Plan | undefined {
  const request = history.request[call]!;
  const { name } = history.requests[request]!;
  const pages = pagesFor(planner, call, request, name);
  const variant = variantOf(history, call, name, pages);
  const known = (planner.plans[request * ORDERS + order] ??= new Map());
  const before = known.get(variant);
  if (before !== undefined || known.has(variant)) return before;
  const parts = partsOf(planner, history, call, order, pages);
  const plan = parts === undefined ? undefined : finished(planner.universe, parts);
  // Whether an entry may be busy depends on who else was there.
  if (name !== 'H_BLOCK_REMOVE' || !answersBusy(history, call)) known.set(variant, plan);
  return plan;
}

/** What the host had of the pages, for calls that look at one. */
function pagesFor(
  { company, states }: Planner,
  call: number,
  request: number,
  name: string,
): number {
  if (name === 'HOST_PAGE_FAULT') return pagesDuring(company, call);
  if (name !== 'H_ENTER' || !states.apart) return ALL_THERE;
  const frame = company.frames[request]!;
  if (frame === -1) return ALL_THERE;
  const own = 3 << (2 * frame);
  return (pagesDuring(company, call) & own) | (ALL_THERE & ~own);
}

function answersBusy(history: History, call: number): boolean {
  for (let i = 0; i < wordCount(history, call); i++) {
    if (codeOf(wordOf(history, call, i)) === CODE_BUSY) return true;
  }
  return false;
}

/** What of the answer and around it decides how the call is taken apart; a number where one will do. */
function variantOf(history: History, call: number, name: string, pages: number): string | number {
  const status = statusOf(history, call);
  const answer = (status & 0xffff) * 16 + wordCount(history, call);
  if (name === 'H_ENTER') {
    // The ptex comes behind everything else: there are no more than 2^26.
    const ptex = status === 0 ? history.answers[history.answerAt[call]! + 2]! : 0;
    return (answer * 64 + pages) * 2 ** 26 + ptex;
  }
  if (name !== 'H_BULK_REMOVE' && name !== 'H_BLOCK_REMOVE') return answer * 64 + pages;
  const from = history.answerAt[call]!;
  return history.answers.subarray(from, from + 2 + 2 * wordCount(history, call)).join();
}

/** What the host asks of a frame, then all its entries; of HOST_UNMAP only these. */
function partsOfSweep(planner: Planner, history: History, call: number): Part[] | undefined {
  const request = history.requests[history.request[call]!]!;
  const { name, args } = request;
  const sweep = { ...wholeCall(planner, 'sweep', request), slot: FRAMES.indexOf(args[0]!) };
  const words = Array.from({ length: wordCount(history, call) }, (_, i) =>
    wordOf(history, call, i),
  );
  if (statusOf(history, call) !== STATUSES.H_SUCCESS) return undefined;
  if (name === 'HOST_UNMAP') return words.join() === '0' ? [sweep] : undefined;
  // Of one frame: HOST_DIRTY's count and its bits are the same number.
  const fits = words.length === (name === 'HOST_DIRTY' ? 2 : 1);
  if (!fits || words.some((word) => word > 1n || word !== words[0])) return undefined;
  return [{ ...sweep, kind: 'ask' }, sweep];
}

/** It changes no entry, but makes a page dirty. */
function partsOfPageInit(
  planner: Planner,
  history: History,
  call: number,
  order: number,
): Part[] | undefined {
  if (refusedAs(planner, history, call, order) === undefined) return undefined;
  const request = history.requests[history.request[call]!]!;
  const table = emptyTable(planner.states, order);
  perform(table, request);
  return [...table.dirty]
    .map((gfn) => FRAMES.indexOf(gfn << table.hostPageShift))
    .map((frame) => ({ ...wholeCall(planner, 'write', request), slot: frame }));
}

function finished(universe: Universe, parts: readonly Part[]): Plan {
  const { ptexes } = universe;
  const mask = Array.from({ length: maskWords(universe) }, () => 0);
  const add = (from: number, count: number) => {
    for (let i = from; i < from + count; i++) mask[i >> 5]! |= 1 << (i & 31);
  };
  for (const { kind, slot } of parts) {
    if (kind === 'slot') add(slot, 1);
    if (kind === 'full') add(slot, 8);
    if (kind === 'prepare') add(ptexes.length, 1);
    if (kind === 'sweep') add(0, ptexes.length);
    if (kind === 'sweep' || kind === 'write') add(ptexes.length + 1 + slot, 1);
  }
  return { parts, mask, wide: parts.some(({ kind }) => kind === 'table') };
}

function partsOf(
  planner: Planner,
  history: History,
  call: number,
  order: number,
  pages: number,
): Part[] | undefined {
  const request = history.requests[history.request[call]!]!;
  const { name, args } = request;
  switch (name) {
    case 'H_ENTER':
      return partsOfEnter(planner, history, call, order, pages);
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
      return partsOfPageInit(planner, history, call, order);
    case 'HPT_RESET':
    case 'HPT_RESIZE':
      return [wholeCall(planner, 'table', request)];
    case 'HOST_SET_PTE':
      return refusedAs(planner, history, call, order);
    case 'HOST_UNMAP':
    case 'HOST_AGE':
    case 'HOST_DIRTY':
      return partsOfSweep(planner, history, call);
    case 'SET_RC':
    case 'HOST_PAGE_FAULT':
      return partsOnSlot(planner, history, call, order, Number(args[0]), pages);
    default:
      return partsOnSlot(planner, history, call, order, Number(args[1]));
  }
}

/** H_SUCCESS, or H_PTEG_FULL after a rehash that made the old table's entries ABSENT. */
function changesTable(history: History, call: number): boolean {
  const status = statusOf(history, call);
  return status === STATUSES.H_SUCCESS || status === STATUSES.H_PTEG_FULL;
}

function wholeCall(
  { states }: Planner,
  kind: PartKind,
  { name, args }: Request,
  pages = ALL_THERE,
): Part {
  const piece = pieceNumber(states, name, args, pages);
  return { ...LIKE_ONE_SLOT, kind, piece, words: 0, whole: true };
}

/** One step on one slot, unless the call is refused before it comes to any. */
function partsOnSlot(
  planner: Planner,
  history: History,
  call: number,
  order: number,
  ptex: number,
  pages = ALL_THERE,
): Part[] | undefined {
  const request = history.requests[history.request[call]!]!;
  const slot = slotIn(planner, ptex, order);
  if (slot === undefined) return refusedAs(planner, history, call, order);
  return [{ ...wholeCall(planner, 'slot', request, pages), slot }];
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
  pages: number,
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
  return [{ ...wholeCall(planner, 'slot', placed, pages), slot }];
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
