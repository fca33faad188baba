/** The checker on histories made by hand, with the host at work, and with R and C when the table is replaced. */
import { describe, test } from 'node:test';
import { enter, impossible, possible, read, remove } from './by-hand.ts';
import type { Line } from './by-hand.ts';

const A = 0x1000n;
const V = 1n;
const BOLTED = 0x10n;
const R = 0x100n;
const C = 0x80n;
const FRAME = 0x1_0000n;
const ENTRY = FRAME | 0x12n;

const host = (
  from: number,
  to: number,
  name: string,
  args: readonly bigint[],
  ...out: bigint[]
): Line => [0, from, to, name, args, 'H_SUCCESS', out];
const unmap = (from: number, to: number) => host(from, to, 'HOST_UNMAP', [FRAME], 0n);
const bringBack = (from: number) => host(from, from + 1, 'HOST_SET_PTE', [FRAME, 3n], 0n);
const age = (from: number, to: number, answer: bigint) =>
  host(from, to, 'HOST_AGE', [FRAME], answer);
const harvest = (from: number, to: number, answer: bigint) =>
  host(from, to, 'HOST_DIRTY', [FRAME, 1n], answer, answer);
/** Hardware sets them, if the entry is VALID: 0. */
const setRc = (from: number, bits: bigint, outcome: bigint): Line => [
  1,
  from,
  from + 1,
  'SET_RC',
  [0n, bits, 0n],
  'H_SUCCESS',
  [outcome],
];
const fault = (from: number, to: number, outcome: bigint): Line => [
  1,
  from,
  to,
  'HOST_PAGE_FAULT',
  [0n, 0n],
  'H_SUCCESS',
  [outcome],
];
const there = enter(1, 0, 1, 0n);

describe('a page that is taken away', () => {
  test('hardware uses no entry of it any more, whoever brings it back, until a fault', () => {
    possible([there, setRc(2, 0n, 0n), unmap(4, 5), setRc(6, 0n, 1n)]);
    impossible([there, unmap(4, 5), setRc(6, 0n, 0n)], /^SET_RC/);
    impossible([there, unmap(4, 5), bringBack(6), setRc(8, 0n, 0n)], /^SET_RC/);
    possible([there, unmap(4, 5), bringBack(6), fault(8, 9, 0n), setRc(10, 0n, 0n)]);
  });

  test('while it is taken away an entry may be VALID, but not again', () => {
    possible([there, unmap(4, 20), setRc(6, 0n, 0n), setRc(8, 0n, 1n)]);
    impossible([there, unmap(4, 20), setRc(6, 0n, 1n), setRc(8, 0n, 0n)], /^SET_RC/);
  });

  test('a fault and H_ENTER find the page as it is', () => {
    impossible([there, unmap(4, 5), fault(6, 7, 0n)], /^HOST_PAGE_FAULT/);
    possible([there, unmap(4, 5), fault(6, 7, 3n)]);
    impossible([there, fault(2, 3, 3n)], /^HOST_PAGE_FAULT/);
    possible([there, fault(2, 9, 3n), unmap(4, 5)]);
    impossible([unmap(2, 3), enter(1, 4, 5, 0n), setRc(6, 0n, 0n)], /^SET_RC/);
    possible([unmap(2, 3), enter(1, 4, 9, 0n), bringBack(5), setRc(10, 0n, 0n)]);
    possible([unmap(2, 3), enter(1, 4, 9, 0n), bringBack(5), setRc(10, 0n, 1n)]);
  });
});

