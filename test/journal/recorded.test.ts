/** A guest with a journal is recorded: both hear everything, and the recording's end leaves the journal its order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordingBody } from '../../schemas/recordings.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import {
  enter,
  folder,
  openAsker,
  openJournaledGuest,
  restart,
  smallGuest,
} from './journaled-guest.ts';
import { differenceOf } from './memory-difference.ts';

const module = await compileEngine();

test('a recording is ordered whatever was asked, and the journal goes on after it', async (context) => {
  const directory = folder(context);
  const pool = await startPool(module, 2);
  const live = openJournaledGuest(pool, smallGuest, directory);
  context.after(async () => {
    await live.end();
    await stopPool(pool);
  });
  const { recordings } = live.guest;
  const streams = [openAsker(live.guest, 'guest'), openAsker(live.guest, 'guest')];
  const askAll = (slot: number) =>
    Promise.all(streams.map((stream, i) => stream.ask([enter(8 * slot + i)])));
  await askAll(0);
  const { id, ordered } = await recordings.start(recordingBody.parse({ ordered: false }));
  assert.equal(ordered, true);
  await askAll(1);
  const ended = await recordings.end(id);
  // The two entries that were there, and what was asked.
  assert.equal(ended.events, 2 + 2 + 1);
  assert.equal(ended.tableHash, true);
  for (let slot = 2; slot < 40; slot++) await askAll(slot);
  await live.end();
  const again = restart(module, smallGuest, directory);
  assert.equal(differenceOf(live, again.memory), undefined);
});
