/**
 * The operand of tlbie, worked out by hand for each page size. In it stand the virtual address as far as the page
 * size leaves it, the segment size B at bit 8, and below the page what tells the sizes apart.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { RW, V, enterPage } from './pages.ts';
import type { Page } from './pages.ts';

const GIB16 = 2 ** 34;

const CASES: readonly (readonly [what: string, page: Page, operand: bigint])[] = [
  ['4K', { vsid: 0x123n, offset: 0x45_6000n, size: '4K' }, 0x12_3045_6000n],
  [
    '4K in a 1 TiB segment',
    { vsid: 0x123n, offset: 0x7_8945_6000n, size: '4K', oneTerabyte: true },
    0x1_2307_8945_6100n,
  ],
  ['64K', { vsid: 0x77_1234n, offset: 0x0123_0000n, size: '64K' }, 0x7_7123_4123_1031n],
  [
    '16M',
    { vsid: 0x5_5555n, offset: 0x33_0300_0000n, size: '16M', oneTerabyte: true },
    0x555_5533_0300_0101n,
  ],
  [
    '16G',
    { vsid: 0x99n, offset: 0x4_0000_0000n, size: '16G', oneTerabyte: true },
    0x9904_0000_3101n,
  ],
  [
    '64K page in a 4K segment',
    { vsid: 0x123n, offset: 0x45_6000n, size: '64K in 4K' },
    0x12_3045_60a0n,
  ],
  [
    '16M page in a 64K segment',
    { vsid: 0x77_1234n, offset: 0x0124_0000n, size: '16M in 64K' },
    0x7_7123_4100_8041n,
  ],
  [
    '16M page in a 4K segment',
    { vsid: 0x99n, offset: 0x0312_3000n, size: '16M in 4K' },
    0x9_9312_3080n,
  ],
];

function guestWithHugePages(isa300: boolean): TestGuest {
  return openTestGuest({
    isa300,
    ramBytes: GIB16,
    memslots: [{ base: 0n, bytes: GIB16, kind: 'ram' }],
    backingPageBytes: GIB16,
  });
}

for (const isa300 of [false, true]) {
  const guest = guestWithHugePages(isa300);
  for (const [what, page, operand] of CASES) {
    for (const secondary of [false, true]) {
      const where = `${secondary ? 'secondary' : 'primary'} group${isa300 ? ', ISA 3.0' : ''}`;
      test(`${what}, ${where}`, () => {
        const ptex = enterPage(guest, page, 0n, { secondary });
        const answer = guest.explain('H_REMOVE', [0n, ptex, 0n]);
        assert.equal(guest.counter('LAST_TLBIE_RB'), operand);
        assert.deepEqual(ruleOf(answer), ['REMOVED', ptex, operand]);
      });
    }
  }
}

test('junk below the page number of a 16M page is no part of it', () => {
  const guest = openTestGuest();
  const ptex = enterPage(guest, { vsid: 1n, offset: 0n, size: '16M' }, 0x0070_0000n);
  guest.explain('H_REMOVE', [0n, ptex, 0n]);
  assert.equal(guest.counter('LAST_TLBIE_RB'), 0x1000_0001n);
});

test('B of 2 or 3 is refused, so that only two bits of it can come to the operand', () => {
  const guest = openTestGuest();
  for (const b of [2n, 3n]) {
    const answer = guest.explain('H_ENTER', [0n, 0n, (b << 62n) | V, RW]);
    assert.equal(answer.status, STATUSES.H_PARAMETER);
    assert.deepEqual(ruleOf(answer), ['B_RESERVED', b]);
  }
});