describe('what the host is told of R and C', () => {
  const removed = (from: number): Line => remove(1, from, from + 1, 0n, A, ENTRY | R | C);

  test('an R is told, once', () => {
    possible([there, setRc(2, R, 0n), age(4, 5, 1n), age(6, 7, 0n)]);
    impossible([there, setRc(2, R, 0n), age(4, 5, 0n)], /^HOST_AGE/);
    impossible([there, setRc(2, R, 0n), age(4, 5, 1n), age(6, 7, 1n)], /^HOST_AGE/);
    impossible([there, age(4, 5, 1n)], /^HOST_AGE/);
  });

  test('no call loses it', () => {
    const set = [there, setRc(2, R | C, 0n)];
    const ways: Line[] = [
      removed(4),
      unmap(4, 5),
      [1, 4, 5, 'H_CLEAR_REF', [0n, 0n], 'H_SUCCESS', [ENTRY | R | C]],
      [1, 4, 5, 'H_CLEAR_MOD', [0n, 0n], 'H_SUCCESS', [ENTRY | R | C]],
    ];
    for (const way of ways) {
      possible([...set, way, age(6, 7, 1n), harvest(8, 9, 1n)]);
      impossible([...set, way, age(6, 7, 0n)], /^HOST_AGE/);
      impossible([...set, way, harvest(8, 9, 0n)], /^HOST_DIRTY/);
    }
  });

  test('one that comes while the host asks is told now or then', () => {
    for (const [now, then] of [
      [0n, 1n],
      [1n, 0n],
    ] as const) {
      possible([there, age(2, 9, now), setRc(4, R, 0n), age(10, 11, then)]);
    }
    impossible([there, age(2, 9, 0n), setRc(4, R, 0n), age(10, 11, 0n)], /^HOST_AGE/);
  });

  test('the guest keeps what the host harvests', () => {
    const aged = [there, setRc(2, R, 0n), age(4, 5, 1n)];
    possible([...aged, read(1, 6, 7, 0n, A | V, ENTRY | R)]);
    impossible([...aged, read(1, 6, 7, 0n, A | V, ENTRY)], /^H_READ/);
  });

  test('H_PAGE_INIT makes its page dirty', () => {
    const init: Line = [1, 0, 1, 'H_PAGE_INIT', [0x8000n, FRAME, 0n], 'H_SUCCESS'];
    possible([init, harvest(2, 3, 1n)]);
    impossible([init, harvest(2, 3, 0n)], /^HOST_DIRTY/);
  });
});

describe('R and C when the table is replaced', () => {
  const bolted = A | BOLTED;
  const resized: Line[] = [
    enter(1, 0, 1, 0n, bolted),
    setRc(2, R | C, 0n),
    [1, 4, 5, 'HPT_RESIZE', [18n], 'H_SUCCESS', [0n]],
  ];

  test('what only hardware had set is seen in the real entry, and not in the view of the guest', () => {
    const seen = [...resized, read(1, 6, 7, 0n, bolted | V, ENTRY | R | C)];
    possible([...seen, remove(1, 8, 9, 0n, bolted, ENTRY)]);
    impossible([...seen, remove(1, 8, 9, 0n, bolted, ENTRY | R | C)], /^H_REMOVE/);
    impossible([...resized, read(1, 6, 7, 0n, bolted | V, ENTRY)], /^H_READ/);
  });

  test('clearing R of an ABSENT entry leaves the real one', () => {
    const cleared: Line = [1, 6, 7, 'H_CLEAR_REF', [0n, 0n], 'H_SUCCESS', [ENTRY]];
    possible([...resized, cleared, read(1, 8, 9, 0n, bolted | V, ENTRY | R | C)]);
    impossible([...resized, cleared, read(1, 8, 9, 0n, bolted | V, ENTRY | C)], /^H_READ/);
  });

  test('how much the real entry starts with is not known, but it is one thing', () => {
    const absent: Line[] = [
      enter(1, 0, 1, 0n, bolted, ENTRY | R),
      [1, 2, 3, 'HPT_RESIZE', [18n], 'H_SUCCESS', [0n]],
      [1, 4, 5, 'H_CLEAR_REF', [0n, 0n], 'H_SUCCESS', [ENTRY | R]],
    ];
    const shown = (from: number, rc: bigint) => read(1, from, from + 1, 0n, bolted | V, ENTRY | rc);
    possible([...absent, shown(6, 0n), shown(8, 0n)]);
    possible([...absent, shown(6, R), shown(8, R)]);
    impossible([...absent, shown(6, R), shown(8, 0n)], /^H_READ/);
    impossible([...absent, shown(6, C)], /^H_READ/);
  });
});
