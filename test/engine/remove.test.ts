/**
 * H_REMOVE, H_BULK_REMOVE and H_BLOCK_REMOVE: what counts as the entry that is meant, what comes back, and every
 * response code.
 */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import {
  ALL_ONES,
  ANDCOND,
  AVPN,
  BOLTED,
  C,
  HVLOCK,
  LARGE,
  ONE_TERABYTE,
  R,
  RW,
  SECONDARY,
  V,
  enterAt,
  enterPage,
} from './pages.ts';
import type { Page } from './pages.ts';

let guest: TestGuest;
beforeEach(() => {
  guest = openTestGuest();
});

const remove = (...args: bigint[]) => guest.explain('H_REMOVE', args);
const MMIO = 1n << 40n;

describe('H_REMOVE', () => {
  const V0 = 0x123000n | BOLTED | V;

  test('gives back both words, R and C that the hardware set with them', () => {
    enterAt(guest, 8n, V0, 0x3_0000n | RW);
    guest.entry(8)[1]! |= R | C;
    const answer = remove(0n, 8n, 0n);
    assert.deepEqual([answer.status, answer.out], [0, [V0, 0x3_0000n | RW | R | C]]);
    assert.deepEqual(ruleOf(answer), ['REMOVED', 8n, guest.counter('LAST_TLBIE_RB')]);
    assert.equal(guest.entry(8)[0], 0n);
    assert.deepEqual(guest.call('HOST_DIRTY', [0x3_0000n, 1n]).out, [1n, 1n]);
    assert.deepEqual(guest.call('HOST_AGE', [0x3_0000n]).out, [1n]);
  });

  test('an entry that is ABSENT comes back VALID, without an invalidation', () => {
    enterAt(guest, 8n, V0, 0x3_0000n | RW);
    guest.call('HOST_UNMAP', [0x3_0000n]);
    const before = guest.counter('COUNT_TLBIE');
    const answer = remove(0n, 8n, 0n);
    assert.deepEqual(answer.out, [V0, 0x3_0000n | RW]);
    assert.deepEqual(ruleOf(answer), ['REMOVED', 8n, 0n]);
    assert.equal(guest.counter('COUNT_TLBIE'), before);
  });

  test('an MMIO entry that goes makes cached MMIO knowledge out of date', () => {
    const mmio = () => guest.words(guest.exports.MMIO_UPDATE!, 1)[0];
    enterAt(guest, 8n, V0, MMIO | RW);
    remove(0n, 8n, 0n);
    assert.equal(mmio(), 1n);
    enterAt(guest, 8n, V0, RW);
    guest.call('HOST_UNMAP', [0n]);
    remove(0n, 8n, 0n);
    assert.equal(mmio(), 1n, 'a page that is away is no MMIO');
  });

  test('H_AVPN compares B and AVPN, all 64 bits', () => {
    enterAt(guest, 8n, ONE_TERABYTE | V0, RW);
    const right = ONE_TERABYTE | 0x123000n;
    for (const wrong of [
      0x123000n,
      right | 1n,
      right | HVLOCK,
      right | BOLTED,
      right + 0x80n,
      right | (1n << 61n),
    ]) {
      const answer = remove(AVPN, 8n, wrong);
      assert.deepEqual([answer.status, answer.out], [STATUSES.H_NOT_FOUND, []]);
      assert.deepEqual(ruleOf(answer), ['AVPN_MISMATCH', right, wrong]);
    }
    assert.equal(remove(AVPN, 8n, right).status, 0);
  });

  test('H_ANDCOND wants every bit of the mask clear; HVLOCK is set while it looks, VALID of ABSENT is not', () => {
    enterAt(guest, 8n, V0, RW);
    for (const mask of [BOLTED, V, HVLOCK, 0x1000n, ALL_ONES]) {
      const answer = remove(ANDCOND, 8n, mask);
      assert.equal(answer.status, STATUSES.H_NOT_FOUND);
      assert.deepEqual(ruleOf(answer), ['ANDCOND_HIT', V0 | HVLOCK, mask]);
    }
    assert.equal(
      remove(ANDCOND | AVPN, 8n, 0x123000n).status,
      STATUSES.H_NOT_FOUND,
      'both must hold',
    );
    guest.call('HOST_UNMAP', [0n]);
    assert.equal(remove(ANDCOND, 8n, V | SECONDARY).status, 0);
  });

  test('both conditions may hold at once', () => {
    enterAt(guest, 8n, V, RW);
    assert.equal(remove(ANDCOND | AVPN, 8n, 0n).status, 0);
  });

  test('an empty slot, and none at all', () => {
    const empty = remove(0n, 8n, 0n);
    assert.deepEqual([empty.status, ...ruleOf(empty)], [STATUSES.H_NOT_FOUND, 'EMPTY', 8n]);
    const beyond = remove(0n, 16384n, 0n);
    assert.deepEqual(
      [beyond.status, ...ruleOf(beyond)],
      [STATUSES.H_PARAMETER, 'PTEX_RANGE', 16384n, 16384n],
    );
    guest.call('HPT_FREE', []);
    const radix = remove(0n, 8n, 0n);
    assert.deepEqual([radix.status, ...ruleOf(radix)], [STATUSES.H_FUNCTION, 'NO_TABLE']);
  });
});

