/**
 * What H_RESIZE_HPT_COMMIT does while another processor is in the middle of an hcall: it closes the gate, waits, and
 * looks only then what is prepared. A place taken before would be one beside the table that was active then: a reset or
 * another COMMIT that came first has put its table there.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { startHolder } from './holder.ts';
import type { Holder } from './holder.ts';
import { finishPreparing, openTestGuest } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import { BOLTED, RW, V, enterAt } from './pages.ts';

const OTHER = 5;
const PAUSE = { pause: 25 };

let guest: TestGuest;
let holder: Holder;
before(async () => {
  guest = openTestGuest();
  holder = await startHolder(guest.memory);
});
after(() => holder.end());

/** Where the other processor says that it is in an hcall. */
const active = () => guest.exports.PROCESSORS! + guest.exports.PROCESSOR_BYTES! * OTHER;

test('a preparation that somebody cancels while COMMIT waits is not there', async () => {
  enterAt(guest, 8n, (1n << 12n) | BOLTED | V, RW);
  guest.call('H_RESIZE_HPT_PREPARE', [0n, 19n]);
  finishPreparing(guest);
  guest.words(active(), 1)[0] = 1n;
  // RESIZE_STATE, in the upper half, becomes RESIZE_NONE; then the other processor is done.
  const cancelled = { at: guest.exports.RESIZE_LOCK!, store: 0n };
  holder.begin([PAUSE, cancelled, { at: active(), store: 0n }]);
  assert.equal(guest.call('H_RESIZE_HPT_COMMIT', [0n, 19n]).status, STATUSES.H_CLOSED);
  await holder.seen();
  assert.equal(guest.order(), 18);
  checkTable(guest);
});

test('one that is there is used once the other processor is done', async () => {
  guest.call('H_RESIZE_HPT_PREPARE', [0n, 19n]);
  finishPreparing(guest);
  guest.words(active(), 1)[0] = 1n;
  holder.begin([PAUSE, { at: active(), store: 0n }]);
  assert.equal(guest.call('H_RESIZE_HPT_COMMIT', [0n, 19n]).status, STATUSES.H_SUCCESS);
  await holder.seen();
  assert.equal(guest.order(), 19);
  checkTable(guest);
});
