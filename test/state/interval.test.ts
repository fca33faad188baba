/** With --journal snapshot the daemon takes snapshots by itself, of guests that changed, no more than so many seconds apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StateDaemon } from './daemons.ts';
import { openDaemon } from './daemons.ts';
import { directoryFor } from './images.ts';

const PAGE = { pteh: '0x400001', ptel: '0x12' };
/** A machine may be busy; a second is what was asked for. */
const TRIES = 300;

async function newest(daemon: StateDaemon, guest: string): Promise<number> {
  const { json } = await daemon.ask('GET', `/v1/guests/${guest}/snapshots`);
  return Math.max(...(json['snapshots'] as { number: number }[]).map(({ number }) => number));
}

async function newerThan(daemon: StateDaemon, guest: string, number: number): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const found = await newest(daemon, guest);
    if (found > number) return found;
    await sleep(100);
  }
  throw new Error(`no snapshot after number ${number}`);
}

test('a guest that changes has a new snapshot by itself, one that does not has none', async (context) => {
  const directory = directoryFor(context);
  const options = { journal: 'snapshot', snapshotSeconds: 1 };
  const daemon = await openDaemon(context, directory, options);
  for (const name of ['busy', 'idle']) await daemon.createGuest(name, { order: 18 });
  await newerThan(daemon, 'busy', 0);
  await sleep(1500);
  const idle = await newest(daemon, 'idle');
  let busy = await newest(daemon, 'busy');
  for (let i = 0; i < 3; i++) {
    await daemon.call('busy', 'H_ENTER', { ptex: 8 * i, ...PAGE });
    busy = await newerThan(daemon, 'busy', busy);
  }
  assert.equal(await newest(daemon, 'idle'), idle);
});
