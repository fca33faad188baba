/**
 * H_ENTER: the order of its checks, what becomes of the guest's words, and that a call that fails leaves everything as
 * it was: results, table, guest memory.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { MIB, openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import {
  ABSENT,
  ALL_ONES,
  BOLTED,
  C,
  EXACT,
  HVLOCK,
  LARGE,
  MODIFIED,
  ONE_TERABYTE,
  R,
  RW,
  V,
  ZERO,
  enterAt,
} from './pages.ts';

const KEY = 0x3000_0000_0000_0e00n;
const HOST = 1n << 44n;
const M = BigInt(MIB);

const enter = (guest: TestGuest, args: readonly bigint[]) => guest.explain('H_ENTER', args);
const inspect = (guest: TestGuest, ptex: bigint) => guest.call('ENTRY_INSPECT', [ptex]).out;

describe('what is refused, and why', () => {
  const guest = openTestGuest({
    backingPageBytes: 65536,
    memslots: [
      { base: 0n, bytes: 64 * MIB, kind: 'ram' },
      { base: 64n * M, bytes: 0x1_0000, kind: 'ci' },
      { base: 128n * M + 0x1_0000n, bytes: 16 * MIB, kind: 'ram' },
    ],
  });
  const REFUSED: readonly (readonly [
    args: bigint[],
    status: number,
    rule: string,
    ...details: bigint[],
  ])[] = [
    [[0n, ALL_ONES, ALL_ONES, ALL_ONES], STATUSES.H_PARAMETER, 'B_RESERVED', 3n],
    [
      [0n, ALL_ONES, ONE_TERABYTE | LARGE, 0xff000n],
      STATUSES.H_PARAMETER,
      'PAGE_SIZE_UNKNOWN',
      1n,
      0xffn,
    ],
    [[0n, ALL_ONES, LARGE, 144n * M], STATUSES.H_PARAMETER, 'SLOT_MISALIGNED', 2n, 24n],
    [[0n, ALL_ONES, LARGE, RW], STATUSES.H_PARAMETER, 'BACKING_TOO_SMALL', 16n, 24n],
    [[0n, ALL_ONES, V, (64n * M) | RW], STATUSES.H_PARAMETER, 'WIMG_CACHE_INHIBITED', 2n, 64n * M],
    [[0n, ALL_ONES, V, RW], STATUSES.H_PARAMETER, 'PTEX_RANGE', ALL_ONES, 16384n],
    [[0n, 16384n, V, RW], STATUSES.H_PARAMETER, 'PTEX_RANGE', 16384n, 16384n],
  ];
  for (const [args, status, ...why] of REFUSED) {
    test(why[0], () => {
      const answer = enter(guest, args);
      assert.deepEqual([answer.status, answer.out], [status, []]);
      assert.deepEqual(ruleOf(answer), why);
      assert.deepEqual(guest.call('TABLE_COUNT', [0n, 65536n]).out[8], 2048n, 'the table is empty');
    });
  }

  test('a group that is full, with H_EXACT a slot that is taken: both in the guest form', () => {
    for (const isa300 of [false, true]) {
      const own = openTestGuest({ isa300 });
      for (let slot = 0n; slot < 8n; slot++)
        enterAt(own, 16n + slot, ONE_TERABYTE | (slot << 12n) | BOLTED | V, RW);
      const held = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n].map(
        (slot) => ONE_TERABYTE | (slot << 12n) | BOLTED | V,
      );
      const full = enter(own, [0n, 21n, V, RW]);
      assert.deepEqual([full.status, full.out], [STATUSES.H_PTEG_FULL, []]);
      assert.deepEqual(ruleOf(full), ['GROUP_FULL', 2n, ...held]);
      const occupied = enter(own, [EXACT, 21n, V, RW]);
      assert.deepEqual([occupied.status, occupied.out], [STATUSES.H_PTEG_FULL, []]);
      assert.deepEqual(ruleOf(occupied), ['SLOT_OCCUPIED', 21n, held[5]!]);
    }
  });
});

describe('what becomes of the words', () => {
  test('VALID is forced, software bits and bit 62 of dword 1 are dropped', () => {
    const guest = openTestGuest();
    const answer = enter(guest, [0n, 3n, 0x123000n | HVLOCK | ABSENT | BOLTED, MODIFIED | RW]);
    assert.deepEqual(ruleOf(answer), ['ENTERED', 0n, 1n]);
    assert.deepEqual(guest.call('H_READ', [0n, 0n]).out, [0x123000n | BOLTED | V, RW]);
  });

  test("R and C stay in the guest's view; the real entry starts with those that the host has too", () => {
    const guest = openTestGuest();
    enterAt(guest, 0n, V, RW | R | C);
    assert.deepEqual(inspect(guest, 0n).slice(0, 3), [V, HOST | RW, RW | R | C]);
    guest.call('SET_RC', [0n, C, 0n]);
    guest.call('H_REMOVE', [0n, 0n, 0n]);
    enterAt(guest, 0n, V, RW | R | C);
    assert.equal(inspect(guest, 0n)[1], HOST | RW | C, 'the host has seen C of this frame');
  });

  test('outside every slot: MMIO, ABSENT with the real key 31, whatever WIMG says', () => {
    const guest = openTestGuest();
    const answer = enter(guest, [EXACT, 9n, 0x1000n | V, (1n << 40n) | 0x2an]);
    assert.deepEqual(ruleOf(answer), ['ENTERED_MMIO', 9n, 1n << 40n]);
    assert.deepEqual(inspect(guest, 9n).slice(0, 3), [
      0x1000n | ABSENT,
      (1n << 40n) | 0x2an | KEY,
      (1n << 40n) | 0x2an,
    ]);
    assert.deepEqual(guest.call('H_READ', [0n, 9n]).out, [0x1000n | V, (1n << 40n) | 0x2an]);
  });

  test('the host page is away: ABSENT, with real key 0', () => {
    const guest = openTestGuest();
    guest.call('HOST_UNMAP', [0x5_0000n]);
    const answer = enter(guest, [EXACT, 9n, V, 0x5_0000n | KEY | RW]);
    assert.deepEqual(ruleOf(answer), ['ENTERED_ABSENT', 9n, 0x5_0000n]);
    assert.deepEqual(inspect(guest, 9n).slice(0, 3), [ABSENT, RW, 0x5_0000n | KEY | RW]);
    checkTable(guest);
  });

  test('the host page is read-only: the real entry is, the guest sees what it asked for', () => {
    const guest = openTestGuest();
    guest.call('HOST_SET_PTE', [0n, 1n]);
    enterAt(guest, 0n, V, 0x10n);
    enterAt(guest, 1n, V, 0x11n);
    enterAt(guest, 2n, V, (1n << 63n) | 0x11n);
    assert.deepEqual(
      [0n, 1n, 2n].map((ptex) => inspect(guest, ptex)[1]! & ((1n << 63n) | 3n)),
      [(1n << 63n) | 2n, 3n, (1n << 63n) | 2n],
    );
    assert.deepEqual(guest.call('H_READ', [0n, 1n]).out, [V, 0x11n]);
  });

  test('WIMG of memory is made 0010, but strong access order stays', () => {
    const guest = openTestGuest();
    enterAt(guest, 0n, V, 0x28n | 2n);
    enterAt(guest, 1n, V, 0x70n | 2n);
    assert.deepEqual(
      [0n, 1n].map((ptex) => inspect(guest, ptex)[1]! & 0x78n),
      [0x10n, 0x70n],
    );
    assert.equal(guest.call('H_READ', [0n, 0n]).out[1], 0x28n | 2n);
  });

  test('a cache-inhibited page takes I without W', () => {
    const guest = openTestGuest({ memslots: [{ base: 0n, bytes: MIB, kind: 'ci' }] });
    for (const wimg of [0x20n, 0x28n, 0x30n, 0x38n])
      assert.equal(enter(guest, [0n, 0n, V, wimg]).status, 0);
    for (const wimg of [0n, 0x10n, 0x60n, 0x70n])
      assert.equal(enter(guest, [0n, 0n, V, wimg]).status, STATUSES.H_PARAMETER);
  });

  test('the ISA 3.0 format has no room for AVPN above bit 51, and RPN bits 58 and 59 stay with the guest', () => {
    const guest = openTestGuest({ isa300: true });
    const high = 1n << 58n;
    enterAt(guest, 0n, ONE_TERABYTE | (1n << 53n) | 0x1000n | V, high | RW);
    assert.deepEqual(guest.call('H_READ', [0n, 0n]).out, [ONE_TERABYTE | 0x1000n | V, high | RW]);
    const asked = guest.explain('H_REMOVE', [1n << 31n, 0n, ONE_TERABYTE | (1n << 53n) | 0x1000n]);
    assert.equal(asked.status, STATUSES.H_NOT_FOUND);
    assert.deepEqual(ruleOf(asked), [
      'AVPN_MISMATCH',
      ONE_TERABYTE | 0x1000n,
      ONE_TERABYTE | (1n << 53n) | 0x1000n,
    ]);
    assert.equal(guest.call('H_REMOVE', [1n << 31n, 0n, ONE_TERABYTE | 0x1000n]).status, 0);
    assert.equal(
      guest.call('H_READ', [0n, 0n]).out[0],
      ONE_TERABYTE,
      'B is kept in the stale dword 1',
    );
  });
});

describe('H_ZERO_PAGE where memory is kept', () => {
  const words = (guest: TestGuest, gpa: bigint) => guest.call('MEMORY_READ', [gpa, 2n]).out;
  const backed = () => {
    const guest = openTestGuest({ memory: 'backed' });
    for (const gpa of [0x2_0000n, 0x2_1000n, 0x2_fff0n, 0x3_0000n])
      guest.call('MEMORY_WRITE', [gpa, 7n, 8n]);
    return guest;
  };

  test('the page is zeroed and dirty, and no byte beyond it', () => {
    const guest = backed();
    assert.equal(enter(guest, [ZERO, 0n, V, 0x2_0000n | RW]).status, 0);
    assert.deepEqual(words(guest, 0x2_0000n), [0n, 0n]);
    assert.deepEqual(words(guest, 0x2_1000n), [7n, 8n]);
    assert.equal(enter(guest, [ZERO, 0n, LARGE | V, 0x2_1000n | RW]).status, 0);
    assert.deepEqual(
      [words(guest, 0x2_1000n), words(guest, 0x2_fff0n)],
      [
        [0n, 0n],
        [0n, 0n],
      ],
    );
    assert.deepEqual(words(guest, 0x3_0000n), [7n, 8n]);
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 8n]).out, [1n, 4n]);
  });

  test('a call that fails leaves the page alone', () => {
    const guest = backed();
    for (let slot = 0n; slot < 8n; slot++) enterAt(guest, slot, V, RW);
    assert.equal(enter(guest, [ZERO, 0n, V, 0x2_0000n | RW]).status, STATUSES.H_PTEG_FULL);
    assert.equal(enter(guest, [ZERO | EXACT, 1n, V, 0x2_0000n | RW]).status, STATUSES.H_PTEG_FULL);
    assert.equal(enter(guest, [ZERO, ALL_ONES, V, 0x2_0000n | RW]).status, STATUSES.H_PARAMETER);
    assert.deepEqual(words(guest, 0x2_0000n), [7n, 8n]);
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 8n]).out, [0n, 0n]);
  });

  test('more than 64K is too big; where no memory is kept the flag means nothing', () => {
    const guest = backed();
    const answer = enter(guest, [ZERO, ALL_ONES, LARGE | V, RW]);
    assert.deepEqual([answer.status, ...ruleOf(answer)], [STATUSES.H_TOO_BIG, 'ZERO_TOO_BIG', 24n]);
    assert.equal(enter(openTestGuest(), [ZERO, 0n, LARGE | V, RW]).status, 0);
  });
});
