/**
 * The small programs whose interleavings are enumerated: what stands in the table before, and what each thread calls.
 * They keep to the first WATCHED_SLOTS entries and to frames of 64 KiB from 0 on, so that a guest can be put back
 * to its start by copying a few kilobytes.
 */
import { FLAGS } from '../../schemas/flags.ts';

export interface Call {
  readonly name: string;
  readonly args: readonly bigint[];
}

export interface Program {
  readonly name: string;
  readonly before: readonly Call[];
  readonly threads: readonly (readonly Call[])[];
  /** A call replaces the table: then the gate matters, and steps that touch only it cannot be left out. */
  readonly replaces?: boolean;
  /** The same for a call that closes the gate for something else. */
  readonly closesGate?: boolean;
  /** This thread never waits: it takes a call back, and a processor executes it. Of short calls only. */
  readonly neverWaits?: number;
  /** A call is not atomic in a way that the model could say: only what must be true of any table is asked for. */
  readonly invariantsOnly?: boolean;
}

/** A page of segment 1, at its start; it belongs into group 1, where a bolted entry survives a resize. */
export const V = (1n << 12n) | 1n;
export const BOLTED = 0x10n;
const OTHER_V = 0x1234_5600_0001n;
const call = (name: string, ...args: bigint[]): Call => ({ name, args });
const r = (frame: bigint): bigint => (frame << 16n) | 0x12n;

export const exact = (ptex: bigint, frame = 1n, v = V): Call =>
  call('H_ENTER', FLAGS.H_EXACT, ptex, v, r(frame));
export const enter = (ptex: bigint, frame = 1n, v = OTHER_V): Call =>
  call('H_ENTER', 0n, ptex, v, r(frame));
export const remove = (ptex: bigint): Call => call('H_REMOVE', 0n, ptex, 0n);
export const protect = (ptex: bigint, pp = 3n): Call => call('H_PROTECT', pp, ptex, 0n);
export const read = (ptex: bigint): Call => call('H_READ', 0n, ptex);
export const bulk = (...ptexes: bigint[]): Call =>
  call('H_BULK_REMOVE', ...ptexes.flatMap((ptex) => [(1n << 62n) | ptex, 0n]));
export const block = (...ptexes: bigint[]): Call =>
  call('H_BLOCK_REMOVE', 0n, ...ptexes.map((ptex) => (1n << 62n) | ptex));
export const setRc = (ptex: bigint, bits = 0x180n): Call => call('SET_RC', ptex, bits, 0n);
export const unmap = (frame = 1n): Call => call('HOST_UNMAP', frame << 16n);
export const present = (frame = 1n): Call => call('HOST_SET_PTE', frame << 16n, 3n);
export const fault = (ptex: bigint): Call => call('HOST_PAGE_FAULT', ptex, 0n);
export const age = (frame = 1n): Call => call('HOST_AGE', frame << 16n);
export const dirty = (frame = 1n): Call => call('HOST_DIRTY', frame << 16n, 1n);
export const clearRef = (ptex: bigint): Call => call('H_CLEAR_REF', 0n, ptex);
export const clearMod = (ptex: bigint): Call => call('H_CLEAR_MOD', 0n, ptex);
const readFour = (ptex: bigint): Call => call('H_READ', FLAGS.H_READ_4, ptex);
const prepare = call('H_RESIZE_HPT_PREPARE', 0n, 18n);
const commit = call('H_RESIZE_HPT_COMMIT', 0n, 18n);

/** Group 0 with these slots taken. */
const taken = (...slots: bigint[]): Call[] => slots.map((slot) => exact(slot, 2n));
const FULL = taken(0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n);
const ALL_BUT_LAST = taken(0n, 1n, 2n, 3n, 4n, 5n, 6n);
/** Entries that map frame 1: a head, a middle, a tail. */
const CHAIN = [exact(0x20n), exact(0x28n), exact(0x30n)];
/** Two of one block. */
const PAIR = [exact(0x20n), exact(0x21n), setRc(0x20n)];
/** A chain of one entry. */
const ONE = [exact(0x20n)];
const USED = [...CHAIN, setRc(0x28n)];

type Small = readonly [
  name: string,
  before: readonly Call[],
  threads: readonly (readonly Call[])[],
];

