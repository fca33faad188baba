/**
 * What a slot can hold, as small numbers, and what each call does to it, asked of the reference model once and then
 * remembered. This file knows no rule of any hcall: it puts entries into a table of the model, calls, and looks.
 *
 * A state is a set of entries: those that the slot may hold by all that was answered so far. Mostly it is one. It is
 * several where an answer cannot tell what the entry is:
 *
 * - The real R and C of an entry start as what the guest asked for and the host's record of the frame has. What that
 *   record has depends on all entries that the frame ever had, so every subset of what the guest asked for is allowed.
 *   (Which one it is, test/model/ compares call by call; here it would make every slot of a frame depend on the others.)
 * - While the host goes along the chain of a frame, an entry of that frame has been come by, or not yet.
 *
 * A later answer that shows the difference leaves only the entries that would give it.
 *
 * Two entries are the same if a guest cannot tell them apart, whatever it calls. Of a VALID entry in a table that stays,
 * with no host at work, that is what H_READ shows: R and C may stand in the guest's view or in the real dword 1, every
 * call joins the two. An entry that becomes ABSENT keeps the two apart (clearing R or C of it leaves the real ones; a
 * rehash leaves what only the real one had out of the new guest's view, SPEC point 25), so in other worlds both count.
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
import { hostAge, hostDirty, hostPageFault, hostSetPte, hostUnmap, setRc } from '../model/host.ts';
import { HPTE_R_C, HPTE_R_R, HPTE_R_RC, isAbsent, isOccupied, isValid } from '../model/hpte.ts';
import { hPageInit } from '../model/memory.ts';
import { hResizeHptCommit, hResizeHptPrepare, hptReset, hptResize } from '../model/resize.ts';
import { chain, createState, frameAt, guestPage, shownEntry } from '../model/table.ts';
import type { Answer, Entry, ModelConfig, State } from '../model/table.ts';
import type { Request } from './history.ts';
import { MISSING, find, openNumberTable, put } from './number-table.ts';
import type { NumberTable } from './number-table.ts';

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
  HOST_AGE: hostAge,
  HOST_DIRTY: hostDirty,
  HOST_PAGE_FAULT: hostPageFault,
  HOST_SET_PTE: hostSetPte,
  HOST_UNMAP: hostUnmap,
  HPT_RESET: hptReset,
  HPT_RESIZE: hptResize,
};

/** Guest addresses of the frames that entries of a history map; what lies elsewhere is no memory. */
export const FRAMES = [0x1_0000n, 0x2_0000n, 0x3_0000n];

/** Whether the host had a page while a call ran: bits, those of the next frame two places higher. */
export const PAGE_THERE = 1;
export const PAGE_AWAY = 2;
export const ALL_THERE = 0b01_01_01;

export const EMPTY = 0;
const NOTHING: Entry = { dword0: 0n, dword1: 0n, guestRpte: 0n };
const RC_OF_FRAMES = [0n, HPTE_R_R, HPTE_R_C, HPTE_R_RC];

/** What a call answers and leaves in its slot. `words`: low and high half of each. */
export interface Outcome {
  readonly status: number;
  readonly words: Uint32Array;
  /** Words that are undefined, as bits: dword 1 of an empty slot. */
  readonly undefinedWords: number;
  readonly next: number;
  /** Which frame the entry after it maps (-1: none), and whether all, or some, of what it may be is VALID. */
  readonly frame: number;
  readonly allValid: boolean;
  readonly someValid: boolean;
  /** R and C in the guest's view of it. */
  readonly guestRc: number;
  /** What it may answer instead. */
  readonly otherwise: Outcome | undefined;
}

/** A request that a call is made of, and what its host had of the pages then. */
export interface Piece extends Request {
  readonly pages: number;
}

/** Grows while it is used. */
export interface SlotStates {
  readonly config: ModelConfig;
  /** Tables are replaced, or the host is at work: what only an ABSENT entry shows counts for VALID ones too. */
  readonly apart: boolean;
  readonly entries: Entry[];
  readonly numbers: Map<string, number>;
  /** By state: its entries, ascending. */
  readonly sets: (readonly number[])[];
  readonly setNumbers: Map<string, number>;
  readonly occupied: boolean[];
  /** Where in `outcomes`: by piece, order, what the slot holds; of pieces beside an anchor, by number of the three. */
  readonly known: NumberTable;
  readonly anchored: NumberTable;
  readonly knownBeside: NumberTable;
  readonly outcomes: Outcome[];
  /** By piece that goes along a chain, then by state. */
  readonly swept: (number | undefined)[][];
  readonly midSweep: (number | undefined)[][];
  /** Requests that calls are made of, by number. */
  readonly pieces: Piece[];
  readonly pieceNumbers: Map<string, number>;
}

