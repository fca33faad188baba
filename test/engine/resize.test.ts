/**
 * Another table: PREPARE and COMMIT as a state machine, where the rehash puts the bolted entries, what a reset leaves.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { finishPreparing, openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import {
  ABSENT,
  BOLTED,
  C,
  R,
  RW,
  SECONDARY,
  SIZES,
  V,
  dword0,
  enterAt,
  enterPage,
  groupPtex,
  slbv,
} from './pages.ts';
import type { Page } from './pages.ts';

const prepare = (guest: TestGuest, shift: bigint, flags = 0n) =>
  guest.explain('H_RESIZE_HPT_PREPARE', [flags, shift]);
const commit = (guest: TestGuest, shift: bigint, flags = 0n) =>
  guest.explain('H_RESIZE_HPT_COMMIT', [flags, shift]);

/** PREPARE until it answers something else than "later". */
function prepared(guest: TestGuest, shift: bigint): number {
  for (;;) {
    const { status } = prepare(guest, shift);
    if (status !== STATUSES.H_LONG_BUSY_ORDER_100_MSEC) return status;
    guest.engine.calls.backgroundSlice();
  }
}

/** Table memory at both ends was used: what is prepared there has to be zeroed, a slice at a time. */
function used(): TestGuest {
  const guest = openTestGuest({ order: 20, ramBytes: 2 ** 28 });
  for (const order of [21n, 20n]) assert.deepEqual(guest.call('HPT_RESIZE', [order]).out, [0n]);
  return guest;
}

