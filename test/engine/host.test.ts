/** What the host does to entries and pages: taking away, bringing back, and what it refuses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { MIB, openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import { ABSENT, C, LARGE, R, RW, V, enterAt } from './pages.ts';

const M = BigInt(MIB);
const HOST = 1n << 44n;
const inspect = (guest: TestGuest, ptex: bigint) => guest.call('ENTRY_INSPECT', [ptex]).out;
const fault = (guest: TestGuest, ptex: bigint) => guest.call('HOST_PAGE_FAULT', [ptex, 0n]).out[0];

test('HOST_UNMAP empties the chains of all frames of the backing page, in its slot only', () => {
  const guest = openTestGuest({
    memslots: [
      { base: 0n, bytes: 24 * MIB, kind: 'ram' },
      { base: 24n * M, bytes: 24 * MIB, kind: 'ram' },
    ],
  });
  for (const [ptex, gpa] of [
    [0n, 16n * M],
    [1n, 16n * M],
    [2n, 17n * M],
    [3n, 24n * M],
    [4n, 15n * M],
  ] as const) {
    enterAt(guest, ptex, V, gpa | RW);
  }
  const sequence = () => guest.words(guest.exports.INVALIDATE_SEQ!, 1)[0];
  guest.call('HOST_UNMAP', [16n * M]);
  assert.deepEqual(
    [0n, 1n, 2n, 3n, 4n].map((ptex) => guest.entry(ptex)[0]),
    [ABSENT, ABSENT, ABSENT, V, V],
  );
  assert.equal(sequence(), 1n);
  assert.equal(guest.word32(guest.exports.INVALIDATE_IN_PROGRESS!), 0);
  checkTable(guest);
});

test('entries of one frame are a ring in the order of their coming', () => {
  const guest = openTestGuest();
  for (const ptex of [3n, 1n, 2n, 9n]) enterAt(guest, ptex, V, 0x5_0000n | RW);
  assert.deepEqual(checkTable(guest).get(5n), [3, 1, 2, 9]);
  for (const [gone, left] of [
    [1n, [3, 2, 9]],
    [3n, [2, 9]],
    [9n, [2]],
  ] as const) {
    guest.call('H_REMOVE', [0n, gone, 0n]);
    assert.deepEqual(checkTable(guest).get(5n), left);
  }
  guest.call('H_REMOVE', [0n, 2n, 0n]);
  assert.equal(checkTable(guest).get(5n), undefined);
});

describe('HOST_PAGE_FAULT', () => {
  test('0: VALID again, built from what the guest asked for', () => {
    const guest = openTestGuest();
    enterAt(guest, 8n, V, 0x5_0000n | 0x28n | (3n << 60n) | 0xe00n | 2n);
    guest.call('HOST_UNMAP', [0x5_0000n]);
    assert.equal(fault(guest, 8n), 3n, 'still away');
    assert.equal(inspect(guest, 8n)[1]! & ((3n << 60n) | 0xe00n), 0n);
    guest.call('HOST_SET_PTE', [0x5_0000n, 1n]);
    assert.equal(fault(guest, 8n), 0n);
    assert.deepEqual(inspect(guest, 8n).slice(0, 2), [
      V,
      HOST | 0x5_0000n | 0x10n | (3n << 60n) | 0xe00n | 3n,
    ]);
    assert.deepEqual([...checkTable(guest)], [[5n, [8]]]);
  });

  test('0: an entry that is VALID is built anew, keeping R and C; it stays where it is in its chain', () => {
    const guest = openTestGuest();
    enterAt(guest, 8n, V, RW);
    enterAt(guest, 9n, V, RW);
    guest.call('SET_RC', [8n, R | C, 0n]);
    assert.equal(fault(guest, 8n), 0n);
    assert.equal(inspect(guest, 8n)[1], HOST | RW | R | C);
    assert.deepEqual(checkTable(guest).get(0n), [8, 9]);
  });

  test('1: empty, 2: MMIO', () => {
    const guest = openTestGuest();
    enterAt(guest, 8n, V, 1n << 40n);
    assert.deepEqual([fault(guest, 7n), fault(guest, 8n)], [1n, 2n]);
  });

  test('5: the page came back cache-inhibited, and WIMG does not allow it', () => {
    const guest = openTestGuest();
    enterAt(guest, 8n, V, RW);
    guest.call('HOST_UNMAP', [0n]);
    guest.call('HOST_SET_PTE', [0n, 7n]);
    assert.equal(fault(guest, 8n), 5n);
    assert.equal(guest.entry(8)[0], ABSENT);
  });
});

describe('SET_RC', () => {
  test("into the real entry; into the guest's view of an ABSENT one if asked", () => {
    const guest = openTestGuest();
    const set = (ptex: bigint, bits: bigint, absentToo: bigint) =>
      guest.call('SET_RC', [ptex, bits, absentToo]).out[0];
    assert.equal(set(8n, R, 1n), 1n);
    enterAt(guest, 8n, V, RW);
    assert.equal(set(8n, ~0n & 0xffffffffffffffffn, 0n), 0n);
    assert.equal(inspect(guest, 8n)[1], HOST | RW | R | C);
    guest.call('HOST_UNMAP', [0n]);
    guest.call('H_CLEAR_REF', [0n, 8n]);
    guest.call('H_CLEAR_MOD', [0n, 8n]);
    assert.deepEqual([set(8n, C, 0n), inspect(guest, 8n)[2]], [1n, RW]);
    assert.deepEqual([set(8n, C, 1n), inspect(guest, 8n)[2]], [0n, RW | C]);
  });
});

test('HOST_DIRTY gives whole words of bits, within the slot', () => {
  const guest = openTestGuest({ memslots: [{ base: M, bytes: 0x42_0000, kind: 'ram' }] });
  for (const gpa of [M, M + 0x3f_0000n, M + 0x40_0000n, M + 0x41_0000n])
    guest.call('H_PAGE_INIT', [0x8000n, gpa, 0n]);
  assert.deepEqual(guest.call('HOST_DIRTY', [M, 200n]).out, [4n, (1n << 63n) | 1n, 3n, 0n, 0n]);
  assert.deepEqual(guest.call('HOST_DIRTY', [M, 200n]).out, [0n, 0n, 0n, 0n, 0n]);
  enterAt(guest, 0n, LARGE | V, M + 0x1_0000n + 0x1000n + RW);
  guest.call('SET_RC', [0n, C, 0n]);
  assert.deepEqual(guest.call('HOST_DIRTY', [M, 1n]).out, [0n, 0n]);
  assert.deepEqual(guest.call('HOST_DIRTY', [M + 0x1_0000n, 1n]).out, [1n, 1n]);
});

describe('what the host may not ask', () => {
  const guest = openTestGuest();
  const cases: readonly (readonly [name: string, args: bigint[], ...why: unknown[]])[] = [
    ['HOST_UNMAP', [64n * M], 'NO_MEMORY', 64n * M],
    ['HOST_SET_PTE', [64n * M, 3n], 'NO_MEMORY', 64n * M],
    ['HOST_SET_PTE', [0n, 8n], 'CONTROL_ARGUMENT', 1n, 8n],
    ['HOST_AGE', [1n << 63n], 'NO_MEMORY', 1n << 63n],
    ['HOST_DIRTY', [0n, 4097n], 'CONTROL_ARGUMENT', 1n, 4097n],
    ['HOST_DIRTY', [64n * M, 1n], 'NO_MEMORY', 64n * M],
    ['HOST_PAGE_FAULT', [16384n, 0n], 'CONTROL_ARGUMENT', 0n, 16384n],
    ['SET_RC', [16384n, R, 0n], 'CONTROL_ARGUMENT', 0n, 16384n],
    ['ENTRY_INSPECT', [16384n], 'CONTROL_ARGUMENT', 0n, 16384n],
    ['TABLE_HASH', [16384n, 1n, 0n, 0n], 'CONTROL_ARGUMENT', 0n, 16384n],
    ['TABLE_COUNT', [16384n, 1n], 'CONTROL_ARGUMENT', 0n, 16384n],
    ['HPT_RESET', [17n], 'CONTROL_ARGUMENT', 0n, 17n],
  ];
  for (const [name, args, ...why] of cases) {
    test(`${name} ${why.join(' ')}`, () => {
      const answer = guest.explain(name, args);
      assert.deepEqual(
        [answer.status, answer.out, ...ruleOf(answer)],
        [STATUSES.H_PARAMETER, [], ...why],
      );
    });
  }

  test('a table that does not fit its memory', () => {
    const memslots = [
      { base: 0n, bytes: 2 ** 30, kind: 'ram' as const },
      { base: 1n << 41n, bytes: 2 ** 42 + 2 ** 41, kind: 'ci' as const },
    ];
    const full = openTestGuest({ memory: 'backed', memslots });
    assert.equal(full.call('HPT_RESET', [30n]).status, STATUSES.H_NO_MEM);
    assert.equal(full.order(), 18);
  });

  test('an outcome that was reached says so', () => {
    const answer = guest.explain('HOST_AGE', [0n]);
    assert.deepEqual([answer.status, answer.out, ...ruleOf(answer)], [0, [0n], 'CONTROL_DONE']);
  });
});

test('TABLE_COUNT counts whole groups', () => {
  const guest = openTestGuest();
  for (let slot = 0n; slot < 8n; slot++)
    enterAt(
      guest,
      8n + slot,
      V | (slot < 3n ? 0x10n : 0n) | (slot < 2n ? 2n : 0n),
      RW | (slot === 7n ? R : 0n),
    );
  enterAt(guest, 24n, V, (1n << 40n) | C);
  guest.call('SET_RC', [8n, C, 0n]);
  assert.deepEqual(guest.call('TABLE_COUNT', [0n, 32n]).out, [32n, 8n, 1n, 3n, 2n, 1n, 2n, 1n, 2n]);
  assert.deepEqual(guest.call('TABLE_COUNT', [15n, 2n]).out.slice(0, 2), [24n, 8n]);
  assert.deepEqual(guest.call('TABLE_COUNT', [16n, 1n]).out, [24n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 1n]);
});

test('TABLE_HASH goes on where a piece ended', () => {
  const guest = openTestGuest();
  for (const ptex of [0n, 5n, 9000n]) enterAt(guest, ptex, (ptex << 12n) | V, RW);
  const whole = guest.call('TABLE_HASH', [0n, 65536n, 0xcbf29ce484222325n, 0n]).out;
  let piece = [0xcbf29ce484222325n, 0n, 0n];
  while (piece[2]! < 16384n)
    piece = guest.call('TABLE_HASH', [piece[2]!, 4097n, piece[0]!, piece[1]!]).out;
  assert.deepEqual(piece, whole);
  assert.equal(whole[1], 3n);
});
