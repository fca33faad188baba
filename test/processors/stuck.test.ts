/** A processor that waits for a lock for long is reported, with who holds the lock. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { findStuck } from '../../src/processors/stuck.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { openLiveGuest } from '../failure/live-guest.ts';
import { config, enter } from '../guests/configs.ts';

const HVLOCK = 0x40n;
const HOLDER = 1;

test('a processor that waits for a lock is reported once, with the holder', {
  timeout: 20_000,
}, async () => {
  const pool = await startPool(await compileEngine(), 2);
  const { guest, view } = openLiveGuest(pool, config());
  const { PROCESSORS, PROCESSOR_BYTES, JOURNAL } = view.exports;
  // Processor 1 holds entry 5, as its journal would say.
  const record = view.words(PROCESSORS! + PROCESSOR_BYTES! * HOLDER + JOURNAL!, 1);
  record[0] = BigInt(view.word32(view.exports.TABLE_BASE!) + 5 * 16);
  Atomics.or(view.entry(5), 0, HVLOCK);
  const waiting = guest.run([enter(0, 5n)]);
  const waiter = PROCESSORS! + view.exports.WAITING_FOR!;
  while (view.words(waiter, 1)[0] === 0n) await sleep(5);

  const reports = [1, 2, 3, 4].map(() => findStuck(guest.watched, 2));
  assert.deepEqual(reports, [
    [],
    [],
    [{ guest: 'live', processor: 0, ptex: 5, heldBy: [HOLDER] }],
    [],
  ]);

  record[0] = 0n;
  Atomics.and(view.entry(5), 0, ~HVLOCK);
  const [answer] = await waiting;
  assert.equal(answer!.status, 0);
  assert.deepEqual(findStuck(guest.watched, 2), []);
  await guest.finish({ kind: 'shutdown' }, 5000);
  await stopPool(pool);
});
