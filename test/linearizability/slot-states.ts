/**
 * What a slot can hold, as small numbers, and what each call does to it, asked of the reference model once and then
 * remembered. This file knows no rule of any hcall: it puts entries into a table of the model, calls, and looks.
 *
 * Two entries are the same state if a guest cannot tell them apart, whatever it calls. Of a VALID entry that is what
 * H_READ shows: R and C may stand in the guest's view or in the real dword 1, every call joins the two. Of an ABSENT one
 * they stay apart (clearing R or C of it leaves the real ones), so both count.
 */
import {
  hBlockRemove,
  hBulkRemove,
  hClearHpt,
  hClearMod,
  hClearRef,
  hProtect,
  hRead,
  hRemove,
} from '../model/hcalls.ts';
import { hEnter } from '../model/enter.ts';
import { setRc } from '../model/host.ts';
import { HPTE_R_RC, isAbsent, isOccupied, isValid } from '../model/hpte.ts';
import { hPageInit } from '../model/memory.ts';
import { hResizeHptCommit, hResizeHptPrepare, hptReset, hptResize } from '../model/resize.ts';
import { createState, isPresentEntry, shownEntry } from '../model/table.ts';
import type { Answer, Entry, ModelConfig, State } from '../model/table.ts';
import type { Request } from './history.ts';

const OPERATIONS: Readonly<Record<string, (state: State, args: readonly bigint[]) => Answer>> = {
  H_ENTER: hEnter,
  H_REMOVE: hRemove,
  H_BULK_REMOVE: hBulkRemove,
  H_BLOCK_REMOVE: hBlockRemove,
  H_PROTECT: hProtect,
  H_READ: hRead,
  H_CLEAR_REF: hClearRef,
  H_CLEAR_MOD: hClearMod,
  H_CLEAR_HPT: hClearHpt,
  H_PAGE_INIT: hPageInit,
  H_RESIZE_HPT_PREPARE: hResizeHptPrepare,
  H_RESIZE_HPT_COMMIT: hResizeHptCommit,
  SET_RC: setRc,
  HPT_RESET: hptReset,
  HPT_RESIZE: hptResize,
};

export const EMPTY = 0;
const NOTHING: Entry = { dword0: 0n, dword1: 0n, guestRpte: 0n };

/** What a call answers and leaves in its slot. `words`: low and high half of each. */
export interface Outcome {
  readonly status: number;
  readonly words: Uint32Array;
  /** Words that are undefined, as bits: dword 1 of an empty slot. */
  readonly undefinedWords: number;
  readonly next: number;
}

/** Grows while it is used. */
export interface SlotStates {
  readonly config: ModelConfig;
  readonly entries: Entry[];
  readonly occupied: boolean[];
  readonly numbers: Map<string, number>;
  /** By piece and order, then by what the slot holds; of pieces beside an anchor, by that too. */
  readonly outcomes: (Outcome | undefined)[][];
  readonly besideAnchor: Map<number, Outcome>;
  /** Requests that calls are made of, by number. */
  readonly pieces: Request[];
  readonly pieceNumbers: Map<string, number>;
}

export function openSlotStates(config: ModelConfig): SlotStates {
  const states: SlotStates = {
    config,
    entries: [],
    occupied: [],
    numbers: new Map(),
    outcomes: [],
    besideAnchor: new Map(),
    pieces: [],
    pieceNumbers: new Map(),
  };
  stateIn(states, createState(config), 0);
  return states;
}

/** The number of a request that is a call's piece, or a whole call. */
export function pieceNumber(states: SlotStates, name: string, args: readonly bigint[]): number {
  const key = `${name} ${args.join(' ')}`;
  let number = states.pieceNumbers.get(key);
  if (number === undefined) {
    number = states.pieces.length;
    states.pieces.push({ name, args });
    states.pieceNumbers.set(key, number);
  }
  return number;
}