describe('PREPARE and COMMIT', () => {
  test('what is refused', () => {
    const guest = openTestGuest();
    const cases: readonly (readonly [
      answer: ReturnType<typeof prepare>,
      status: number,
      ...why: unknown[],
    ])[] = [
      [prepare(guest, 19n, 1n), STATUSES.H_PARAMETER, 'RESIZE_FLAGS', 1n],
      [prepare(guest, 17n), STATUSES.H_PARAMETER, 'RESIZE_SHIFT', 17n],
      [prepare(guest, 47n), STATUSES.H_PARAMETER, 'RESIZE_SHIFT', 47n],
      [prepare(guest, (1n << 32n) | 19n), STATUSES.H_PARAMETER, 'RESIZE_SHIFT', (1n << 32n) | 19n],
      [prepare(guest, 21n), STATUSES.H_RESOURCE, 'RESIZE_LIMIT', 21n, 20n],
      [prepare(guest, 46n), STATUSES.H_RESOURCE, 'RESIZE_LIMIT', 46n, 20n],
      [commit(guest, 19n, 1n), STATUSES.H_PARAMETER, 'RESIZE_FLAGS', 1n],
      [commit(guest, 17n), STATUSES.H_PARAMETER, 'RESIZE_SHIFT', 17n],
      [commit(guest, 47n), STATUSES.H_PARAMETER, 'RESIZE_SHIFT', 47n],
      [commit(guest, 19n), STATUSES.H_CLOSED, 'RESIZE_NOT_PREPARED', 19n, 0n],
      [commit(guest, 46n), STATUSES.H_CLOSED, 'RESIZE_NOT_PREPARED', 46n, 0n],
      [commit(guest, 0n), STATUSES.H_CLOSED, 'RESIZE_NOT_PREPARED', 0n, 0n],
    ];
    for (const [answer, ...expected] of cases)
      assert.deepEqual([answer.status, ...ruleOf(answer)], expected);
  });

  test('the greatest order goes by the memory of the guest', () => {
    const LIMITS: readonly (readonly [ramBytes: number, limit: bigint])[] = [
      [65536, 19n],
      [2 ** 25, 19n],
      [2 ** 26, 20n],
      [2 ** 26 + 65536, 21n],
      [2 ** 36, 30n],
      [2 ** 40, 30n],
    ];
    for (const [ramBytes, limit] of LIMITS) {
      const guest = openTestGuest({ ramBytes, memslots: [] });
      assert.deepEqual(ruleOf(prepare(guest, 46n)), ['RESIZE_LIMIT', 46n, limit]);
    }
  });

  test('later, ready, done', () => {
    const guest = used();
    const first = prepare(guest, 21n);
    assert.equal(first.status, STATUSES.H_LONG_BUSY_ORDER_100_MSEC);
    assert.deepEqual(ruleOf(first), ['RESIZE_PREPARING', 21n, 0n]);
    guest.engine.calls.backgroundSlice();
    assert.deepEqual(
      ruleOf(prepare(guest, 21n)),
      ['RESIZE_PREPARING', 21n, 12n],
      'two slices of 256 KiB out of 4 MiB',
    );
    assert.equal(
      guest.processor(1).engine.calls.backgroundSlice(),
      0,
      'another processor leaves it alone',
    );
    finishPreparing(guest);
    const ready = prepare(guest, 21n);
    assert.deepEqual([ready.status, ...ruleOf(ready)], [0, 'RESIZE_READY', 21n]);
    assert.deepEqual([prepare(guest, 21n).status, commit(guest, 21n).status], [0, 0]);
    assert.equal(guest.order(), 21);
    assert.equal(commit(guest, 21n).status, STATUSES.H_CLOSED);
  });

  test('COMMIT before it is ready is H_BUSY, and whatever it answers the preparation is gone', () => {
    const guest = used();
    prepare(guest, 21n);
    const busy = commit(guest, 21n);
    assert.deepEqual([busy.status, ruleOf(busy)[0]], [STATUSES.H_BUSY, 'RESIZE_PREPARING']);
    assert.equal(commit(guest, 21n).status, STATUSES.H_CLOSED);
    assert.equal(prepared(guest, 21n), 0);
    assert.deepEqual(ruleOf(commit(guest, 19n)), ['RESIZE_NOT_PREPARED', 19n, 21n]);
    assert.equal(commit(guest, 21n).status, STATUSES.H_CLOSED);
  });

  test('shift 0 cancels, another shift starts over', () => {
    const guest = openTestGuest();
    assert.deepEqual(ruleOf(prepare(guest, 0n)), ['RESIZE_CANCELLED', 0n]);
    prepared(guest, 19n);
    assert.deepEqual(ruleOf(prepare(guest, 0n)), ['RESIZE_CANCELLED', 19n]);
    assert.equal(commit(guest, 19n).status, STATUSES.H_CLOSED);
    prepared(guest, 19n);
    assert.equal(prepare(guest, 20n).status, STATUSES.H_LONG_BUSY_ORDER_100_MSEC);
    assert.equal(commit(guest, 19n).status, STATUSES.H_CLOSED);
  });

  test('no room: the second answer says so, and then it is forgotten', () => {
    const guest = openTestGuest({ order: 30, ramBytes: 2 ** 40, memslots: [] });
    for (let turn = 0; turn < 2; turn++) {
      assert.equal(prepare(guest, 30n).status, STATUSES.H_LONG_BUSY_ORDER_100_MSEC);
      const failed = prepare(guest, 30n);
      assert.deepEqual(
        [failed.status, ...ruleOf(failed)],
        [STATUSES.H_NO_MEM, 'RESIZE_NO_SPACE', 30n],
      );
    }
    prepare(guest, 30n);
    assert.equal(commit(guest, 30n).status, STATUSES.H_NO_MEM);
    assert.deepEqual(guest.call('HPT_RESIZE', [30n]).out, [BigInt.asUintN(64, -12n)]);
  });

  test('without a table there is nothing to resize', () => {
    const guest = openTestGuest({ order: 0 });
    for (const answer of [prepare(guest, 18n), commit(guest, 18n)]) {
      assert.deepEqual([answer.status, ...ruleOf(answer)], [STATUSES.H_NOT_AVAILABLE, 'NO_TABLE']);
    }
    assert.equal(guest.call('HPT_RESIZE', [18n]).status, STATUSES.H_NOT_AVAILABLE);
  });
});

const MOVED: readonly Page[] = [
  { vsid: 0x5123n, offset: 0x345_6000n, size: '4K' },
  { vsid: 0x1_5123n, offset: 0x12_b345_6000n, size: '4K', oneTerabyte: true },
  { vsid: 0x7_1234n, offset: 0x0923_0000n, size: '64K' },
  { vsid: 0x7_5555n, offset: 0x33_0300_0000n, size: '16M', oneTerabyte: true },
  { vsid: 0x6123n, offset: 0x345_5000n, size: '64K in 4K' },
  { vsid: 0x7_1235n, offset: 0x0927_0000n, size: '16M in 64K' },
  { vsid: 0x3_0099n, offset: 0x0312_3000n, size: '16M in 4K' },
  { vsid: 1n << 37n, offset: 0x345_6000n, size: '4K', oneTerabyte: true },
];

