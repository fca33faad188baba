/**
 * Random guests, and random operations, as data. All that can be asked of a guest's table comes up; arguments are mostly such that
 * something happens, now and then anything at all.
 */
import fc from 'fast-check';
import { SLOT_SEARCHES } from '../../schemas/guests.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import { MIB } from './harness.ts';
import {
  ALL_ONES,
  ANDCOND,
  AVPN,
  BOLTED,
  COPY,
  EXACT,
  MODIFIED,
  READ_4,
  SECONDARY,
  SIZES,
  ZERO,
  avpn,
  dword0,
  slbv,
  swapBytes,
} from './pages.ts';
import { ADDRESSES, FAMILIES, LAYOUTS, PAGES, RARE_ADDRESSES } from './worlds.ts';
import type { Argument, Step } from './worlds.ts';

interface Call {
  readonly name: string;
  readonly args: readonly Argument[];
}

const anyWord = fc.bigInt({ min: 0n, max: ALL_ONES });
const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const often = <T>(common: fc.Arbitrary<T>, rare: fc.Arbitrary<T>, weight = 12) =>
  fc.oneof({ weight, arbitrary: common }, { weight: 1, arbitrary: rare });
const bitsOf = (...bits: readonly bigint[]) =>
  fc.subarray([...bits]).map((set) => set.reduce((word, bit) => word | bit, 0n));
const call = (name: string, ...args: readonly fc.Arbitrary<Argument>[]): fc.Arbitrary<Call> =>
  fc.tuple(...args).map((words) => ({ name, args: words }));

const gpa = often(pick(...ADDRESSES), pick(...RARE_ADDRESSES), 3);
const beyond = pick(16384n, 16385n, 131072n, 1n << 55n, ALL_ONES);
const wimg = often(
  pick(0x10n, 0x10n, 0x70n, 0x28n, 0x38n),
  fc.bigInt({ min: 0n, max: 15n }).map((bits) => bits << 3n),
  3,
);
const protection = bitsOf(1n << 63n, 1n, 2n, 4n, 1n << 60n, 1n << 61n, 0x200n, 0x400n, 0x800n);
const noise = often(
  pick(0n),
  pick(MODIFIED, 1n << 58n, 1n << 59n, 0x5000n, 0xf_0000n, 0x10_0000n),
  8,
);
const slotOfGroup = often(pick(0n, 1n, 2n), fc.bigInt({ min: 0n, max: 7n }), 4);
const compareFlags = bitsOf(AVPN, ANDCOND);
const noFlags = often(pick(0n), anyWord, 30);
const reader = often(pick(0n, 0n, 1n), pick(2n, 16n, ALL_ONES), 6);
const shift = often(
  pick(18n, 19n, 20n, 18n, 19n, 0n),
  pick(17n, 21n, 22n, 30n, 31n, 46n, 47n, 1n << 32n, ALL_ONES),
  5,
);

/** What the operations on a family of pages are made of. */
function ingredients(family: readonly number[]) {
  const page = pick(...family);
  const place = fc.record({ page, secondary: fc.boolean(), slot: slotOfGroup });
  const compared = often(
    fc.oneof(
      page.map((number) => avpn(PAGES[number]!)),
      pick(0n, BOLTED, 0x40n, 0x20n, 0x01n, 0x06n, 1n << 62n),
      page.map((number) => avpn(PAGES[number]!) | 1n),
    ),
    anyWord,
  );
  const entry = fc
    .record({
      place,
      gpa,
      wimg,
      protection,
      noise,
      software: bitsOf(BOLTED, 0x08n, 0x40n, 0x20n),
      rc: bitsOf(0x100n, 0x80n),
      valid: pick(0n, 1n, 1n),
    })
    .map((x) => {
      const { size } = PAGES[x.place.page]!;
      const actual = BigInt(SIZES[size].actual);
      const v =
        (dword0(PAGES[x.place.page]!) & ~1n) |
        x.software |
        x.valid |
        (x.place.secondary ? SECONDARY : 0n);
      const r =
        ((x.gpa >> actual) << actual) | SIZES[size].lp | x.wimg | x.protection | x.noise | x.rc;
      return { place: x.place, words: [v, r] };
    });
  const junk = fc
    .tuple(place, anyWord, anyWord)
    .map(([at, v, r]) => ({ place: at, words: [v, r] }));
  const ptex: fc.Arbitrary<Argument> = often<Argument>(place, beyond, 40);
  return { page, place, compared, entry, junk, ptex };
}

type Ingredients = ReturnType<typeof ingredients>;

function enter({ entry, junk, ptex }: Ingredients): fc.Arbitrary<Call> {
  return fc
    .record({
      flags: often(bitsOf(EXACT, ZERO), anyWord),
      entry: often(entry, junk, 25),
      astray: often<Argument | undefined>(fc.constant(undefined), ptex, 6),
    })
    .map(({ flags, entry: { place, words }, astray }) => ({
      name: 'H_ENTER',
      args: [flags, astray ?? place, ...words],
    }));
}