export function openSlotStates(config: ModelConfig, apart = false): SlotStates {
  const states: SlotStates = {
    config,
    apart,
    entries: [],
    numbers: new Map(),
    sets: [],
    setNumbers: new Map(),
    occupied: [],
    known: openNumberTable(),
    anchored: openNumberTable(),
    knownBeside: openNumberTable(),
    outcomes: [],
    swept: [],
    midSweep: [],
    pieces: [],
    pieceNumbers: new Map(),
  };
  stateOf(states, [entryIn(states, createState(config), 0)]);
  return states;
}

/** The number of a request that is a call's piece, or a whole call. */
export function pieceNumber(
  states: SlotStates,
  name: string,
  args: readonly bigint[],
  pages = ALL_THERE,
): number {
  const key = `${name} ${args.join(' ')} ${pages}`;
  let number = states.pieceNumbers.get(key);
  if (number === undefined) {
    number = states.pieces.length;
    states.pieces.push({ name, args, pages });
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

/** The number of the entry in a slot of the model's table. */
export function entryIn(states: SlotStates, table: State, ptex: number): number {
  const [v, r] = shownEntry(table, ptex);
  const entry = table.entries.get(ptex) ?? NOTHING;
  const absent = isAbsent(entry.dword0);
  const view = absent || states.apart ? `${entry.guestRpte} ${entry.dword1 & HPTE_R_RC}` : '';
  const key = isValid(v) ? `${v} ${r} ${absent} ${view}` : `${v}`;
  let number = states.numbers.get(key);
  if (number === undefined) {
    number = states.entries.length;
    states.numbers.set(key, number);
    states.entries.push({ ...entry });
  }
  return number;
}

/** The state of a slot that holds one of these. */
export function stateOf(states: SlotStates, entries: Iterable<number>): number {
  const set = [...new Set(entries)].sort((a, b) => a - b);
  const key = set.join();
  let number = states.setNumbers.get(key);
  if (number === undefined) {
    number = states.sets.length;
    states.setNumbers.set(key, number);
    states.sets.push(set);
    states.occupied.push(isOccupied(states.entries[set[0]!]!.dword0));
  }
  return number;
}

/** Puts an entry into a slot of the model's table. */
export function putEntry(states: SlotStates, table: State, ptex: number, entry: number): void {
  if (entry !== EMPTY) table.entries.set(ptex, { ...states.entries[entry]! });
}

/** More orders, and more states, than there are. */
const ORDERS = 32;
const STATES = 2 ** 24;
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
  const key = (piece * ORDERS + order) * STATES + state;
  const known = find(states.known, key);
  if (known !== MISSING) return states.outcomes[known]!;
  const outcome = askModel(states, piece, order, ptex, state, EMPTY, 0);
  put(states.known, key, states.outcomes.push(outcome) - 1);
  return outcome;
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
  const beside = (piece * ORDERS + order) * STATES + anchor;
  let number = find(states.anchored, beside);
  if (number === MISSING) put(states.anchored, beside, (number = states.anchored.count));
  const key = number * STATES + state;
  const known = find(states.knownBeside, key);
  if (known !== MISSING) return states.outcomes[known]!;
  const outcome = askModel(states, piece, order, ptex, state, anchor, anchorPtex);
  put(states.knownBeside, key, states.outcomes.push(outcome) - 1);
  return outcome;
}

interface Answered {
  readonly status: number;
  readonly out: readonly bigint[];
  readonly next: Set<number>;
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
  const place = isClear ? ptex % 8 : ptex;
  const answers = new Map<string, Answered>();
  for (const entry of states.sets[state]!) {
    const inOrder = isClear ? ONE_GROUP : order;
    for (const table of surroundings(states, request, entry, inOrder)) {
      putEntry(states, table, place, entry);
      putEntry(states, table, anchorPtex, states.sets[anchor]![0]!);
      const { status, out } = perform(table, request);
      const key = `${status} ${out.join(' ')}`;
      if (!answers.has(key)) answers.set(key, { status, out, next: new Set() });
      answers.get(key)!.next.add(entryIn(states, table, place));
    }
  }
  return [...answers.values()].reduceRight<Outcome | undefined>(
    (otherwise, { status, out, next }) => ({
      status,
      words: halvesOf(out),
      undefinedWords: undefinedIn(request.name, out),
      next: stateOf(states, next),
      ...aboutFrame(states, next),
      otherwise,
    }),
    undefined,
  )!;
}

/** Empty tables beside which the call may have come: only of those calls that look at the host's records, several. */
function surroundings(
  states: SlotStates,
  { name, args, pages }: Piece,
  entry: number,
  order: number,
): State[] {
  const looks = name === 'H_ENTER' || name === 'HOST_PAGE_FAULT';
  if (!looks || !states.apart) return [emptyTable(states, order)];
  const guest = name === 'H_ENTER' ? args[3]! : states.entries[entry]!.guestRpte;
  const asked = RC_OF_FRAMES.filter((rc) => (rc & ~guest) === 0n);
  const may = [PAGE_THERE, PAGE_AWAY].filter((page) => (pages & (page * 0b01_01_01)) !== 0);
  // One call looks at one frame: it is enough to have each frame there once and away once, where it may be so.
  return may.flatMap((page) =>
    asked.map((rc) => {
      const table = emptyTable(states, order);
      for (const [frame, gpa] of FRAMES.entries()) {
        const own = (pages >> (2 * frame)) & 3;
        if (((own & page) === 0 ? own : page) === PAGE_AWAY) hostUnmap(table, [gpa]);
        frameAt(table, gpa).rc = rc;
      }
      return table;
    }),
  );
}

const NO_FRAME = { frame: -1, allValid: false, someValid: false, guestRc: 0 };

function aboutFrame(
  states: SlotStates,
  numbers: ReadonlySet<number>,
): Pick<Outcome, 'frame' | 'allValid' | 'someValid' | 'guestRc'> {
  if (!states.apart) return NO_FRAME;
  const all = [...numbers].map((number) => states.entries[number]!);
  const table = emptyTable(states, states.config.order);
  const isFrame = isOccupied(all[0]!.dword0);
  return {
    frame: isFrame ? FRAMES.indexOf(guestPage(table, all[0]!).gpa) : -1,
    allValid: all.every(({ dword0 }) => isValid(dword0)),
    someValid: all.some(({ dword0 }) => isValid(dword0)),
    guestRc: all.reduce((rc, { guestRpte }) => rc | Number(guestRpte & HPTE_R_RC), 0),
  };
}

/** What a slot holds when HOST_UNMAP, HOST_AGE or HOST_DIRTY has come by it. */
export function sweptState(states: SlotStates, piece: number, state: number): number {
  const known = (states.swept[piece] ??= []);
  return (known[state] ??= stateOf(
    states,
    states.sets[state]!.map((entry) => {
      const table = emptyTable(states, states.config.order);
      putEntry(states, table, 0, entry);
      const there = table.entries.get(0);
      if (there !== undefined && isValid(there.dword0))
        chain(table, 0, guestPage(table, there).gpa);
      perform(table, states.pieces[piece]!);
      return entryIn(states, table, 0);
    }),
  ));
}

/** What a slot may hold while that goes along the chain: it has come by the slot, or not yet. */
export function midSweepState(states: SlotStates, piece: number, state: number): number {
  const known = (states.midSweep[piece] ??= []);
  return (known[state] ??= stateOf(states, [
    ...states.sets[state]!,
    ...states.sets[sweptState(states, piece, state)]!,
  ]));
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
  return states.sets[number]!.map((entry) => entryText(states, entry)).join(' or ');
}

function entryText(states: SlotStates, number: number): string {
  const table = emptyTable(states, 18);
  putEntry(states, table, 0, number);
  const [v, r] = shownEntry(table, 0);
  if (!isValid(v)) return 'empty';
  const { dword0, dword1, guestRpte } = table.entries.get(0)!;
  const shown = `${v.toString(16)} ${r.toString(16)}${isAbsent(dword0) ? ' absent' : ''}`;
  if (!states.apart) return shown;
  const [guest, real] = [guestRpte, dword1].map((word) => (word & HPTE_R_RC).toString(16));
  return `${shown} (R and C: guest ${guest}, real ${real})`;
}