describe('the rehash', () => {
  for (const page of MOVED) {
    for (const secondary of [false, true]) {
      test(`${page.size}${page.oneTerabyte === true ? ', 1 TiB segment' : ''}, ${secondary ? 'secondary' : 'primary'}: found where it belongs, there and back`, () => {
        const guest = openTestGuest({ ramBytes: 2 ** 28 });
        const from = enterPage(guest, page, 0n, { software: BOLTED, slot: 5n, secondary });
        const into = dword0(page) | BOLTED | (secondary ? SECONDARY : 0n);
        for (const order of [21, 19, 18]) {
          assert.equal(prepared(guest, BigInt(order)), 0);
          const answer = commit(guest, BigInt(order));
          assert.deepEqual(ruleOf(answer), ['RESIZE_DONE', BigInt(order), 1n]);
          const ptex = groupPtex(page, order, secondary) + 5n;
          assert.equal(guest.call('ENTRY_INSPECT', [ptex]).out[0], (into & ~V) | ABSENT);
          const walk = [page.offset | 0x123n, slbv(page), 0n, 0n];
          assert.deepEqual(guest.call('WALK', walk).out.slice(0, 2), [5n, ptex]);
          assert.deepEqual(guest.call('HOST_PAGE_FAULT', [ptex, 0n]).out, [0n]);
          const below = (1n << BigInt(SIZES[page.size].actual)) - 1n;
          assert.deepEqual(guest.call('WALK', walk).out.slice(0, 3), [
            0n,
            ptex,
            (page.offset | 0x123n) & below,
          ]);
          checkTable(guest);
        }
        assert.equal(groupPtex(page, 18, secondary) + 5n, from);
      });
    }
  }

  test('what is not bolted is dropped, its R and C go to the host', () => {
    const guest = openTestGuest();
    enterAt(guest, 8n, V, 0x3_0000n | RW);
    guest.call('SET_RC', [8n, R | C, 0n]);
    assert.deepEqual(guest.call('HPT_RESIZE', [19n]).out, [0n]);
    assert.deepEqual(guest.call('TABLE_COUNT', [0n, 65536n]).out, [
      32768n,
      0n,
      0n,
      0n,
      0n,
      0n,
      0n,
      0n,
      4096n,
    ]);
    assert.equal(guest.call('HOST_AGE', [0x3_0000n]).out[0], 1n);
    assert.equal(guest.call('HOST_DIRTY', [0x3_0000n, 1n]).out[0], 1n);
    checkTable(guest);
  });

  test('R and C that only unmapping harvested: H_READ shows them, H_REMOVE does not, as KVM HV', () => {
    const guest = openTestGuest();
    const page = MOVED[0]!;
    const from = enterPage(guest, page, 0n, { software: BOLTED });
    guest.call('SET_RC', [from, R | C, 0n]);
    guest.call('HPT_RESIZE', [19n]);
    const ptex = groupPtex(page, 19);
    assert.equal(guest.call('H_READ', [0n, ptex]).out[1], RW | R | C);
    assert.equal(guest.call('H_REMOVE', [0n, ptex, 0n]).out[1], RW);
  });

  test('the new table has no MODIFIED bits and starts with no MMIO updates', () => {
    const guest = openTestGuest();
    guest.call('HTAB_OPEN', [0n, 0n]);
    const page = MOVED[0]!;
    enterPage(guest, page, 1n << 40n, { software: BOLTED });
    enterPage(guest, page, 1n << 40n, { slot: 1n });
    guest.call('H_REMOVE', [0n, groupPtex(page, 18) + 1n, 0n]);
    guest.call('HPT_RESIZE', [19n]);
    assert.equal(guest.call('ENTRY_INSPECT', [groupPtex(page, 19)]).out[2], (1n << 40n) | RW);
    assert.equal(guest.words(guest.exports.MMIO_UPDATE!, 1)[0], 0n);
  });

  test('two bolted entries that shrinking brings together: H_PTEG_FULL, the old table stays and works', () => {
    const guest = openTestGuest({ order: 19 });
    const one: Page = { vsid: 0x123n, offset: 0n, size: '4K' };
    const other: Page = { vsid: 0x923n, offset: 0n, size: '4K' };
    const [a, b] = [one, other].map((page) =>
      enterPage(guest, page, 0n, { software: BOLTED, order: 19 }),
    ) as [bigint, bigint];
    assert.notEqual(a, b);
    assert.equal(prepared(guest, 18n), 0);
    const full = commit(guest, 18n);
    assert.equal(full.status, STATUSES.H_PTEG_FULL);
    assert.deepEqual(ruleOf(full), ['RESIZE_COLLISION', b, groupPtex(other, 18)]);
    assert.equal(guest.order(), 19);
    assert.equal(commit(guest, 18n).status, STATUSES.H_CLOSED);
    for (const ptex of [a, b]) {
      assert.equal(guest.call('H_READ', [0n, ptex]).out[0]! & V, V);
      assert.deepEqual(guest.call('HOST_PAGE_FAULT', [ptex, 0n]).out, [0n]);
    }
    checkTable(guest);
    assert.deepEqual(guest.call('HPT_RESIZE', [18n]).out, [BigInt.asUintN(64, -28n)]);
    guest.call('H_REMOVE', [0n, a, 0n]);
    assert.deepEqual(guest.call('HPT_RESIZE', [18n]).out, [0n]);
    assert.equal(guest.call('H_READ', [0n, groupPtex(other, 18)]).out[0], dword0(other) | BOLTED);
  });

  test('memory that held a table before comes back as zeroes', () => {
    const guest = openTestGuest();
    for (let turn = 0; turn < 3; turn++) {
      const entries = 2 ** (guest.order() - 4);
      for (let ptex = 0; ptex < entries; ptex += 97) enterAt(guest, BigInt(ptex), V, RW);
      const order = turn % 2 === 0 ? 20n : 18n;
      assert.equal(prepared(guest, order), 0);
      assert.equal(commit(guest, order).status, 0);
      assert.equal(guest.call('TABLE_COUNT', [0n, 65536n]).out[8], 1n << (order - 7n));
      checkTable(guest);
    }
  });
});

