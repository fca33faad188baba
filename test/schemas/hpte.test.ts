/** Entries decoded: fields, page sizes, protections, and the virtual page behind AVPN and group. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import {
  HPTE_R_G,
  HPTE_R_N,
  HPTE_R_PP0,
  HPTE_V_1TB,
  HPTE_V_LARGE,
  HPTE_V_SECONDARY,
  HPTE_V_VALID,
  bytesText,
  decodeDword0,
  decodeDword1,
  decodeEntry,
  fromIsa300,
  groupOf,
  pageSizeOf,
  virtualPageOf,
} from '../../schemas/hpte.ts';
// Its HPTD_SEED is printed, and taken from the environment.
import { seedOf } from './seed.ts';

test('dword 0 of a real entry', () => {
  assert.deepEqual(decodeDword0(0x400ea1b217000015n), {
    word: '0x400ea1b217000015',
    segment: '1T',
    avpn: '0xea1b217000000',
    compared: '0x400ea1b217000000',
    hvlock: false,
    absent: false,
    bolted: true,
    lock: false,
    large: true,
    secondary: false,
    valid: true,
  });
  assert.equal(decodeDword0(0n).segment, '256M');
  assert.equal(decodeDword0(2n << 62n).segment, 'reserved (B = 2)');
});

test('dword 1: every field', () => {
  const decoded = decodeDword1(0xb123456789abcdefn);
  assert.deepEqual(decoded, {
    word: '0xb123456789abcdef',
    pp0: true,
    ts: false,
    key: 0b11110,
    rpn: '0x123456789abc000',
    referenced: true,
    changed: true,
    wimg: 'WI-G',
    noExecute: true,
    pp: 3,
    protection: 'reserved (PP0 with PP 3); no execute',
  });
  assert.equal(decodeDword1(0x4000000000000010n).ts, true);
});

test('protections in words', () => {
  const text = (bits: bigint) => decodeDword1(bits).protection;
  assert.equal(text(0n), 'supervisor read and write, user nothing');
  assert.equal(text(1n), 'supervisor read and write, user read');
  assert.equal(text(2n), 'supervisor and user read and write');
  assert.equal(text(3n), 'supervisor and user read');
  assert.equal(text(HPTE_R_PP0 | 2n), 'supervisor read, user nothing');
  assert.match(text(HPTE_R_N | 2n), /; no execute$/);
  assert.match(text(HPTE_R_G | 2n), /; no execute \(guarded\)$/);
});

test('page sizes: what (L, LP) encode, and nothing else', () => {
  const size = (lp: bigint) => {
    const found = pageSizeOf(HPTE_V_LARGE, lp << 12n);
    return found && [found.baseShift, found.actualShift];
  };
  assert.deepEqual(pageSizeOf(0n, 0xff000n), { baseShift: 12, actualShift: 12 });
  assert.deepEqual(size(0x00n), [24, 24]);
  assert.deepEqual(size(0x03n), [34, 34]);
  assert.deepEqual(size(0x08n), [16, 24]);
  assert.deepEqual(size(0x38n), [12, 24]);
  for (let high = 0n; high < 16n; high++) {
    assert.deepEqual(size((high << 4n) | 1n), [16, 16]);
    assert.deepEqual(size((high << 4n) | 7n), [12, 16]);
  }
  const known = Array.from({ length: 256 }, (_, lp) => size(BigInt(lp))).filter(Boolean);
  assert.equal(known.length, 16 + 16 + 4);
});

test('the real address begins where the actual page does', () => {
  const entry = decodeEntry(HPTE_V_LARGE | HPTE_V_VALID, 0x1234_5678_1190n);
  assert.deepEqual(entry.page, { base: '64K', actual: '64K' });
  assert.equal(entry.realAddress, '0x123456780000');
  assert.equal(decodeEntry(HPTE_V_LARGE, 0x2000n).page, null);
  assert.equal(decodeEntry(0n, 0x1234_5678_1190n).realAddress, '0x123456781000');
});

test('the ISA 3.0 format is brought back: B from dword 1, AVPN cut at bit 51', () => {
  const old = fromIsa300(0x000ea1b217000015n, (1n << 58n) | 0x1190n);
  assert.deepEqual(old, { dword0: 0x400ea1b217000015n, dword1: 0x1190n });
});

test('sizes in words', () => {
  assert.deepEqual([12, 16, 24, 28, 34, 40].map(bytesText), [
    '4K',
    '64K',
    '16M',
    '256M',
    '16G',
    '1T',
  ]);
});

const LP_BY_SHIFT = new Map([
  [12, undefined],
  [16, 0x01n],
  [24, 0x00n],
  [34, 0x03n],
]);

test('the virtual page comes back from AVPN and group, for every size of page and table', (context) => {
  const page = fc.record({
    large: fc.boolean(),
    secondary: fc.boolean(),
    vsid: fc.bigInt(0n, (1n << 38n) - 1n),
    offset: fc.bigInt(0n, (1n << 40n) - 1n),
    baseShift: fc.constantFrom(12, 16, 24, 34),
    order: fc.integer({ min: 18, max: 46 }),
  });
  fc.assert(
    fc.property(page, ({ large, secondary, vsid, offset, baseShift, order }) => {
      const segmentShift = large ? 40n : 28n;
      const inSegment = offset & ((1n << segmentShift) - 1n) & ~((1n << BigInt(baseShift)) - 1n);
      const address = (vsid << segmentShift) | inSegment;
      const lp = LP_BY_SHIFT.get(baseShift);
      let dword0 = HPTE_V_VALID | ((address >> 23n) << 7n) | (large ? HPTE_V_1TB : 0n);
      if (lp !== undefined) dword0 |= HPTE_V_LARGE;
      if (secondary) dword0 |= HPTE_V_SECONDARY;
      const group = groupOf(vsid, inSegment, dword0, baseShift, order);
      assert.deepEqual(virtualPageOf(dword0, (lp ?? 0n) << 12n, group, order), {
        segment: large ? '1T' : '256M',
        vsid: `0x${vsid.toString(16)}`,
        segmentOffset: `0x${inSegment.toString(16)}`,
        virtualAddress: `0x${address.toString(16)}`,
        found: true,
      });
    }),
    { numRuns: 2000, ...seedOf(context) },
  );
});

test('an entry in a group that its page does not hash to: the offset cannot be told', () => {
  const dword0 = 0x400ea1b217000015n;
  const right = 0x190b8n >> 3n;
  assert.equal(virtualPageOf(dword0, 0x1190n, right, 22)!.found, true);
  const wrong = virtualPageOf(dword0, 0x1190n, right ^ 0x1000n, 22)!;
  assert.deepEqual([wrong.found, wrong.segmentOffset, wrong.virtualAddress], [false, null, null]);
  assert.notEqual(wrong.vsid, null);
  assert.equal(virtualPageOf(dword0 | (2n << 62n), 0x1190n, right, 22), null);
  assert.equal(virtualPageOf(dword0, 0x5190n, right, 22), null);
});

const TRACE = new URL('../../../shared/traces/01-early-p8-64k.jsonl.gz', import.meta.url);

interface Enter {
  dword0: bigint;
  dword1: bigint;
  ptex: bigint;
  order: number;
}

function recordedEnters(): Enter[] {
  const enters: Enter[] = [];
  let order = 0;
  for (const line of gunzipSync(readFileSync(TRACE)).toString().trim().split('\n')) {
    const event = JSON.parse(line) as {
      op?: string;
      order?: number;
      args?: string[];
      ret?: number;
      out?: string[];
    };
    if (event.op === 'HPT_RESET') order = event.order!;
    if (event.op !== 'H_ENTER' || event.ret !== 0) continue;
    const [, , dword0, dword1] = event.args!.map(BigInt) as [bigint, bigint, bigint, bigint];
    enters.push({ dword0, dword1, ptex: BigInt(event.out![0]!), order });
  }
  return enters;
}

test('entries of a recorded guest: each is where a search for its page looks', (t) => {
  if (!existsSync(TRACE))
    return t.skip('no recording beside the repository: traces/01-early-p8-64k');
  const enters = recordedEnters();
  assert.ok(enters.length > 500);
  for (const { dword0, dword1, ptex, order } of enters) {
    assert.ok(pageSizeOf(dword0, dword1), decodeDword1(dword1).word);
    assert.equal(virtualPageOf(dword0, dword1, ptex >> 3n, order)!.found, true, ptex.toString(16));
  }
  // The kernel maps its memory from address 0 on, 64 KiB a page: so do the recovered addresses.
  const linear = enters.slice(0, 64);
  const start = BigInt(
    virtualPageOf(linear[0]!.dword0, linear[0]!.dword1, linear[0]!.ptex >> 3n, 22)!.virtualAddress!,
  );
  linear.forEach(({ dword0, dword1, ptex }, page) => {
    const { virtualAddress } = virtualPageOf(dword0, dword1, ptex >> 3n, 22)!;
    assert.equal(BigInt(virtualAddress!) - start, BigInt(page) << 16n);
    assert.equal(BigInt(decodeEntry(dword0, dword1).realAddress), BigInt(page) << 16n);
  });
});
