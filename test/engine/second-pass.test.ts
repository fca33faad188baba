/**
 * What an hcall does when somebody else holds a lock: another thread holds it by hand, looks around while the hcall
 * waits, and lets go. H_ENTER may answer H_PTEG_FULL only when all it could use was taken at one instant; an H_EXACT
 * waits for its slot; whoever may not wait, does not.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { startHolder } from './holder.ts';
import type { Holder } from './holder.ts';
import { openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import { ABSENT, C, EXACT, HVLOCK, R, RW, V, enterAt } from './pages.ts';

const PAUSE = { pause: 25 };
const GROUP = 80n;
const REQUEST = 1n << 62n;
const RMAP_LOCK = 1n << 43n;

let guest: TestGuest;
let holder: Holder;
before(async () => {
  guest = openTestGuest();
  holder = await startHolder(guest.memory);
});
after(() => holder.end());
beforeEach(() => {
  guest.call('HPT_RESET', [18n]);
  guest.call('HOST_SET_PTE', [0n, 3n]);
});

const address = (ptex: bigint) => guest.entry(ptex).byteOffset;
const lock = (ptex: bigint) => (guest.entry(ptex)[0]! |= HVLOCK);
const unlocking = (ptex: bigint) => ({ at: address(ptex), clear: HVLOCK });
const dword0 = (ptex: bigint) => guest.entry(ptex)[0]!;
const avpnOf = (slot: bigint) => (slot + 1n) << 12n;
const rmapOf = (gfn: number) =>
  guest.word32(guest.exports.MEMSLOTS! + guest.exports.SLOT_RMAP!) + gfn * 8;

function fill(slots: readonly bigint[]): void {
  for (const slot of slots) enterAt(guest, GROUP + slot, avpnOf(slot) | V, (slot << 16n) | RW);
}

const ALL = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n];
const newEntry = [0xabc000n | V, 0x9_0000n | RW];

describe('H_ENTER anywhere in a group', () => {
  test('a free slot that is merely locked is no reason for H_PTEG_FULL: it waits for it', async () => {
    fill(ALL.filter((slot) => slot !== 5n));
    lock(GROUP + 5n);
    const passes = guest.counter('COUNT_SECOND_PASS');
    holder.begin([PAUSE, unlocking(GROUP + 5n)]);
    const answer = guest.explain('H_ENTER', [0n, GROUP, ...newEntry]);
    assert.deepEqual([answer.status, answer.out], [STATUSES.H_SUCCESS, [GROUP + 5n]]);
    assert.deepEqual(ruleOf(answer), ['ENTERED', GROUP + 5n, 2n]);
    assert.equal(guest.counter('COUNT_SECOND_PASS'), passes + 1n);
    await holder.seen();
    checkTable(guest);
  });

  test('a free slot that nobody locks is taken at once, past the locked ones', async () => {
    for (const slot of [0n, 1n, 2n]) lock(GROUP + slot);
    const answer = guest.explain('H_ENTER', [0n, GROUP + 7n, ...newEntry]);
    assert.deepEqual(ruleOf(answer), ['ENTERED', GROUP + 3n, 1n]);
    for (const slot of [0n, 1n, 2n]) guest.entry(GROUP + slot)[0]! &= ~HVLOCK;
  });

  test('with all eight free and locked, the first is waited for and the others are let be', async () => {
    for (const slot of ALL) lock(GROUP + slot);
    holder.begin([PAUSE, unlocking(GROUP)]);
    assert.deepEqual(guest.call('H_ENTER', [0n, GROUP, ...newEntry]).out, [GROUP]);
    await holder.seen();
    for (const slot of ALL.slice(1)) {
      assert.equal(dword0(GROUP + slot), HVLOCK);
      guest.entry(GROUP + slot)[0] = 0n;
    }
    checkTable(guest);
  });

  test('it keeps what it found taken locked, so that no entry can hop behind it, and lets go of it', async () => {
    fill(ALL);
    lock(GROUP + 7n);
    const looks = ALL.map((slot) => ({ at: address(GROUP + slot), look: true as const }));
    holder.begin([PAUSE, ...looks, unlocking(GROUP + 7n)]);
    const answer = guest.explain('H_ENTER', [0n, GROUP, ...newEntry]);
    assert.equal(answer.status, STATUSES.H_PTEG_FULL);
    const seen = await holder.seen();
    assert.deepEqual(
      seen,
      ALL.map((slot) => avpnOf(slot) | V | HVLOCK),
    );
    assert.deepEqual(ruleOf(answer), [
      'GROUP_FULL',
      GROUP / 8n,
      ...ALL.map((slot) => avpnOf(slot) | V),
    ]);
    checkTable(guest);
  });

  test('an entry that goes away while it waits leaves its slot', async () => {
    fill(ALL);
    guest.call('HOST_UNMAP', [0n]);
    lock(GROUP + 6n);
    holder.begin([PAUSE, { at: address(GROUP + 6n), store: 0n }]);
    assert.deepEqual(guest.call('H_ENTER', [0n, GROUP, ...newEntry]).out, [GROUP + 6n]);
    await holder.seen();
    checkTable(guest);
  });
});

describe('H_ENTER with H_EXACT', () => {
  test('waits for a free slot that is locked', async () => {
    lock(GROUP + 2n);
    holder.begin([PAUSE, unlocking(GROUP + 2n)]);
    const answer = guest.explain('H_ENTER', [EXACT, GROUP + 2n, ...newEntry]);
    assert.deepEqual(ruleOf(answer), ['ENTERED', GROUP + 2n, 2n]);
    await holder.seen();
  });

  test('waits for a taken slot that is locked, and answers what then is there', async () => {
    fill([2n]);
    lock(GROUP + 2n);
    const waits = guest.counter('COUNT_LOCK_WAITS');
    holder.begin([PAUSE, unlocking(GROUP + 2n)]);
    const answer = guest.explain('H_ENTER', [EXACT, GROUP + 2n, ...newEntry]);
    assert.equal(answer.status, STATUSES.H_PTEG_FULL);
    assert.deepEqual(ruleOf(answer), ['SLOT_OCCUPIED', GROUP + 2n, avpnOf(2n) | V]);
    assert.equal(guest.counter('COUNT_LOCK_WAITS'), waits + 1n);
    await holder.seen();
    checkTable(guest);
  });
});

test('H_READ waits for the holder and gives both words as it left them', async () => {
  fill([0n]);
  guest.call('HOST_UNMAP', [0n]);
  lock(GROUP);
  const later = { at: guest.revmap(GROUP).byteOffset, store: 0x5_0000n | RW };
  holder.begin([PAUSE, later, { at: address(GROUP), store: 0x777000n | ABSENT }]);
  assert.deepEqual(guest.call('H_READ', [0n, GROUP]).out, [0x777000n | V, 0x5_0000n | RW]);
  await holder.seen();
});

describe('removal while the chain is locked by another', () => {
  const CHAIN = 4;
  const lockChain = () => (guest.words(rmapOf(CHAIN), 1)[0]! |= RMAP_LOCK);
  const unlockingChain = { at: 0, clear: RMAP_LOCK };
  const block = (counter: string) => guest.exports.PROCESSORS! + guest.exports[counter]!;

  test('H_REMOVE has invalidated the translation and still holds the slot before it frees it', async () => {
    fill([4n]);
    lockChain();
    const tlbie = guest.counter('COUNT_TLBIE');
    const looks = [address(GROUP + 4n), block('COUNT_TLBIE'), block('COUNT_TLBSYNC')].map((at) => ({
      at,
      look: true as const,
    }));
    holder.begin([PAUSE, ...looks, { ...unlockingChain, at: rmapOf(CHAIN) }]);
    assert.equal(guest.call('H_REMOVE', [0n, GROUP + 4n, 0n]).status, STATUSES.H_SUCCESS);
    const [v, invalidated, synchronised] = await holder.seen();
    assert.equal(v, avpnOf(4n) | HVLOCK, 'not VALID, still locked');
    assert.equal(invalidated, tlbie + 1n);
    assert.equal(synchronised, guest.counter('COUNT_TLBSYNC'));
    assert.equal(dword0(GROUP + 4n), 0n);
  });

  test('H_BULK_REMOVE holds all entries of a batch until their R and C are read, after the invalidation', async () => {
    fill([4n, 5n]);
    lockChain();
    const looks = [address(GROUP + 4n), address(GROUP + 5n)].map((at) => ({
      at,
      look: true as const,
    }));
    // The second entry's R and C arrive late: they are only read when its turn comes.
    const late = { at: address(GROUP + 5n) + 8, set: R | C };
    holder.begin([PAUSE, ...looks, late, { ...unlockingChain, at: rmapOf(CHAIN) }]);
    const { out } = guest.call('H_BULK_REMOVE', [
      REQUEST | (GROUP + 4n),
      0n,
      REQUEST | (GROUP + 5n),
      0n,
    ]);
    assert.deepEqual(await holder.seen(), [avpnOf(4n) | HVLOCK, avpnOf(5n) | HVLOCK]);
    assert.deepEqual(
      out.map((word) => word >> 56n),
      [0x80n, 0n, 0x8cn, 0n],
    );
    checkTable(guest);
  });
});

test('H_BULK_REMOVE never waits with a lock in hand: it finishes what it has, then waits', async () => {
  fill([0n, 1n, 2n]);
  lock(GROUP + 1n);
  const syncs = guest.counter('COUNT_TLBSYNC');
  holder.begin([PAUSE, { at: address(GROUP), look: true }, unlocking(GROUP + 1n)]);
  const requests = [0n, 1n, 2n].flatMap((slot) => [REQUEST | (GROUP + slot), 0n]);
  const { status, out } = guest.call('H_BULK_REMOVE', requests);
  assert.equal(status, STATUSES.H_SUCCESS);
  assert.deepEqual(
    await holder.seen(),
    [0n],
    'the first entry is gone and free while the second is waited for',
  );
  assert.deepEqual(
    out.map((word) => word >> 56n),
    [0x80n, 0n, 0x80n, 0n, 0x80n, 0n],
  );
  assert.equal(guest.counter('COUNT_TLBSYNC'), syncs + 2n);
  checkTable(guest);
});

test('H_BLOCK_REMOVE does not wait: an entry that is locked answers busy', () => {
  fill([0n, 1n]);
  lock(GROUP);
  const { status, out } = guest.call('H_BLOCK_REMOVE', [
    0n,
    REQUEST | GROUP,
    REQUEST | (GROUP + 1n),
  ]);
  assert.equal(status, STATUSES.H_PARTIAL);
  assert.deepEqual(
    out.map((word) => word >> 56n),
    [0xa0n, 0x80n],
  );
  guest.entry(GROUP)[0]! &= ~HVLOCK;
  checkTable(guest);
});

describe('the host, from a chain on which an entry is locked', () => {
  // The holder of an entry may want its chain: it gets it while the host waits.
  async function whileLocked(name: string, args: readonly bigint[]): Promise<bigint[]> {
    lock(GROUP + 3n);
    const chain = rmapOf(3);
    holder.begin([
      PAUSE,
      { at: chain, look: true },
      { at: chain, set: RMAP_LOCK },
      { pause: 5 },
      { at: chain, clear: RMAP_LOCK },
      unlocking(GROUP + 3n),
    ]);
    const answer = guest.call(name, args);
    const [word = 0n] = await holder.seen();
    assert.equal(word & RMAP_LOCK, 0n, 'the chain is not locked while the entry is waited for');
    checkTable(guest);
    return answer.out;
  }

  test('HOST_UNMAP', async () => {
    fill([3n]);
    await whileLocked('HOST_UNMAP', [0x3_0000n]);
    assert.equal(dword0(GROUP + 3n), avpnOf(3n) | ABSENT);
  });

  test('HOST_AGE', async () => {
    fill([3n]);
    guest.call('SET_RC', [GROUP + 3n, R, 0n]);
    assert.deepEqual(await whileLocked('HOST_AGE', [0x3_0000n]), [1n]);
    assert.deepEqual(guest.call('HOST_AGE', [0x3_0000n]).out, [0n]);
  });

  test('HOST_DIRTY', async () => {
    fill([3n]);
    guest.call('SET_RC', [GROUP + 3n, C, 0n]);
    assert.deepEqual(await whileLocked('HOST_DIRTY', [0x3_0000n, 1n]), [1n, 1n]);
  });

  test('HOST_DIRTY unlocks an entry that it finds not VALID', () => {
    fill([3n]);
    const entry = guest.entry(GROUP + 3n);
    entry[1]! |= C;
    entry[0] = avpnOf(3n) | ABSENT;
    guest.call('HOST_DIRTY', [0x3_0000n, 1n]);
    assert.equal(entry[0], avpnOf(3n) | ABSENT);
  });
});
