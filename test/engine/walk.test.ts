/** WALK, the hardware's table walk: each outcome with its DSISR bits, and the R and C that a translation leaves. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { ABSENT, ALL_ONES, C, R, RW, V, enterPage, groupPtex, slbv } from './pages.ts';
import type { Page } from './pages.ts';

const PAGE: Page = { vsid: 0x12_3456n, offset: 0xab3_4000n, size: '4K' };
const GPA = 0x40_0000n;
const STORE = 1n;
const FETCH = 2n;
const PROBLEM = 4n;
const KS = 0x800n;
const KP = 0x400n;
const NO_EXECUTE = 0x200n;
const NO_HPTE = 0x4000_0000n;
const IS_STORE = 0x0200_0000n;

let guest: TestGuest;
beforeEach(() => {
  guest = openTestGuest();
});

/** outcome, ptex, guest address, page shift, WIMG, DSISR. */
function walk(page: Page, access = 0n, segment = 0n, amr = 0n, low = 0x567n): bigint[] {
  return guest.call('WALK', [page.offset | low, slbv(page) | segment, access, amr]).out;
}
const rcOf = (ptex: bigint) => guest.entry(ptex)[1]! & (R | C);

describe('0: translated', () => {
  test('a load sets R, a fetch sets R, a store sets R and C', () => {
    const ptex = enterPage(guest, PAGE, GPA, { slot: 3n });
    for (const access of [0n, FETCH, FETCH | STORE, PROBLEM]) {
      guest.entry(ptex)[1]! &= ~(R | C);
      assert.deepEqual(walk(PAGE, access), [0n, ptex, GPA | 0x567n, 12n, 0x10n, 0n]);
      assert.equal(rcOf(ptex), R);
    }
    assert.deepEqual(walk(PAGE, STORE)[0], 0n);
    assert.equal(rcOf(ptex), R | C);
    assert.equal(guest.call('H_READ', [0n, ptex]).out[1], GPA | RW | R | C);
  });

  const SIZES_AND_SEGMENTS: readonly Page[] = [
    { vsid: 0x1ff_ffffn, offset: 0x300_0000n, size: '16M', oneTerabyte: true },
    { vsid: (1n << 38n) - 1n, offset: 0xff_ffff_f000n, size: '4K', oneTerabyte: true },
    { vsid: (1n << 50n) - 1n, offset: 0xfff_f000n, size: '4K' },
    { vsid: 0x77n, offset: 0x123_0000n, size: '64K' },
    { vsid: 0x77n, offset: 0x123_5000n, size: '64K in 4K' },
    { vsid: 0x77n, offset: 0x123_0000n, size: '16M in 64K' },
    { vsid: 0x77n, offset: 0x312_3000n, size: '16M in 4K' },
  ];
  for (const page of SIZES_AND_SEGMENTS) {
    test(`${page.size}, VSID 0x${page.vsid.toString(16)}, in either group`, () => {
      for (const secondary of [false, true]) {
        const ptex = enterPage(guest, page, 0n, { slot: 6n, secondary });
        assert.deepEqual(walk(page, 0n, 0n, 0n, 0n).slice(0, 2), [0n, ptex]);
        guest.call('H_REMOVE', [0n, ptex, 0n]);
      }
    });
  }

  test('in the ISA 3.0 format too', () => {
    guest = openTestGuest({ isa300: true });
    const page: Page = { vsid: 0x123n, offset: 0x5_0000_1000n, size: '4K', oneTerabyte: true };
    const ptex = enterPage(guest, page, GPA);
    assert.deepEqual(walk(page, STORE).slice(0, 3), [0n, ptex, GPA | 0x567n]);
  });

  test('what is VALID, in either group, comes before what is ABSENT', () => {
    const first = enterPage(guest, PAGE, GPA);
    guest.call('HOST_UNMAP', [GPA]);
    guest.call('HOST_SET_PTE', [GPA, 3n]);
    assert.deepEqual(walk(PAGE).slice(0, 2), [5n, first]);
    const second = enterPage(guest, PAGE, GPA, { secondary: true });
    assert.deepEqual(walk(PAGE).slice(0, 2), [0n, second]);
  });
});

describe('1: no entry', () => {
  const NOTHING = [1n, ALL_ONES, 0n, 0n, 0n, NO_HPTE];

  test('an empty group, another page, another segment size, another base page size', () => {
    assert.deepEqual(walk(PAGE), NOTHING);
    enterPage(guest, PAGE, GPA);
    assert.deepEqual(walk({ ...PAGE, offset: PAGE.offset ^ 0x80_0000n }), NOTHING);
    assert.deepEqual(walk({ ...PAGE, oneTerabyte: true }), NOTHING);
    const large: Page = { vsid: 0x77n, offset: 0n, size: '64K' };
    enterPage(guest, { ...large, size: '16M' }, 0n);
    assert.deepEqual(walk(large), NOTHING);
  });

  test('a primary entry in the secondary group is not found', () => {
    const at = groupPtex(PAGE, 18, true);
    guest.call('H_ENTER', [0n, at, 0x1234_5600_0000n | V, RW]);
    assert.deepEqual(walk(PAGE, STORE), [1n, ALL_ONES, 0n, 0n, 0n, NO_HPTE | IS_STORE]);
  });
});