const SMALL: readonly Small[] = [
  ['enter/enter', [], [[enter(0n)], [enter(0n)]]],
  ['enter/enter, one slot', [exact(0n)], [[exact(1n)], [exact(1n, 2n, OTHER_V)]]],
  ['enter/enter, last slot of a group', ALL_BUT_LAST, [[enter(0n)], [enter(0n, 2n)]]],
  ['enter/enter, one chain', CHAIN, [[exact(0x21n)], [exact(0x22n)]]],
  ['enter/remove', CHAIN, [[exact(0x28n, 1n, OTHER_V)], [remove(0x28n)]]],
  ['enter/remove of the only one', ONE, [[exact(0x28n, 1n, OTHER_V)], [remove(0x20n)]]],
  ['enter/remove, full group', FULL, [[enter(0n)], [remove(3n)]]],
  ['enter/remove that finds nothing', ALL_BUT_LAST, [[enter(0n)], [remove(7n)]]],
  ['enter exact/remove that finds nothing', [], [[exact(1n)], [remove(1n)]]],
  [
    'enter/an entry that hops behind the scan',
    ALL_BUT_LAST,
    [[enter(0n)], [remove(7n), remove(0n), exact(7n, 3n)]],
  ],
  ['enter/protect', CHAIN, [[exact(0x29n)], [protect(0x29n)]]],
  ['enter/protect, one chain', CHAIN, [[exact(0x29n)], [protect(0x28n)]]],
  ['remove/remove', CHAIN, [[remove(0x28n)], [remove(0x28n)]]],
  ['remove/remove, neighbours', CHAIN, [[remove(0x20n)], [remove(0x28n)]]],
  ['remove/protect', USED, [[remove(0x28n)], [protect(0x28n)]]],
  [
    'remove, enter/remove, enter',
    CHAIN,
    [
      [remove(0x28n), exact(0x28n)],
      [remove(0x28n), enter(0x28n)],
    ],
  ],
  ['bulk/bulk in opposite order', CHAIN, [[bulk(0x20n, 0x28n)], [bulk(0x28n, 0x20n)]]],
  [
    'bulk of four/bulk of four in opposite order',
    FULL,
    [[bulk(0n, 1n, 2n, 3n)], [bulk(3n, 2n, 1n, 0n)]],
  ],
  ['bulk/enter', CHAIN, [[bulk(0x28n, 0x20n)], [exact(0x28n, 1n, OTHER_V)]]],
  ['bulk that names one entry twice/remove', CHAIN, [[bulk(0x28n, 0x28n)], [remove(0x28n)]]],
  ['block/block in opposite order', PAIR, [[block(0x20n, 0x21n)], [block(0x21n, 0x20n)]]],
  ['block/enter', PAIR, [[block(0x21n, 0x20n)], [exact(0x20n, 2n, OTHER_V)]]],
  ['block/unmap', PAIR, [[block(0x21n, 0x20n)], [unmap()]]],
  ['enter/unmap', CHAIN, [[exact(0x29n)], [unmap()]]],
  ['enter/unmap, empty chain', [], [[exact(0x29n)], [unmap()]]],
  ['enter/unmap and back', [exact(0x20n)], [[exact(0x29n)], [unmap(), present()]]],
  ['remove/unmap', USED, [[remove(0x28n)], [unmap()]]],
  ['bulk/unmap', USED, [[bulk(0x20n, 0x28n)], [unmap()]]],
  ['protect/unmap', USED, [[protect(0x28n)], [unmap()]]],
  ['page fault/unmap', [...CHAIN, unmap(), present()], [[fault(0x28n)], [unmap()]]],
  ['page fault/remove', [...CHAIN, unmap(), present()], [[fault(0x28n)], [remove(0x28n)]]],
  ['page fault/page fault', [...CHAIN, unmap(), present()], [[fault(0x28n)], [fault(0x20n)]]],
  ['remove/age', USED, [[remove(0x28n)], [age()]]],
  ['remove of the only one/age', [...ONE, setRc(0x20n, 0x100n)], [[remove(0x20n)], [age()]]],
  ['remove/dirty', USED, [[remove(0x28n)], [dirty()]]],
  ['bulk/age', USED, [[bulk(0x28n, 0x20n)], [age()]]],
  ['unmap/age', USED, [[unmap()], [age()]]],
  ['unmap/dirty', USED, [[unmap()], [dirty()]]],
  ['protect/dirty', USED, [[protect(0x28n)], [dirty()]]],
  ['page fault/age', [...USED, unmap(), present()], [[fault(0x28n)], [age()]]],
  ['clear R/clear C', USED, [[clearRef(0x28n)], [clearMod(0x28n)]]],
  ['enter/age', USED, [[exact(0x29n)], [age()]]],
  ['protect/age', USED, [[protect(0x28n)], [age()]]],
  ['R and C/remove', CHAIN, [[setRc(0x28n)], [remove(0x28n)]]],
  ['R and C/protect', CHAIN, [[setRc(0x28n)], [protect(0x28n)]]],
  ['R and C/unmap', CHAIN, [[setRc(0x28n)], [unmap()]]],
  ['R and C/dirty', CHAIN, [[setRc(0x28n)], [dirty()]]],
  ['clear R/remove', USED, [[clearRef(0x28n)], [remove(0x28n)]]],
  ['clear R/age', USED, [[clearRef(0x28n)], [age()]]],
  ['clear C/dirty', USED, [[clearMod(0x28n)], [dirty()]]],
  ['clear C/unmap', USED, [[clearMod(0x28n)], [unmap()]]],
];

