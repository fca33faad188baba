/** H_PROTECT, H_READ, H_CLEAR_REF and H_CLEAR_MOD: the guest's and the host's view of an entry, kept apart. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { MIB, openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { AVPN, BOLTED, C, LARGE, MODIFIED, R, READ_4, RW, V, enterAt } from './pages.ts';

const HOST = 1n << 44n;
const PP = (1n << 63n) | 3n;
let guest: TestGuest;
beforeEach(() => {
  guest = openTestGuest();
});

const inspect = (ptex: bigint) => guest.call('ENTRY_INSPECT', [ptex]).out;
const read = (ptex: bigint) => guest.call('H_READ', [0n, ptex]).out;
const protect = (...args: bigint[]) => guest.explain('H_PROTECT', args);
const tlbies = () => guest.counter('COUNT_TLBIE');

describe('H_PROTECT', () => {
  test('replaces protection, key and no-execute from where they stand in flags, and nothing else', () => {
    const kept = 0x3_0000n | 0x10n | R | C;
    enterAt(guest, 8n, 0x123000n | BOLTED | V, kept | 2n);
    guest.entry(8)[1]! |= R | C;
    const flags = (1n << 13n) | (1n << 10n) | (1n << 8n) | 4n | 1n;
    const answer = protect(flags | AVPN, 8n, 0x123000n);
    assert.deepEqual([answer.status, answer.out], [0, []]);
    assert.deepEqual(ruleOf(answer), ['PROTECTED', 8n, 1n]);
    const bits = (1n << 63n) | (1n << 61n) | (1n << 10n) | 4n | 1n;
    assert.deepEqual(read(8n), [0x123000n | BOLTED | V, kept | bits]);
    assert.equal(inspect(8n)[1], HOST | kept | bits);
    assert.equal(tlbies(), 1n);
  });

  test('no invalidation when the real entry does not change', () => {
    enterAt(guest, 8n, V, RW);
    assert.deepEqual(ruleOf(protect(2n, 8n, 0n)), ['PROTECTED', 8n, 0n]);
    assert.equal(tlbies(), 0n);
  });

  test('R and C that the hardware set are not overwritten', () => {
    enterAt(guest, 8n, V, RW);
    guest.entry(8)[1]! |= R | C;
    protect(3n, 8n, 0n);
    assert.equal(read(8n)[1], 0x10n | R | C | 3n);
  });

  test('what the host holds read-only does not become writable, until a fault asks the host', () => {
    guest.call('HOST_SET_PTE', [0n, 1n]);
    enterAt(guest, 8n, V, RW);
    protect(1n, 8n, 0n);
    assert.equal(read(8n)[1]! & PP, 1n, 'the guest sees what it asked for');
    assert.equal(inspect(8n)[1]! & PP, 3n, 'the hardware does not');
    protect(0n, 8n, 0n);
    assert.equal(inspect(8n)[1]! & PP, (1n << 63n) | 2n, 'read-only for the supervisor alone');
    guest.call('HOST_SET_PTE', [0n, 3n]);
    protect(2n, 8n, 0n);
    assert.equal(inspect(8n)[1]! & PP, 3n);
    assert.deepEqual(guest.call('HOST_PAGE_FAULT', [8n, 1n]).out, [0n]);
    assert.equal(inspect(8n)[1]! & PP, 2n);
  });

  test("only the guest's view of an ABSENT entry changes", () => {
    enterAt(guest, 8n, V, RW);
    guest.call('HOST_UNMAP', [0n]);
    const real = inspect(8n)[1];
    assert.deepEqual(ruleOf(protect(1n, 8n, 0n)), ['PROTECTED', 8n, 0n]);
    assert.equal(inspect(8n)[1], real);
    assert.equal(read(8n)[1], 0x11n);
  });

  test('an MMIO entry: cached MMIO knowledge is out of date', () => {
    enterAt(guest, 8n, V, 1n << 40n);
    protect(1n, 8n, 0n);
    assert.equal(guest.words(guest.exports.MMIO_UPDATE!, 1)[0], 1n);
  });

  test('not found, out of range; H_ANDCOND means nothing', () => {
    const empty = protect(0n, 8n, 0n);
    assert.deepEqual([empty.status, ...ruleOf(empty)], [STATUSES.H_NOT_FOUND, 'EMPTY', 8n]);
    enterAt(guest, 8n, V, RW);
    const other = protect(AVPN, 8n, 1n);
    assert.deepEqual(
      [other.status, ...ruleOf(other)],
      [STATUSES.H_NOT_FOUND, 'AVPN_MISMATCH', 0n, 1n],
    );
    const beyond = protect(0n, 16384n, 0n);
    assert.deepEqual(
      [beyond.status, ...ruleOf(beyond)],
      [STATUSES.H_PARAMETER, 'PTEX_RANGE', 16384n, 16384n],
    );
    assert.equal(protect((1n << 30n) | 2n, 8n, V).status, 0);
  });
});

describe('H_READ', () => {
  test('one entry, or the four of its half group', () => {
    for (const ptex of [12n, 13n, 15n]) enterAt(guest, ptex, (ptex << 12n) | V, RW);
    assert.deepEqual(read(13n), [(13n << 12n) | V, RW]);
    const four = guest.explain('H_READ', [READ_4, 14n]);
    assert.deepEqual(four.out, [
      (12n << 12n) | V,
      RW,
      (13n << 12n) | V,
      RW,
      0n,
      0n,
      (15n << 12n) | V,
      RW,
    ]);
    assert.deepEqual(ruleOf(four), ['READ', 12n, 4n]);
    const beyond = guest.explain('H_READ', [READ_4, 16384n]);
    assert.deepEqual(
      [beyond.status, ...ruleOf(beyond)],
      [STATUSES.H_PARAMETER, 'PTEX_RANGE', 16384n, 16384n],
    );
  });
});

describe('R and C, once for the guest and once for the host', () => {
  const age = () => guest.call('HOST_AGE', [0n]).out[0];

  test("ageing clears the host's R, the guest still sees it", () => {
    enterAt(guest, 8n, V, RW);
    guest.call('SET_RC', [8n, R | C, 0n]);
    assert.equal(age(), 1n);
    assert.equal(inspect(8n)[1], HOST | RW | C, 'C of the real entry stays');
    assert.equal(age(), 0n);
    assert.equal(read(8n)[1], RW | R | C);
  });

  test("H_CLEAR_REF clears the guest's R, the host still finds it", () => {
    enterAt(guest, 8n, V, RW);
    guest.call('SET_RC', [8n, R | C, 0n]);
    const answer = guest.explain('H_CLEAR_REF', [0n, 8n]);
    assert.deepEqual(answer.out, [RW | R | C]);
    assert.deepEqual(ruleOf(answer), ['CLEARED', 8n, 1n]);
    assert.equal(read(8n)[1], RW | C);
    assert.deepEqual(ruleOf(guest.explain('H_CLEAR_REF', [0n, 8n])), ['CLEARED', 8n, 0n]);
    assert.equal(age(), 1n);
    assert.equal(age(), 0n);
  });

  test("H_CLEAR_MOD clears the guest's C, the host finds the page dirty", () => {
    enterAt(guest, 8n, V, RW);
    guest.call('SET_RC', [8n, R | C, 0n]);
    const answer = guest.explain('H_CLEAR_MOD', [0n, 8n]);
    assert.deepEqual(answer.out, [RW | R | C]);
    assert.deepEqual(ruleOf(answer), ['CLEARED', 8n, 1n]);
    assert.equal(read(8n)[1], RW | R);
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 1n]).out, [1n, 1n]);
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 1n]).out, [0n, 0n]);
  });

  test("a harvest of dirt clears the host's C, the guest still sees it", () => {
    enterAt(guest, 8n, V, RW);
    guest.call('SET_RC', [8n, C, 0n]);
    guest.call('HOST_DIRTY', [0n, 1n]);
    assert.equal(inspect(8n)[1], HOST | RW);
    assert.equal(read(8n)[1], RW | C);
    assert.equal(inspect(8n)[0], V, 'VALID again');
  });

  test('an ABSENT entry gives what the guest knows', () => {
    enterAt(guest, 8n, V, RW | R | C);
    guest.call('HOST_UNMAP', [0n]);
    assert.deepEqual(guest.call('H_CLEAR_REF', [0n, 8n]).out, [RW | R | C]);
    assert.deepEqual(guest.call('H_CLEAR_MOD', [0n, 8n]).out, [RW | C]);
    assert.equal(inspect(8n)[2], RW);
  });

  test('what was taken away by the host was referenced and changed for the guest', () => {
    enterAt(guest, 8n, V, RW);
    guest.call('SET_RC', [8n, R | C, 0n]);
    guest.call('HOST_UNMAP', [0n]);
    assert.equal(read(8n)[1], RW | R | C);
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 1n]).out, [1n, 1n]);
    guest.call('HOST_SET_PTE', [0n, 3n]);
    guest.call('HOST_PAGE_FAULT', [8n, 0n]);
    assert.equal(inspect(8n)[1], HOST | RW | R | C, 'both sides had both');
  });

  test('not found, out of range', () => {
    for (const name of ['H_CLEAR_REF', 'H_CLEAR_MOD']) {
      const empty = guest.explain(name, [0n, 8n]);
      assert.deepEqual(
        [empty.status, empty.out, ...ruleOf(empty)],
        [STATUSES.H_NOT_FOUND, [], 'EMPTY', 8n],
      );
      assert.equal(guest.call(name, [0n, 16384n]).status, STATUSES.H_PARAMETER);
    }
  });

  test('while a table stream is open they show MODIFIED (bit 62), as KVM HV does; H_READ and H_REMOVE do not', () => {
    guest.call('HTAB_OPEN', [0n, 0n]);
    enterAt(guest, 8n, V, RW | R | C);
    assert.deepEqual(guest.call('H_CLEAR_REF', [0n, 8n]).out, [MODIFIED | RW | R | C]);
    assert.deepEqual(guest.call('H_CLEAR_MOD', [0n, 8n]).out, [MODIFIED | RW | C]);
    assert.deepEqual(read(8n), [V, RW]);
    assert.deepEqual(guest.call('H_REMOVE', [0n, 8n, 0n]).out, [V, RW]);
  });
});

test('C of a huge page makes every host page of it dirty, wherever the harvest looks', () => {
  for (const hostPageBytes of [4096, 65536] as const) {
    guest = openTestGuest({ hostPageBytes });
    const pages = BigInt((16 * MIB) / hostPageBytes);
    const middle = 24n * BigInt(MIB);
    enterAt(guest, 8n, LARGE | V, (16n * BigInt(MIB)) | RW);
    guest.call('SET_RC', [8n, C, 0n]);
    assert.deepEqual(guest.call('HOST_DIRTY', [middle, 64n]).out, [64n, (1n << 64n) - 1n]);
    assert.equal(guest.call('HOST_DIRTY', [16n * BigInt(MIB), 4096n]).out[0], pages - 64n);
    assert.equal(guest.call('HOST_DIRTY', [15n * BigInt(MIB), 1n]).out[0], 0n);
    guest.call('SET_RC', [8n, C, 0n]);
    guest.call('H_REMOVE', [0n, 8n, 0n]);
    assert.equal(guest.call('HOST_DIRTY', [16n * BigInt(MIB), 4096n]).out[0], pages);
  }
});
