/** The audit log of a whole daemon: who recorded a guest, and who opened a stream as its host, granted or refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect, RefusedError } from '../../src/client/index.ts';
import { start } from '../end-to-end/child.ts';
import { ROOT } from '../end-to-end/fresh-tree.ts';
import { accessFile } from './victim.ts';

type Line = Record<string, unknown>;

const HOLDERS = { ops: { scopes: ['admin'] }, emulator: { scopes: ['hcalls:g', 'read'] } };

async function openDaemon(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-audit-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const { file, tokens } = accessFile(folder, HOLDERS);
  const words = ['serve', '--listen', '127.0.0.1:0', '--processors', '1', '--access-file', file];
  const child = start(process.execPath, ['src/cli/hptd.ts', ...words], ROOT);
  context.after(() => child.end('SIGKILL'));
  const [, url] = await child.printed(/hptd is ready at (\S+)\n/);
  return {
    as: (name: string) => connect(url, { token: tokens[name] }),
    /** Ends the daemon, so that every line is there. */
    async lines(): Promise<Line[]> {
      assert.equal(await child.end('SIGTERM'), 0);
      return child
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Line)
        .filter(({ audit }) => audit === true);
    },
  };
}

test('who records, and who opens a host stream, is told by name', async (context) => {
  const daemon = await openDaemon(context);
  const [ops, emulator] = [daemon.as('ops'), daemon.as('emulator')];
  await ops.createGuest('g', { order: 18 });
  const recordings = '/v1/guests/g/recordings';
  await assert.rejects(emulator.send('POST', recordings, {}), RefusedError);
  await ops.send('POST', recordings, {});
  const host = await ops.rawStream('g', { role: 'host' });
  await assert.rejects(emulator.rawStream('g', { role: 'host' }), RefusedError);
  const guest = await emulator.rawStream('g');
  await Promise.all([host.close(), guest.close()]);
  await ops.send('PATCH', `${recordings}/1`, { state: 'ended' });
  await ops.send('DELETE', `${recordings}/1`);
  const told = (await daemon.lines()).map(({ action, who, status, guest: name, id }) => ({
    told: `${String(who)}: ${String(action)}, ${String(status)}`,
    where: id === undefined ? name : `${name as string} ${id as string}`,
  }));
  assert.deepEqual(told, [
    { told: 'ops: create a guest, 201', where: 'g' },
    { told: 'emulator: start a recording, 403', where: 'g' },
    { told: 'ops: start a recording, 201', where: 'g' },
    { told: 'ops: open a stream of the role host, 101', where: 'g' },
    { told: 'emulator: open a stream of the role host, 403', where: 'g' },
    { told: 'ops: end a recording, 200', where: 'g 1' },
    { told: 'ops: delete a recording, 204', where: 'g 1' },
  ]);
});
