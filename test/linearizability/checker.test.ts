/** The checker on histories made by hand: what it must accept, and what it must not. */
import { describe, test } from 'node:test';
import { FLAGS } from '../../schemas/flags.ts';
import { R_OF, enter, impossible, possible, read, remove } from './by-hand.ts';
import type { Line } from './by-hand.ts';

const A = 0x1000n;
const B = 0x2000n;
const V = 1n;
const BOLTED = 0x10n;

/** Slots 1 to 6 of the first group, and slot 0. */
const seven = [0n, 1n, 2n, 3n, 4n, 5n, 6n].map((slot, i) => enter(0, 2 * i, 2 * i + 1, slot));

describe('one slot', () => {
  test('calls that overlap may come in either order', () => {
    for (const seen of [read(1, 3, 12, 0n, A | V, R_OF(1n)), read(1, 3, 12, 0n)]) {
      possible([enter(0, 0, 1, 0n), remove(0, 4, 5, 0n), seen]);
    }
    possible([enter(0, 0, 10, 0n), read(1, 1, 2, 0n), read(1, 3, 4, 0n, A | V, R_OF(1n))]);
  });

  test('calls one after the other may not', () => {
    impossible([enter(0, 0, 1, 0n), read(1, 2, 3, 0n)], /^H_READ/);
    // What one has seen, the next cannot have missed.
    impossible(
      [enter(0, 0, 10, 0n), read(1, 1, 2, 0n, A | V, R_OF(1n)), read(1, 3, 4, 0n)],
      /^H_READ/,
    );
  });

  test('two take the slot, or two remove one entry: only one can have', () => {
    impossible([enter(0, 0, 3, 0n), enter(1, 1, 2, 0n, B)], /^H_ENTER/);
    impossible([enter(0, 0, 1, 0n), remove(0, 2, 5, 0n), remove(1, 3, 4, 0n)], /^H_REMOVE/);
  });

  test('dword 0 of one entry with dword 1 of the next', () => {
    const change: Line[] = [
      enter(0, 0, 1, 0n),
      remove(0, 4, 5, 0n),
      enter(0, 6, 7, 0n, B, R_OF(2n)),
    ];
    possible([...change, read(1, 3, 9, 0n, B | V, R_OF(2n))]);
    impossible([...change, read(1, 3, 9, 0n, A | V, R_OF(2n))], /^H_/);
  });

  test('what an answer says of the entry must be true of it', () => {
    impossible([enter(0, 0, 1, 0n), remove(1, 2, 3, 0n, B)], /^H_REMOVE/);
    impossible([[0, 0, 1, 'H_CLEAR_REF', [0n, 1n << 20n], 'H_SUCCESS', [0n]]], /^H_CLEAR_REF/);
    possible([[0, 0, 1, 'H_CLEAR_REF', [0n, 1n << 20n], 'H_PARAMETER']]);
  });
});