function bulkRemove({ place, compared }: Ingredients): fc.Arbitrary<Call> {
  const pair = fc
    .record({
      type: often(pick(1n), fc.bigInt({ min: 0n, max: 3n }), 9),
      selector: often(pick(0n, 1n, 2n), pick(3n), 20),
      control: often(pick(0n), fc.bigInt({ min: 0n, max: 15n })),
      at: often<Argument>(place, beyond, 30),
      operand: compared,
    })
    .map(({ type, selector, control, at, operand }): Argument[] => {
      const bits = (type << 62n) | (control << 58n) | (selector << 56n);
      return [typeof at === 'bigint' ? bits | (at & (ALL_ONES >> 8n)) : { ...at, bits }, operand];
    });
  const pairs = fc.array(pair, { minLength: 1, maxLength: 4 });
  return fc.tuple(pairs, often(pick(0), pick(1))).map(([words, cut]) => ({
    name: 'H_BULK_REMOVE',
    args: words.flat().slice(0, words.length * 2 - cut),
  }));
}

function blockRemove({ place, compared }: Ingredients): fc.Arbitrary<Call> {
  const word = fc
    .record({
      type: often(pick(1n), fc.bigInt({ min: 0n, max: 3n }), 20),
      how: often(pick(0n), pick(1n << 56n, 1n << 60n), 2),
      place,
    })
    .map(({ type, how, place: at }): Argument => ({ ...at, bits: (type << 62n) | how }));
  return fc
    .tuple(compared, fc.array(word, { minLength: 1, maxLength: 8 }))
    .map(([ava, words]) => ({ name: 'H_BLOCK_REMOVE', args: [ava, ...words] }));
}

function walk({ page }: Ingredients): fc.Arbitrary<Call> {
  return fc
    .record({
      page,
      low: pick(0n, 0xfffn, 0x8000n),
      access: fc.bigInt({ min: 0n, max: 7n }),
      keys: bitsOf(0x800n, 0x400n, 0x200n),
      size: often(pick(0n), pick(0x110n, 0x20n, 0x130n), 15),
      amr: often(pick(0n), anyWord, 3),
    })
    .map(({ page: number, low, access, keys, size, amr }) => {
      const segment = PAGES[number]!;
      return {
        name: 'WALK',
        args: [segment.offset | low, slbv(segment) ^ size ^ keys, access, amr],
      };
    });
}

/** Up to two records of the table stream, perhaps cut short. */
function htabWrite({ place, entry, junk }: Ingredients): fc.Arbitrary<Call> {
  const record = fc
    .record({
      at: often<Argument>(place, pick(16384n, 16385n), 20),
      valid: fc.array(often(entry, junk, 6), { maxLength: 2 }),
      invalid: fc.bigInt({ min: 0n, max: 3n }),
    })
    .map(({ at, valid, invalid }): Argument[] => {
      const bits = (BigInt(valid.length) << 32n) | (invalid << 48n);
      const entries = valid.flatMap(({ words: [v = 0n, r = 0n] }) => [
        swapBytes(v | 1n),
        swapBytes(r),
      ]);
      return [typeof at === 'bigint' ? at | bits : { ...at, bits }, ...entries];
    });
  const off = often(pick(0n), fc.bigInt({ min: -9n, max: 17n }), 5);
  return fc.tuple(fc.array(record, { maxLength: 2 }), off).map(([records, by]) => {
    const data = records.flat();
    const length = BigInt(data.length * 8) + by;
    return { name: 'HTAB_WRITE', args: [length < 0n ? 0n : length, ...data] };
  });
}

function hcalls(of: Ingredients): (readonly [weight: number, fc.Arbitrary<Call>])[] {
  const { ptex, compared } = of;
  const protectFlags = often(bitsOf(AVPN, 0x100n, 1n, 2n, 4n, 0x200n, 0x3000n), anyWord);
  return [
    [150, enter(of)],
    [50, call('H_REMOVE', compareFlags, ptex, compared)],
    [20, call('H_READ', pick(0n, READ_4), ptex)],
    [25, call('H_CLEAR_MOD', noFlags, ptex)],
    [25, call('H_CLEAR_REF', noFlags, ptex)],
    [40, call('H_PROTECT', protectFlags, ptex, compared)],
    [10, call('H_PAGE_INIT', often(bitsOf(ZERO, COPY, 1n << 23n), pick(1n, 1n << 36n)), gpa, gpa)],
    [5, call('H_PAGE_INIT', bitsOf(ZERO, COPY), pick(0x1_0800n, 0x1_0000n), pick(0x1000n, 0x801n))],
    [30, bulkRemove(of)],
    [25, blockRemove(of)],
    [2, call('H_CLEAR_HPT')],
    [15, call('H_RESIZE_HPT_PREPARE', noFlags, shift)],
    [10, call('H_RESIZE_HPT_COMMIT', noFlags, shift)],
  ];
}