describe('HPT_RESET and HPT_FREE', () => {
  test('no chain leads into the old table, and what the host had noted of R and C is forgotten', () => {
    const guest = openTestGuest();
    for (const order of [19n, 18n, 18n]) {
      for (const ptex of [0n, 9n, 16000n]) enterAt(guest, ptex, V, 0x3_0000n | RW);
      guest.call('SET_RC', [0n, R, 0n]);
      guest.call('H_REMOVE', [0n, 0n, 0n]);
      guest.call('HPT_RESET', [order]);
      assert.equal(checkTable(guest).size, 0);
      assert.equal(guest.call('HOST_AGE', [0x3_0000n]).out[0], 0n);
      guest.call('HOST_UNMAP', [0x3_0000n]);
      assert.equal(guest.call('TABLE_COUNT', [0n, 65536n]).out[8], 1n << (order - 7n));
      guest.call('HOST_SET_PTE', [0x3_0000n, 3n]);
      enterAt(guest, 5n, V, 0x3_0000n | RW);
      assert.deepEqual([...checkTable(guest)], [[3n, [5]]]);
    }
  });

  test('a radix guest has none, and gets one again', () => {
    const guest = openTestGuest();
    enterAt(guest, 9n, V, RW);
    prepared(guest, 19n);
    guest.call('HPT_FREE', []);
    assert.equal(guest.order(), 0);
    for (const [name, args] of [
      ['WALK', [0n, 0n, 0n, 0n]],
      ['TABLE_HASH', [0n, 1n, 0n, 0n]],
      ['SET_RC', [0n, R, 1n]],
    ] as const) {
      assert.equal(guest.call(name, args).status, STATUSES.H_NOT_AVAILABLE, name);
    }
    guest.call('HOST_UNMAP', [0n]);
    guest.call('HPT_RESET', [18n]);
    assert.equal(commit(guest, 19n).status, STATUSES.H_CLOSED);
    assert.deepEqual(guest.call('H_READ', [0n, 9n]).out, [0n, 0n]);
  });
});