describe('H_PTEG_FULL', () => {
  const full = (from: number, to: number): Line => [
    1,
    from,
    to,
    'H_ENTER',
    [0n, 3n, B | V, R_OF(2n)],
    'H_PTEG_FULL',
  ];

  test('when the group was full for a moment', () => {
    possible([...seven, enter(0, 20, 21, 7n), full(22, 23)]);
    possible([...seven, full(18, 30), enter(0, 20, 21, 7n), remove(0, 22, 23, 7n)]);
  });

  test('not when a slot was free at every instant, though another one each time', () => {
    impossible([...seven, full(18, 19)], /^H_ENTER/);
    impossible(
      [...seven, full(18, 30), remove(0, 20, 21, 0n), enter(0, 22, 23, 7n)],
      /^H_ENTER\(0, 3/,
    );
  });

  test('the slot that H_ENTER says it took was free, and of its group', () => {
    const taken = (slot: bigint): Line => [
      1,
      18,
      19,
      'H_ENTER',
      [0n, 3n, B | V, R_OF(2n)],
      'H_SUCCESS',
      [slot],
    ];
    possible([...seven, taken(7n)]);
    impossible([...seven, taken(2n)], /^H_ENTER\(0, 3/);
    impossible([...seven, taken(8n)], /^H_ENTER\(0, 3/);
  });
});

describe('calls of several steps', () => {
  const request = (ptex: bigint): bigint => (1n << 62n) | ptex;
  const bulk = (from: number, to: number, ...done: bigint[]): Line => [
    1,
    from,
    to,
    'H_BULK_REMOVE',
    done.flatMap((ptex) => [request(ptex), 0n]),
    'H_SUCCESS',
    done.flatMap((ptex) => [(0x80n << 56n) | ptex, 0n]),
  ];
  const two = [enter(0, 0, 1, 0n), enter(0, 2, 3, 1n)];

  const gone = (at: bigint, from: number): Line => read(0, from, from + 1, at);
  const there = (at: bigint, from: number): Line => read(0, from, from + 1, at, A | V, R_OF(1n));

  test('a bulk removal removes in its order, and others may look in between', () => {
    possible([...two, bulk(4, 20, 0n, 1n), gone(0n, 5), there(1n, 7)]);
    impossible([...two, bulk(4, 20, 0n, 1n), gone(1n, 5), there(0n, 7)], /^H_(READ|BULK)/);
  });

  test('H_READ_4 is four reads', () => {
    const four = (...words: bigint[]): Line => [
      1,
      4,
      20,
      'H_READ',
      [FLAGS.H_READ_4, 0n],
      'H_SUCCESS',
      [...words, 0n, 0n, 0n, 0n],
    ];
    const [a, none] = [
      [A | V, R_OF(1n)],
      [0n, 0n],
    ] as [bigint[], bigint[]];
    possible([...two, four(...a, ...none), remove(0, 5, 6, 1n)]);
    // The first slot is read first: when it was empty already, so was the second.
    impossible(
      [...two, four(...none, ...a), remove(0, 5, 6, 1n), remove(0, 7, 8, 0n)],
      /^H_(READ|REMOVE)/,
    );
  });

  const block = (status: 'H_SUCCESS' | 'H_PARTIAL', ...codes: bigint[]): Line => [
    1,
    4,
    20,
    'H_BLOCK_REMOVE',
    [A, ...codes.map((_, i) => request(BigInt(i)))],
    status,
    codes.map((code, i) => (2n << 62n) | (code << 59n) | BigInt(i)),
  ];

  test('H_BLOCK_REMOVE answers busy only where somebody was there', () => {
    possible([...two, block('H_SUCCESS', 0n, 0n)]);
    impossible([...two, block('H_PARTIAL', 0n, 4n)], /^H_BLOCK_REMOVE/);
    possible([...two, block('H_PARTIAL', 0n, 4n), there(1n, 5)]);
    impossible([...two, block('H_PARTIAL', 0n, 4n), there(0n, 5)], /^H_BLOCK_REMOVE/);
    impossible([...two, block('H_PARTIAL', 0n, 4n), read(0, 5, 6, 2n)], /^H_BLOCK_REMOVE/);
    const [thread, from, to, name, args, status, out] = block('H_PARTIAL', 0n, 4n);
    possible([...two, [thread, from, to, name, args, status, out, 1]]);
  });

  test('H_BLOCK_REMOVE judges an entry beside the first that it removed', () => {
    const other = [enter(0, 0, 1, 0n), enter(0, 2, 3, 1n, B << 20n)];
    possible([...other, block('H_PARTIAL', 0n, 5n)]);
    impossible([...other, block('H_SUCCESS', 0n, 0n)], /^H_BLOCK_REMOVE/);
  });

  test('H_CLEAR_HPT leaves what comes after it has been there', () => {
    const clear: Line = [1, 4, 20, 'H_CLEAR_HPT', [], 'H_SUCCESS'];
    possible([...two, clear, read(0, 5, 6, 0n), enter(0, 7, 8, 0n), there(0n, 30)]);
    impossible([...two, clear, there(0n, 30)], /^H_(READ|CLEAR_HPT)/);
  });
});

describe('another table', () => {
  const prepare = (from: number, status: Line[5]): Line => [
    0,
    from,
    from + 1,
    'H_RESIZE_HPT_PREPARE',
    [0n, 19n],
    status,
  ];
  const commit = (from: number, to: number, status: Line[5]): Line => [
    1,
    from,
    to,
    'H_RESIZE_HPT_COMMIT',
    [0n, 19n],
    status,
  ];
  const LATER = 'H_LONG_BUSY_ORDER_100_MSEC';

  test('a preparation may take long, but is not unready again', () => {
    possible([prepare(0, LATER), prepare(2, LATER), prepare(4, 'H_SUCCESS')]);
    possible([prepare(0, LATER), commit(2, 3, 'H_BUSY'), commit(4, 5, 'H_CLOSED')]);
    impossible([prepare(0, LATER), prepare(2, 'H_SUCCESS'), prepare(4, LATER)], /PREPARE/);
    impossible([prepare(0, LATER), prepare(2, 'H_SUCCESS'), commit(4, 5, 'H_BUSY')], /COMMIT/);
    impossible([commit(0, 1, 'H_SUCCESS')], /COMMIT/);
  });

  test('COMMIT drops what is not bolted, for everybody at once', () => {
    const there = [
      enter(0, 0, 1, 0n),
      enter(0, 2, 3, 1n, A | BOLTED),
      prepare(4, LATER),
      prepare(6, 'H_SUCCESS'),
    ];
    const bolted = (from: number): Line => read(0, from, from + 1, 1n, A | BOLTED | V, R_OF(1n));
    possible([...there, commit(8, 9, 'H_SUCCESS'), read(0, 10, 11, 0n), bolted(12)]);
    possible([
      ...there,
      commit(8, 30, 'H_SUCCESS'),
      read(0, 10, 11, 0n, A | V, R_OF(1n)),
      read(0, 12, 13, 0n),
    ]);
    impossible([...there, commit(8, 9, 'H_SUCCESS'), read(0, 10, 11, 0n, A | V, R_OF(1n))], /READ/);
  });

  test('it comes between calls, not between the steps of one', () => {
    const four: Line = [
      0,
      4,
      20,
      'H_READ',
      [FLAGS.H_READ_4, 0n],
      'H_SUCCESS',
      [A | V, R_OF(1n), 0n, 0n, 0n, 0n, 0n, 0n],
    ];
    const reset: Line = [1, 5, 19, 'HPT_RESET', [18n], 'H_SUCCESS', [0n]];
    impossible([enter(0, 0, 1, 0n), enter(0, 2, 3, 1n), four, reset], /H_READ|HPT_RESET/);
  });
});