describe('H_BULK_REMOVE', () => {
  const REQUEST = 1n << 62n;
  const END = 3n << 62n;
  const BY_ANDCOND = 1n << 56n;
  const BY_AVPN = 2n << 56n;
  const ILLEGAL = 3n << 56n;
  const bulk = (...words: bigint[]) => guest.explain('H_BULK_REMOVE', words);
  const top = (words: readonly bigint[]) =>
    words.filter((_, i) => i % 2 === 0).map((word) => word >> 56n);

  test('each pair is answered, R and C at bits 59 and 58, tsl as it was', () => {
    for (const ptex of [8n, 9n, 10n]) enterAt(guest, ptex, (ptex << 12n) | V, RW);
    guest.entry(8)[1]! |= R;
    guest.entry(9)[1]! |= C;
    const answer = bulk(
      REQUEST | 8n,
      77n,
      REQUEST | BY_AVPN | 9n,
      9n << 12n,
      REQUEST | BY_ANDCOND | 10n,
      V,
      REQUEST | 11n,
      78n,
    );
    assert.equal(answer.status, 0);
    assert.deepEqual(top(answer.out), [0x88n, 0x86n, 0x91n, 0x90n]);
    assert.deepEqual(
      answer.out.map((word, i) => (i % 2 === 0 ? word & 0xffffn : word)),
      [8n, 77n, 9n, 9n << 12n, 10n, V, 11n, 78n],
    );
    assert.deepEqual(ruleOf(answer), ['BULK_DONE', 2n, 2n]);
    assert.equal(guest.counter('COUNT_TLBIE'), 2n);
    assert.equal(guest.counter('COUNT_TLBSYNC'), 1n, 'one synchronisation for the batch');
  });

  test('the same entry twice, or four times: removed once, then not found', () => {
    enterAt(guest, 8n, V, RW);
    assert.deepEqual(
      top(bulk(REQUEST | 8n, 0n, REQUEST | 8n, 0n, REQUEST | 8n, 0n, REQUEST | 8n, 0n).out),
      [0x80n, 0x90n, 0x90n, 0x90n],
    );
    enterAt(guest, 8n, V, RW);
    enterAt(guest, 9n, V, RW);
    assert.deepEqual(
      top(bulk(REQUEST | 9n, 0n, REQUEST | 8n, 0n, REQUEST | 9n, 0n, REQUEST | 8n, 0n).out),
      [0x80n, 0x80n, 0x90n, 0x90n],
    );
    checkTable(guest);
  });

  test('the end marker stops it: it and what follows is as given', () => {
    enterAt(guest, 9n, V, RW);
    const words = [REQUEST | 8n, 1n, END | 9n, 2n, REQUEST | 9n, 3n];
    const answer = bulk(...words);
    assert.deepEqual(answer.out, [(0x90n << 56n) | 8n, ...words.slice(1)]);
    assert.equal(answer.status, 0);
    assert.equal(guest.entry(9)[0], V);
    assert.deepEqual(bulk(END).out, [END]);
  });

  const BAD: readonly (readonly [what: string, tsh: bigint, rule: string, detail: bigint])[] = [
    ['type 0', 8n, 'BULK_TYPE', 0n],
    ['type 2', (2n << 62n) | BY_AVPN | 8n, 'BULK_TYPE', 2n],
    ['selector 3', REQUEST | ILLEGAL | 8n, 'BULK_SELECTOR', 3n],
    ['a ptex beyond the table', REQUEST | BY_ANDCOND | 16384n, 'BULK_PTEX', 16384n],
  ];
  for (const [what, tsh, rule, detail] of BAD) {
    test(`${what}: H_PARAMETER, the pair says so, what came before stays done`, () => {
      enterAt(guest, 9n, V, RW);
      const answer = bulk(REQUEST | 9n, 5n, tsh, 6n, REQUEST | 9n, 7n);
      assert.equal(answer.status, STATUSES.H_PARAMETER);
      const selector = (tsh >> 56n) & 3n;
      const refused = ((0xa0n | selector) << 56n) | (tsh & 0xffffffn);
      assert.deepEqual(answer.out, [(0x80n << 56n) | 9n, 5n, refused, 6n, REQUEST | 9n, 7n]);
      assert.deepEqual(ruleOf(answer), [rule, 1n, detail]);
      assert.equal(guest.entry(9)[0], 0n, 'the batch was finished');
      checkTable(guest);
    });
  }

  test('control bits of a request are overwritten; a lone tsh stands for a tsl of 0', () => {
    enterAt(guest, 9n, V, RW);
    assert.deepEqual(bulk(REQUEST | (15n << 58n) | BY_AVPN | 9n).out, [(0x82n << 56n) | 9n]);
  });

  test('H_ANDCOND sees all of dword 0, the low seven bits too', () => {
    enterAt(guest, 9n, BOLTED | V, RW);
    assert.deepEqual(
      top(
        bulk(
          REQUEST | BY_ANDCOND | 9n,
          BOLTED,
          REQUEST | BY_ANDCOND | 9n,
          HVLOCK,
          REQUEST | BY_ANDCOND | 9n,
          0n,
        ).out,
      ),
      [0x91n, 0x91n, 0x81n],
    );
  });

  test('an ABSENT entry is removed without an invalidation', () => {
    enterAt(guest, 9n, V, MMIO);
    assert.deepEqual(top(bulk(REQUEST | 9n, 0n).out), [0x80n]);
    assert.equal(guest.counter('COUNT_TLBIE'), 0n);
    assert.equal(guest.words(guest.exports.MMIO_UPDATE!, 1)[0], 1n);
  });

  test('without a table the words come back as they were', () => {
    guest.call('HPT_FREE', []);
    const answer = bulk(REQUEST | 9n, 5n);
    assert.deepEqual(
      [answer.status, answer.out, ...ruleOf(answer)],
      [STATUSES.H_FUNCTION, [REQUEST | 9n, 5n], 'NO_TABLE'],
    );
  });
});

