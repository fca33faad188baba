/** What a guest's state was changed to is there after a kill, like what its hcalls did. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRest } from '../../src/client/rest.ts';
import { startDaemon } from './daemon.ts';
import { folder } from './journaled-guest.ts';

test('paused stays paused and running goes on, whenever the daemon is killed', async (context) => {
  const options = { stateDir: folder(context), journal: 'journal' };
  let life = startDaemon(options);
  context.after(() => life.end('SIGKILL'));
  await connectRest(await life.url, {}).createGuest('g', { order: 18, ramBytes: 2 ** 24 });
  const enter = { ptex: '0x8', pteh: '0x400001', ptel: '0x12' };
  for (const state of ['paused', 'running', 'paused', 'running']) {
    const before = connectRest(await life.url, {});
    await before.send('PATCH', '/v1/guests/g', { state });
    if (state === 'running') await before.send('POST', '/v1/guests/g/hcalls/H_ENTER', enter);
    await life.end('SIGKILL');
    life = startDaemon(options);
    const after = connectRest(await life.url, {});
    assert.equal(((await after.send('GET', '/v1/guests/g')) as { state: string }).state, state);
  }
  const statistics = await connectRest(await life.url, {}).send(
    'GET',
    '/v1/guests/g/hpt/statistics',
  );
  assert.equal((statistics as { occupied: number }).occupied, 2);
});