describe('2: protection, by pp and the key of the segment for the state', () => {
  const PP0 = 1n << 63n;
  // pp: may it be loaded, stored with key 0; with key 1?
  const TABLE: readonly (readonly [
    pp: bigint,
    load0: boolean,
    store0: boolean,
    load1: boolean,
    store1: boolean,
  ])[] = [
    [0n, true, true, false, false],
    [1n, true, true, true, false],
    [2n, true, true, true, true],
    [3n, true, false, true, false],
    [PP0, true, false, false, false],
    [PP0 | 1n, true, false, false, false],
    [PP0 | 2n, true, false, false, false],
    [PP0 | 3n, true, false, false, false],
  ];
  for (const [pp, ...allowed] of TABLE) {
    test(`pp 0x${pp.toString(16)}`, () => {
      const ptex = enterPage(guest, PAGE, GPA, { bits: 0x10n | pp });
      const cases = [
        [0n, KP],
        [STORE, KP],
        [PROBLEM, KP],
        [PROBLEM | STORE, KP],
      ] as const;
      for (const [i, [access, keys]] of cases.entries()) {
        guest.entry(ptex)[1]! &= ~(R | C);
        const [outcome, , , , , dsisr] = walk(PAGE, access, keys);
        const store = (access & STORE) === 0n ? 0n : IS_STORE;
        assert.deepEqual(
          [outcome, dsisr],
          allowed[i] === true ? [0n, 0n] : [2n, 0x0800_0000n | store],
        );
        assert.equal(rcOf(ptex) === 0n, allowed[i] === false, 'a fault sets nothing');
      }
      assert.equal(
        walk(PAGE, STORE, KS)[0],
        allowed[3] ? 0n : 2n,
        'Ks is for the privileged state',
      );
    });
  }

  test('a page that the host holds read-only', () => {
    guest.call('HOST_SET_PTE', [GPA, 1n]);
    const ptex = enterPage(guest, PAGE, GPA);
    assert.equal(walk(PAGE, STORE)[0], 2n);
    guest.call('HOST_SET_PTE', [GPA, 3n]);
    guest.call('HOST_PAGE_FAULT', [ptex, 1n]);
    assert.equal(walk(PAGE, STORE)[0], 0n);
  });
});

describe('3: storage key', () => {
  test('two bits of the AMR for each key: 1 denies loads, 2 stores; fetches are not looked at', () => {
    for (const key of [0n, 3n, 8n, 31n]) {
      const place = ((key >> 3n) << 60n) | ((key & 7n) << 9n);
      const ptex = enterPage(guest, PAGE, GPA, { bits: RW | place });
      const amr = (bits: bigint) => bits << (62n - 2n * key);
      assert.deepEqual([walk(PAGE, 0n, 0n, amr(1n))[0], walk(PAGE, 0n, 0n, amr(2n))[0]], [3n, 0n]);
      assert.deepEqual(
        [walk(PAGE, STORE, 0n, amr(1n))[0], walk(PAGE, STORE, 0n, amr(2n))[0]],
        [0n, 3n],
      );
      assert.equal(walk(PAGE, FETCH, 0n, amr(3n))[0], 0n);
      assert.equal(walk(PAGE, 0n, 0n, ALL_ONES ^ amr(3n))[0], 0n, 'other keys do not matter');
      assert.equal(walk(PAGE, 0n, 0n, amr(1n))[5], 0x0020_0000n);
      assert.equal(walk(PAGE, STORE, 0n, amr(2n))[5], 0x0020_0000n | IS_STORE);
      guest.call('H_REMOVE', [0n, ptex, 0n]);
    }
  });
});

describe('4: no execute', () => {
  test('N or G of the entry, N of the segment; only for fetches, and before all else', () => {
    for (const [bits, segment] of [
      [4n, 0n],
      [8n, 0n],
      [0n, NO_EXECUTE],
    ] as const) {
      guest = openTestGuest({ memslots: [{ base: GPA, bytes: 65536, kind: 'ci' }] });
      const ptex = enterPage(guest, PAGE, GPA, { bits: 0x20n | bits });
      const fault = guest.call('WALK', [
        PAGE.offset,
        slbv(PAGE) | segment | KS,
        FETCH,
        ALL_ONES,
      ]).out;
      assert.deepEqual(fault, [4n, ptex, GPA, 12n, 0x20n | (bits & 8n), 0x1000_0000n]);
      assert.equal(rcOf(ptex), 0n);
      assert.equal(walk(PAGE, 0n, segment)[0], 0n);
    }
  });

  test('the key before protection', () => {
    enterPage(guest, PAGE, GPA, { bits: 0x13n });
    assert.equal(walk(PAGE, STORE, 0n, ALL_ONES)[0], 3n);
    assert.equal(walk(PAGE, STORE)[0], 2n);
  });
});

test('5: the entry is ABSENT, 6: it is MMIO; both without a page fault of their own', () => {
  const ptex = enterPage(guest, PAGE, GPA);
  guest.call('HOST_UNMAP', [GPA]);
  assert.deepEqual(walk(PAGE, STORE), [5n, ptex, GPA | 0x567n, 12n, 0x10n, NO_HPTE | IS_STORE]);
  assert.equal(guest.entry(ptex)[0]! & (V | ABSENT), ABSENT);
  guest.call('H_REMOVE', [0n, ptex, 0n]);
  enterPage(guest, PAGE, 1n << 40n, { bits: 0x2an });
  assert.deepEqual(walk(PAGE), [6n, ptex, (1n << 40n) | 0x567n, 12n, 0x28n, NO_HPTE]);
});

test('L and LP of the segment that mean no page size are refused', () => {
  for (const llp of [0x010n, 0x020n, 0x030n, 0x130n]) {
    const answer = guest.explain('WALK', [0n, llp, 0n, 0n]);
    assert.deepEqual([answer.status, answer.out], [STATUSES.H_PARAMETER, []]);
    assert.deepEqual(ruleOf(answer), ['CONTROL_ARGUMENT', 1n, llp]);
  }
});