describe('H_BLOCK_REMOVE', () => {
  const REQUEST = 1n << 62n;
  const CHECKED = 1n << 56n;
  const SMALL: Page = { vsid: 0x123n, offset: 0x45_6000n, size: '4K' };
  const AVA = 0x123000n;
  const block = (...words: bigint[]) => guest.explain('H_BLOCK_REMOVE', words);
  const code = (words: readonly bigint[]) => words.map((word) => [word >> 62n, (word >> 59n) & 7n]);
  const at = (offset: bigint, changes: Partial<Page> = {}) => ({ ...SMALL, offset, ...changes });

  test('0: removed, R and C at bits 58 and 57, one synchronisation for all', () => {
    const ptexes = [0x45_0000n, 0x45_3000n, 0x45_7000n].map((offset) =>
      enterPage(guest, at(offset), 0n),
    );
    guest.entry(ptexes[1]!)[1]! |= R;
    guest.entry(ptexes[2]!)[1]! |= C;
    const answer = block(AVA, ...ptexes.map((ptex) => REQUEST | CHECKED | (3n << 60n) | ptex));
    assert.equal(answer.status, 0);
    assert.deepEqual(
      answer.out,
      [0x81n, 0x85n, 0x83n].map((top, i) => (top << 56n) | ptexes[i]!),
    );
    assert.deepEqual(ruleOf(answer), ['BLOCK_DONE', 3n, 0n]);
    assert.deepEqual([guest.counter('COUNT_TLBIE'), guest.counter('COUNT_TLBSYNC')], [3n, 1n]);
    checkTable(guest);
  });

  test('1: empty, another AVPN, or bolted', () => {
    const bolted = enterPage(guest, at(0x45_0000n), 0n, { software: BOLTED });
    const other = enterPage(guest, at(0x45_1000n, { vsid: 0x124n }), 0n);
    const answer = block(
      AVA,
      REQUEST | 3n,
      REQUEST | CHECKED | other,
      REQUEST | bolted,
      (3n << 62n) | 9n,
    );
    assert.equal(answer.status, STATUSES.H_PARTIAL);
    assert.deepEqual(answer.out, [
      (0x88n << 56n) | 3n,
      (0x89n << 56n) | other,
      (0x88n << 56n) | bolted,
      (3n << 62n) | 9n,
    ]);
    assert.deepEqual(ruleOf(answer), ['BLOCK_DONE', 0n, 3n]);
  });

  test('2: no such ptex', () => {
    assert.deepEqual(code(block(AVA, REQUEST | 16384n).out), [[2n, 2n]]);
  });

  test('3: another page size or segment size than the first', () => {
    const first = enterPage(guest, at(0x45_0000n), 0n);
    const mixed = enterPage(guest, at(0x45_0000n, { size: '64K in 4K' }), 0n, { slot: 1n });
    const large = enterPage(guest, at(0x45_0000n, { oneTerabyte: true }), 0n, { slot: 2n });
    assert.deepEqual(code(block(0n, ...[first, mixed, large].map((ptex) => REQUEST | ptex)).out), [
      [2n, 0n],
      [2n, 3n],
      [2n, 3n],
    ]);
  });

  test('4: locked, by another or by this very call', () => {
    const first = enterPage(guest, at(0x45_0000n), 0n);
    assert.deepEqual(code(block(AVA, REQUEST | first, REQUEST | first).out), [
      [2n, 0n],
      [2n, 4n],
    ]);
    assert.equal(guest.entry(first)[0], 0n);
  });

  const OUTSIDE: readonly (readonly [what: string, first: Page, second: Page])[] = [
    ['the next block of eight', at(0x45_7000n), at(0x45_8000n)],
    ['another AVPN with the same low bits', at(0x45_0000n), at(0xc5_0000n)],
    [
      'a VSID that differs in its top bit',
      at(0n, { oneTerabyte: true }),
      at(0n, { oneTerabyte: true, vsid: 0x123n | (1n << 37n) }),
    ],
    [
      'the next block of 64K pages',
      at(0x47_0000n, { size: '64K' }),
      at(0x48_0000n, { size: '64K' }),
    ],
    [
      'the next block of 16M pages',
      at(0x700_0000n, { size: '16M' }),
      at(0x800_0000n, { size: '16M' }),
    ],
  ];
  for (const [what, first, second] of OUTSIDE) {
    test(`5: ${what}`, () => {
      const ptexes = [enterPage(guest, first, 0n), enterPage(guest, second, 0n, { slot: 1n })];
      assert.deepEqual(code(block(0n, ...ptexes.map((ptex) => REQUEST | ptex)).out), [
        [2n, 0n],
        [2n, 5n],
      ]);
    });
  }

  test('a block of 16M pages: their AVPNs differ, the check goes by the block', () => {
    const ptexes = [0n, 3n, 7n].map((i) =>
      enterPage(guest, at(i << 24n, { size: '16M' }), 0n, { secondary: i === 3n }),
    );
    const answer = block(0x123000n | (5n << 8n), ...ptexes.map((ptex) => REQUEST | CHECKED | ptex));
    assert.equal(answer.status, 0);
    assert.equal(
      block(0x123000n | (1n << 11n), REQUEST | CHECKED | ptexes[0]!).status,
      STATUSES.H_PARTIAL,
    );
  });

  test('a type that is no request stops it at once; what was done stays', () => {
    const first = enterPage(guest, at(0x45_0000n), 0n);
    const answer = block(AVA, REQUEST | first, 8n, REQUEST | 8n);
    assert.equal(answer.status, STATUSES.H_PARAMETER);
    assert.deepEqual(answer.out, [(0x80n << 56n) | first, 8n, REQUEST | 8n]);
    assert.deepEqual(ruleOf(answer), ['BLOCK_TYPE', 1n, 0n]);
    assert.equal(guest.entry(first)[0], 0n);
  });

  test('without a table the words come back as they were', () => {
    guest.call('HPT_FREE', []);
    const answer = block(AVA, REQUEST | 1n);
    assert.deepEqual(
      [answer.status, answer.out, ...ruleOf(answer)],
      [STATUSES.H_FUNCTION, [REQUEST | 1n], 'NO_TABLE'],
    );
  });
});

test('LARGE is no part of what is compared', () => {
  enterAt(guest, 8n, 0x123000n | LARGE | V, 0x1000n | RW);
  assert.equal(remove(AVPN, 8n, 0x123000n).status, 0);
});