function controls(of: Ingredients): (readonly [weight: number, fc.Arbitrary<Call>])[] {
  const { ptex } = of;
  const state = often(pick(0n, 1n, 3n, 3n, 7n), fc.bigInt({ min: 0n, max: 9n }));
  return [
    [25, call('HOST_UNMAP', gpa)],
    [25, call('HOST_SET_PTE', gpa, state)],
    [20, call('HOST_AGE', gpa)],
    [40, call('HOST_PAGE_FAULT', ptex, pick(0n, 1n))],
    [50, call('SET_RC', ptex, often(bitsOf(0x100n, 0x80n), anyWord), pick(0n, 1n))],
    [2, call('HPT_RESET', often(pick(18n, 19n), pick(17n, 31n, 1n << 33n), 3))],
    [1, call('HPT_FREE')],
    [5, call('HPT_RESIZE', often(pick(18n, 19n, 20n), pick(0n, 17n, 31n, ALL_ONES), 4))],
    [
      15,
      call('HTAB_OPEN', often<Argument>(pick(0n), ptex, 3), often(pick(0n, 1n, 2n, 3n), anyWord)),
    ],
    [25, call('HTAB_READ', reader, pick(0n, 24n, 25n, 40n, 56n, 200n, 4096n, ALL_ONES))],
    [5, call('HTAB_CLOSE', reader)],
    [10, htabWrite(of)],
    [50, walk(of)],
    [20, call('HOST_DIRTY', gpa, often(pick(1n, 16n, 64n), pick(0n, 65n, 4096n, 4097n)))],
    [10, call('ENTRY_INSPECT', ptex)],
    [5, call('MEMORY_READ', gpa, pick(0n, 2n, 600n, 4097n))],
    [5, call('MEMORY_WRITE', gpa, anyWord, anyWord)],
    [5, call('TABLE_COUNT', ptex, pick(0n, 1n, 2n, 9n, 70000n))],
    [
      6,
      call(
        'MEMSLOT_ADD',
        pick(0n, 1n, 2n, 3n, 31n, 32n),
        pick(0n, 24n << 20n, 64n << 20n, 128n << 20n, 0x1000n, 1n << 44n),
        pick(16n << 20n, 24n << 20n, 0x3_0000n, 0x1000n, 0n),
        pick(1n, 1n, 5n, 2n, 0n, 6n),
        // 24 stands for what the guest's other slots have.
        pick(24n, 24n, 24n, 11n, 35n),
      ),
    ],
    [5, call('MEMSLOT_REMOVE', pick(0n, 0n, 1n, 2n, 3n, 31n, 32n))],
    [8, call('TABLE_SHAPE', ptex, pick(0n, 2n, 9n, 70000n))],
    [2, call('TABLE_HASH', ptex, pick(0n, 3n, 70000n), anyWord, pick(0n, 5n))],
  ];
}

function stepsOf(family: readonly number[], most: number): fc.Arbitrary<Step[]> {
  const of = ingredients(family);
  const weighted = [...hcalls(of), ...controls(of)];
  const calls = fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })));
  const explain = often(pick(false), pick(true), 4);
  const step = fc
    .tuple(calls, explain, fc.nat(1))
    .map(([{ name, args }, asked, processor]) => ({ name, args, explain: asked, processor }));
  return fc.array(step, { minLength: 1, maxLength: most, size: 'max' });
}

/** Sequences of up to so many steps, each on the pages of one family. */
export function sequences(most: number): fc.Arbitrary<Step[]> {
  return fc.oneof(...FAMILIES.map((family) => stepsOf(family, most)));
}

export const configs: fc.Arbitrary<GuestConfig> = fc
  .record({
    order: fc.oneof(
      { weight: 12, arbitrary: fc.constant(18) },
      { weight: 4, arbitrary: fc.constantFrom(19, 20) },
      { weight: 1, arbitrary: fc.constantFrom(0, 21) },
    ),
    memslots: fc.constantFrom(...LAYOUTS),
    ramBytes: fc.constantFrom(undefined, 32 * MIB, 128 * MIB),
    hostPageBytes: fc.constantFrom<4096 | 65536>(4096, 65536),
    backingPageBytes: fc.oneof(
      { weight: 3, arbitrary: fc.constant<16777216>(16777216) },
      { weight: 1, arbitrary: fc.constantFrom<4096 | 65536>(4096, 65536) },
    ),
    isa300: fc.boolean(),
    memory: fc.constantFrom<'none' | 'backed'>('none', 'backed'),
    state: fc.constant<'running'>('running'),
    // They differ only where threads meet.
    slotSearch: fc.constantFrom(...SLOT_SEARCHES),
  })
  .map((config) => ({
    ...config,
    // Backing pages are never smaller than host pages.
    backingPageBytes:
      config.hostPageBytes === 65536 && config.backingPageBytes === 4096
        ? 65536
        : config.backingPageBytes,
  }));
