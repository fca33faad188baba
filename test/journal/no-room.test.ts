/** A daemon whose disk is full: it says so everywhere, answers nothing, does not fall over, and goes on when there is room. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { FLAGS } from '../../schemas/flags.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { connectRest, connectStream, streamUrl } from '../../src/client/index.ts';
import { startDaemon } from './daemon.ts';
import { call, folder } from './journaled-guest.ts';

const V = 0x1234_5600_0001n;
const LONG_MILLIS = 60_000;
/** Of a file: the journal of this test is longer before it ends. */
const FILE_BYTES_MAX = 4096;
const FRAME_CALLS = 200;

async function statusOf(url: string): Promise<number> {
  return (await fetch(url)).status;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const latest = performance.now() + LONG_MILLIS;
  while (!(await isSo())) {
    if (performance.now() > latest) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}

function limitFiles(pid: number, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', `${pid}`, `--fsize=${bytes}:`]);
}

test('no room: it is said, nothing is answered, and it goes on', async (context) => {
  const stateDir = folder(context);
  const life = startDaemon({ stateDir, journal: 'journal' });
  context.after(() => life.end('SIGKILL'));
  const url = await life.url;
  const rest = connectRest(url);
  await rest.createGuest('g', { order: 18, ramBytes: 2 ** 24 });
  const enter = { flags: ['H_EXACT'], ptex: '0x3ff8', pteh: '0x4000000000001001', ptel: '0x190' };
  assert.equal((await rest.call('g', 'H_ENTER', enter)).code, 0);
  assert.equal(await statusOf(`${url}/readyz`), 200);

  limitFiles(life.process.pid!, FILE_BYTES_MAX);
  const stream = await connectStream(streamUrl(url, 'g'));
  let answered = 0;
  stream.onAnswers((_, records) => {
    answered += records;
  });
  const calls = Array.from({ length: FRAME_CALLS }, (_, i) =>
    call('H_ENTER', [FLAGS.H_EXACT, BigInt(8 * i), V, 0x10n]),
  );
  void stream.sendFrame(encodeRequests(calls), calls.length);
  await until(
    'it says that it is not ready',
    async () => (await statusOf(`${url}/readyz`)) === 503,
  );
  assert.equal(answered, 0, 'answered before it was on disk');
  await assert.rejects(rest.call('g', 'H_REMOVE', { ptex: '0x3ff8', avpn: '0x0' }), {
    code: 'state-unwritable',
  });
  assert.match(await (await fetch(`${url}/metrics`)).text(), /hptd_journal_stalled\{guest="g"\} 1/);
  assert.match(life.log(), /"level":50.*the journal of g cannot be written: make room in /);

  limitFiles(life.process.pid!, 'unlimited');
  await stream.drained();
  assert.equal(answered, FRAME_CALLS);
  await until('it is ready again', async () => (await statusOf(`${url}/readyz`)) === 200);
  assert.match(life.log(), /the journal of g is written again/);
  await stream.close();
  await life.end('SIGKILL');

  const again = startDaemon({ stateDir, journal: 'journal' });
  context.after(() => again.end('SIGKILL'));
  const restAgain = connectRest(await again.url);
  assert.equal((await restAgain.call('g', 'H_REMOVE', { ptex: '0x3ff8', avpn: '0x0' })).code, 0);
  const last = `0x${(8 * (FRAME_CALLS - 1)).toString(16)}`;
  assert.equal((await restAgain.call('g', 'H_REMOVE', { ptex: last, avpn: '0x0' })).code, 0);
  assert.equal(await again.end('SIGTERM'), 0, again.log());
});