/** What is read against, and what the table is replaced against. */
const OTHERS: readonly (readonly [
  name: string,
  before: readonly Call[],
  calls: readonly Call[],
])[] = [
  ['enter', [exact(0x20n)], [exact(0x28n, 1n, OTHER_V)]],
  ['remove', USED, [remove(0x28n)]],
  ['remove, enter', USED, [remove(0x28n), exact(0x28n, 2n, OTHER_V)]],
  ['bulk', USED, [bulk(0x28n, 0x20n)]],
  ['protect', USED, [protect(0x28n)]],
  ['clear R', USED, [clearRef(0x28n)]],
  ['clear C', USED, [clearMod(0x28n)]],
  ['R and C', CHAIN, [setRc(0x28n)]],
  ['unmap', USED, [unmap()]],
  ['page fault', [...USED, unmap(), present()], [fault(0x28n)]],
  ['age', USED, [age()]],
  ['dirty', USED, [dirty()]],
];

const removeSlot = call('MEMSLOT_REMOVE', 0n);
/** Frames 0 and 1. */
const addSlot = call('MEMSLOT_ADD', 0n, 0n, 2n << 16n, 1n, 16n);
const SMALL_SLOT = [removeSlot, addSlot];

/** What a slot is removed against, and added against. */
const SLOTS: readonly Small[] = [
  ...OTHERS.map(
    ([name, before, calls]): Small => [
      `slot removal/${name}`,
      [...SMALL_SLOT, ...before.filter(({ args }) => args.at(-1) !== 0x2_0012n)],
      [[removeSlot], calls],
    ],
  ),
  ['slot removal/enter, one chain', [...SMALL_SLOT, ...CHAIN], [[removeSlot], [exact(0x29n)]]],
  ['slot removal/slot removal', [...SMALL_SLOT, ...USED], [[removeSlot], [removeSlot, addSlot]]],
  ['slot removal/page back', [...SMALL_SLOT, ...CHAIN], [[removeSlot], [present(), exact(0x29n)]]],
  [
    'slot removal, addition/enter',
    [...SMALL_SLOT, ...CHAIN],
    [[removeSlot, addSlot], [exact(0x29n)]],
  ],
  [
    'slot removal, addition/remove',
    [...SMALL_SLOT, ...USED],
    [[removeSlot, addSlot], [remove(0x28n)]],
  ],
  ['slot addition/enter', [removeSlot], [[addSlot], [exact(0x28n)]]],
  ['slot addition/page fault', [removeSlot, exact(0x28n)], [[addSlot], [fault(0x28n)]]],
];

/** What the main thread executes by itself. */
const SHORT = new Set(['H_ENTER', 'H_REMOVE', 'H_READ', 'H_PROTECT', 'H_CLEAR_REF', 'H_CLEAR_MOD']);

/** Programs whose first thread may be the main thread. */
const WITHOUT_WAITING: readonly Program[] = [
  ...SMALL,
  ...OTHERS.map(([name, before, calls]): Small => [`read/${name}`, before, [[read(0x28n)], calls]]),
]
  .filter(([, , [first]]) => first!.every(({ name }) => SHORT.has(name)))
  // H_PROTECT takes no chain's lock, nor does who is first or last on a chain: there is nothing to wait for.
  .filter(
    ([name]) =>
      !['enter/protect, one chain', 'enter/enter', 'enter/remove of the only one'].includes(name),
  )
  .map(([name, before, threads]) => ({
    name: `never waiting: ${name}`,
    before,
    threads,
    neverWaits: 0,
  }));

const SURVIVOR = exact(8n, 1n, V | BOLTED);

export const PROGRAMS: readonly Program[] = [
  ...SMALL.map(([name, before, threads]) => ({
    name,
    before,
    threads,
  })),
  ...WITHOUT_WAITING,
  ...OTHERS.map(([name, before, calls]) => ({
    name: `read/${name}`,
    before,
    threads: [[read(0x28n)], calls],
  })),
  ...SLOTS.map(([name, before, threads]) => ({
    name,
    before,
    threads,
    closesGate: true,
    // A removal takes the pages away, and then the slot: its host can look in between.
    invariantsOnly: /age|dirty|unmap|page back|slot removal.slot removal/.test(name),
  })),
  { name: 'read of four/bulk', before: USED, threads: [[readFour(0x28n)], [bulk(0x28n, 0x29n)]] },
  ...OTHERS.map(([name, before, calls]) => ({
    name: `resize/${name}`,
    before: [SURVIVOR, ...before, prepare],
    threads: [[commit], calls],
    replaces: true,
  })),
  {
    name: 'never waiting: remove/resize',
    before: [SURVIVOR, ...USED, prepare],
    threads: [[remove(0x28n)], [commit]],
    replaces: true,
    neverWaits: 0,
  },
  {
    name: 'resize/resize',
    before: [SURVIVOR, ...USED, prepare],
    threads: [[commit], [commit]],
    replaces: true,
  },
  {
    name: 'resize/remove of the survivor, read',
    before: [SURVIVOR, ...USED, prepare],
    threads: [[commit], [remove(8n), read(8n)]],
    replaces: true,
  },
];
