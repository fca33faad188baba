/**
 * The two older ways to look for a slot, which a guest can be made with for experiments: what each answers while
 * another thread holds the lock of a free slot. test/engine/second-pass.test.ts has the default.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { startHolder } from './holder.ts';
import { openTestGuest } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import { EXACT, HVLOCK, RW, V, enterAt } from './pages.ts';

const GROUP = 80n;
const FREE = GROUP + 5n;
const NEW = [0xabc000n | V, 0x9_0000n | RW];
const PAUSE = { pause: 25 };

function fill(guest: TestGuest): void {
  for (let slot = GROUP; slot < GROUP + 8n; slot++) {
    if (slot !== FREE) enterAt(guest, slot, (slot << 12n) | V, (slot << 16n) | RW);
  }
}

const lock = (guest: TestGuest) => (guest.entry(FREE)[0]! |= HVLOCK);
const unlocking = (guest: TestGuest) => ({ at: guest.entry(FREE).byteOffset, clear: HVLOCK });

test('one pass: a free slot that is merely locked is full, also with H_EXACT', () => {
  const guest = openTestGuest({ slotSearch: 'one-pass' });
  fill(guest);
  lock(guest);
  const full = guest.explain('H_ENTER', [0n, GROUP, ...NEW]);
  assert.equal(full.status, STATUSES.H_PTEG_FULL);
  assert.equal(full.why[1 + 1 + 5], 0n, 'the explanation shows the slot empty');
  assert.equal(guest.call('H_ENTER', [EXACT, FREE, ...NEW]).status, STATUSES.H_PTEG_FULL);
  guest.entry(FREE)[0] = 0n;
  assert.deepEqual(guest.call('H_ENTER', [0n, GROUP, ...NEW]).out, [FREE]);
  checkTable(guest);
});

test('two passes: it is waited for; a full group is full, and nothing stays locked', async () => {
  const guest = openTestGuest({ slotSearch: 'two-pass' });
  const holder = await startHolder(guest.memory);
  fill(guest);
  lock(guest);
  holder.begin([PAUSE, unlocking(guest)]);
  assert.deepEqual(guest.call('H_ENTER', [0n, GROUP, ...NEW]).out, [FREE]);
  await holder.seen();
  assert.equal(guest.call('H_ENTER', [0n, GROUP, ...NEW]).status, STATUSES.H_PTEG_FULL);
  assert.equal(guest.call('H_ENTER', [EXACT, FREE, ...NEW]).status, STATUSES.H_PTEG_FULL);
  checkTable(guest);
  guest.call('H_REMOVE', [0n, FREE, 0n]);
  lock(guest);
  holder.begin([PAUSE, unlocking(guest)]);
  assert.deepEqual(guest.call('H_ENTER', [EXACT, FREE, ...NEW]).out, [FREE]);
  await holder.seen();
  await holder.end();
  checkTable(guest);
});