/** A table of the model with nothing in it. */
export function emptyTable({ config }: SlotStates, order: number): State {
  return { ...createState(config), order };
}

export function perform(state: State, { name, args }: Request): Answer {
  const operation = OPERATIONS[name];
  if (operation === undefined) throw new Error(`${name} is nothing that a history can hold`);
  return operation(state, args);
}

/** The number of what is in a slot of the model's table. */
export function stateIn(states: SlotStates, table: State, ptex: number): number {
  const [v, r] = shownEntry(table, ptex);
  const entry = table.entries.get(ptex) ?? NOTHING;
  const view = isAbsent(entry.dword0) ? `${entry.guestRpte} ${entry.dword1 & HPTE_R_RC}` : '';
  const key = isValid(v) ? `${v} ${r} ${view}` : `${v}`;
  let number = states.numbers.get(key);
  if (number === undefined) {
    number = states.entries.length;
    states.numbers.set(key, number);
    states.entries.push({ ...entry });
    states.occupied.push(isPresentEntry(table, ptex));
  }
  return number;
}

export function putState(states: SlotStates, table: State, ptex: number, number: number): void {
  if (number !== EMPTY) table.entries.set(ptex, { ...states.entries[number]! });
}

/** More orders and states than there are. */
const ORDERS = 32;
const STATES_MAX = 2 ** 14;
/** log2 of the bytes of eight entries. */
const ONE_GROUP = 7;

/** What a piece answers on the slot at `ptex`, and leaves there. */
export function outcomeOf(
  states: SlotStates,
  piece: number,
  order: number,
  ptex: number,
  state: number,
): Outcome {
  const known = (states.outcomes[piece * ORDERS + order] ??= []);
  return (known[state] ??= askModel(states, piece, order, ptex, state, EMPTY, 0));
}

/**
 * The same of H_BLOCK_REMOVE beside the entry it removed first: `anchor` is what the slot at `anchorPtex` held then, and
 * the piece names that entry first.
 */
export function outcomeBeside(
  states: SlotStates,
  piece: number,
  order: number,
  ptex: number,
  state: number,
  anchor: number,
  anchorPtex: number,
): Outcome {
  const key = ((piece * STATES_MAX + anchor) * STATES_MAX + state) * ORDERS + order;
  let outcome = states.besideAnchor.get(key);
  if (outcome === undefined) {
    outcome = askModel(states, piece, order, ptex, state, anchor, anchorPtex);
    states.besideAnchor.set(key, outcome);
  }
  return outcome;
}

function askModel(
  states: SlotStates,
  piece: number,
  order: number,
  ptex: number,
  state: number,
  anchor: number,
  anchorPtex: number,
): Outcome {
  const request = states.pieces[piece]!;
  // H_CLEAR_HPT goes through a whole table, and treats all slots alike: a table of one group is enough.
  const isClear = request.name === 'H_CLEAR_HPT';
  const table = emptyTable(states, isClear ? ONE_GROUP : order);
  const place = isClear ? ptex % 8 : ptex;
  putState(states, table, place, state);
  putState(states, table, anchorPtex, anchor);
  const { status, out } = perform(table, request);
  return {
    status,
    words: halvesOf(out),
    undefinedWords: undefinedIn(request.name, out),
    next: stateIn(states, table, place),
  };
}

export function halvesOf(words: readonly bigint[]): Uint32Array {
  return Uint32Array.from(
    words.flatMap((word) => [Number(word & 0xffff_ffffn), Number(word >> 32n)]),
  );
}

function undefinedIn(name: string, out: readonly bigint[]): number {
  return name === 'H_READ' && out.length > 0 && !isOccupied(out[0]!) ? 2 : 0;
}

/** For people. */
export function stateText(states: SlotStates, number: number): string {
  const table = emptyTable(states, 18);
  putState(states, table, 0, number);
  const [v, r] = shownEntry(table, 0);
  return isValid(v) ? `${v.toString(16)} ${r.toString(16)}` : 'empty';
}
