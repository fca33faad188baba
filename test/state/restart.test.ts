/**
 * A daemon that ends and is there again: guests are as they were, to the last bit that decides an answer, and go on where
 * they stopped. Recorded conversations of real guests go through several restarts without a mismatch.
 *
 * The seed is printed; HPTD_SEED gives it back.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { streamUrl } from '../../src/client/address.ts';
import { connectStream } from '../../src/client/stream.ts';
import type { AnswerListener, HcallStream } from '../../src/client/stream.ts';
import { guestConfigFor, loadPlan } from '../../src/cli/replay/files.ts';
import { runPlan } from '../../src/cli/replay/run.ts';
import type { ReplayStream } from '../../src/cli/replay/run.ts';
import type { StateDaemon } from './daemons.ts';
import { openDaemon } from './daemons.ts';
import { directoryFor } from './images.ts';
import { randomFrom } from '../rings/random.ts';

const PAGE = { pteh: '0x400001', ptel: '0x12' };

/** Everything that can be asked about a guest without changing it. */
async function looks(daemon: StateDaemon, guest: string): Promise<unknown[]> {
  const path = `/v1/guests/${guest}`;
  const paths = [
    '',
    '/memslots',
    '/hpt/resize',
    '/hpt/hash',
    '/hpt/entries/0x2000',
    '/hpt/groups/0x401',
  ];
  const found: unknown[] = [];
  for (const one of paths) {
    const { status, json: shown } = await daemon.ask('GET', `${path}${one}`);
    found.push([status, { ...shown, traceId: undefined }]);
  }
  const { json } = await daemon.ask('GET', `${path}/hpt/statistics`);
  found.push({ ...json, processors: [], traceId: undefined });
  for (const gpa of ['0x0', '0x10000', '0x20000'])
    found.push(await daemon.control(guest, 'ENTRY_INSPECT', { ptex: '0x2000' }), gpa);
  return found;
}

/** Something of everything that a guest can have. */
async function furnish(daemon: StateDaemon): Promise<void> {
  for (let i = 0; i < 8; i++) {
    const pteh = `0x${(0x400001n + (BigInt(i) << 12n)).toString(16)}`;
    await daemon.call('g', 'H_ENTER', {
      ptex: 0x2000 + 8 * i,
      pteh,
      ptel: `0x${(i * 0x10000 + 0x192).toString(16)}`,
    });
  }
  await daemon.call('g', 'H_ENTER', {
    flags: ['H_ZERO_PAGE'],
    ptex: 0x2008,
    pteh: '0x501001',
    ptel: '0x30192',
  });
  await daemon.send('POST', '/v1/guests/g/hpt/walk', { ea: '0x0', slbv: '0x400000', store: true });
  await daemon.control('g', 'SET_RC', { ptex: 0x2008, bits: '0x180', absentToo: 0 });
  await daemon.control('g', 'HTAB_OPEN', { start: 0, flags: 0 });
  await daemon.send('PUT', '/v1/guests/g/memslots/5', {
    base: '0x40000000',
    bytes: 2 ** 24,
    kind: 'ci',
  });
  await daemon.send('PUT', '/v1/guests/g/memslots/6', { base: '0x50000000', bytes: 2 ** 24 });
  await daemon.send('DELETE', '/v1/guests/g/memslots/6');
  await daemon.send('POST', '/v1/guests/g/host/unmap', { gpa: '0x1000000' });
  await daemon.send('POST', '/v1/guests/g/host/read-only', { gpa: '0x20000' });
  await daemon.send('POST', '/v1/guests/g/hpt/resize', { order: 19 });
  for (let state = ''; state !== 'ready'; )
    ({ state } = (await daemon.send('GET', '/v1/guests/g/hpt/resize')) as { state: string });
}

test('a guest is as it was: table, memory slots, host pages, resize, state, memory', async (context) => {
  const directory = directoryFor(context);
  let daemon = await openDaemon(context, directory);
  const config = { order: 18, memory: 'backed', slotSearch: 'two-pass', isa300: true };
  await daemon.createGuest('g', { ...config, ramBytes: 2 ** 28 });
  await daemon.createGuest('paused', { order: 19, state: 'paused' });
  await daemon.createGuest('none', { order: 0, hostPageBytes: 4096 });
  await furnish(daemon);
  const before = {
    g: await looks(daemon, 'g'),
    paused: await looks(daemon, 'paused'),
    none: await looks(daemon, 'none'),
  };
  await daemon.daemon.close();

  daemon = await openDaemon(context, directory);
  const after = {
    g: await looks(daemon, 'g'),
    paused: await looks(daemon, 'paused'),
    none: await looks(daemon, 'none'),
  };
  assert.deepEqual(after, before);
  // What was noted for later: R and C of the walk, the reader that is open, the page that went away.
  const age = await daemon.send('POST', '/v1/guests/g/host/age', { gpa: '0x0' });
  assert.deepEqual(age, { gpa: '0x0', referenced: true });
  const dirty = (await daemon.send('POST', '/v1/guests/g/host/dirty', {
    gpa: '0x0',
    bytes: 2 ** 20,
  })) as { dirty: number };
  assert.ok(dirty.dirty >= 2, JSON.stringify(dirty));
  const pass = await daemon.control('g', 'HTAB_READ', { reader: 0, bytes: 4096 });
  assert.equal(pass['status'], 'H_SUCCESS');
  const away = await daemon.call('g', 'H_ENTER', {
    ptex: 0x2100,
    pteh: '0x700001',
    ptel: '0x1000192',
    explain: true,
  });
  assert.match(JSON.stringify(away), /kept ABSENT/);
  // The table that was prepared can be had.
  const commit = (await daemon.send('POST', '/v1/guests/g/hpt/resize/commit')) as {
    orderNow: number;
  };
  assert.equal(commit.orderNow, 19);
  const refused = await daemon.ask('POST', '/v1/guests/paused/hcalls/H_READ', { ptex: 0 });
  assert.equal(refused.json['code'], 'guest-paused');
  await daemon.daemon.close();
});

test('a guest that was deleted stays deleted, and its name is free', async (context) => {
  const directory = directoryFor(context);
  let daemon = await openDaemon(context, directory);
  await daemon.createGuest('g', { order: 18 });
  await daemon.call('g', 'H_ENTER', { ptex: 0, ...PAGE });
  await daemon.deleteGuest('g');
  assert.deepEqual(readdirSync(join(directory, 'guests')), []);
  await daemon.createGuest('g', { order: 20 });
  await daemon.daemon.close();
  daemon = await openDaemon(context, directory);
  const [guest, ...others] = await daemon.listGuests();
  assert.deepEqual([guest!['order'], others], [20, []]);
  await daemon.daemon.close();
});

/** A stream whose daemon ends, and is there again, before some of its frames. */
async function restlessStream(
  context: TestContext,
  directory: string,
  guest: string,
  isTime: () => boolean,
): Promise<ReplayStream & { restarts(): number; end(): Promise<void> }> {
  let [daemon, stream, listener] = [
    undefined as StateDaemon | undefined,
    undefined as HcallStream | undefined,
    (() => {}) as AnswerListener,
  ];
  let restarts = -1;
  async function restart(): Promise<void> {
    await stream?.drained();
    await stream?.close();
    await daemon?.daemon.close();
    daemon = await openDaemon(context, directory, { processors: 1 });
    stream = await connectStream(streamUrl(daemon.daemon.url, guest), { role: 'host' });
    stream.onAnswers(listener);
    restarts++;
  }
  await restart();
  return {
    hello: stream!.hello,
    async sendFrame(frame, records) {
      if (isTime()) await restart();
      await stream!.sendFrame(frame, records);
    },
    onAnswers(next) {
      listener = next;
      stream!.onAnswers(next);
    },
    drained: () => stream!.drained(),
    restarts: () => restarts,
    async end() {
      await stream!.close();
      await daemon!.daemon.close();
    },
  };
}

const SAMPLE = fileURLToPath(new URL('../../samples/boot-p8-64k.jsonl.gz', import.meta.url));
const SHARED = fileURLToPath(new URL('../../../shared/', import.meta.url));
/** Resizes, memory that comes and goes, table streams and host events are in these. */
const RECORDED = [
  'traces/06-resize-hotplug-p8-64k.jsonl.gz',
  'vectors/kvm-15-host.jsonl.gz',
  'vectors/kvm-17-resize.jsonl.gz',
  'vectors/kvm-18-htab.jsonl.gz',
].map((name) => join(SHARED, name));

async function replayWithRestarts(context: TestContext, path: string, restartsMax: number) {
  const seed = Number(process.env['HPTD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const directory = directoryFor(context);
  const plan = await loadPlan(path);
  const first = await openDaemon(context, directory, { processors: 1 });
  await first.createGuest('g', guestConfigFor(plan.header));
  await first.daemon.close();
  const random = randomFrom(seed);
  let [frames, restarts] = [0, 0];
  const about = Math.max(1, Math.floor(plan.events / 4000 / restartsMax));
  const stream = await restlessStream(context, directory, 'g', () => {
    frames++;
    const isTime = restarts < restartsMax && random.below(about) === 0;
    if (isTime) restarts++;
    return isTime;
  });
  const result = await runPlan(plan, stream);
  await stream.end();
  context.diagnostic(
    `HPTD_SEED=${seed}: ${plan.events} events in ${frames} frames, ${stream.restarts()} restarts`,
  );
  assert.deepEqual([result.mismatches, result.first], [0, []]);
  assert.notEqual(result.tableMatches, false, result.tableNotes.join());
  assert.ok(stream.restarts() > 0);
}

test('a boot goes through restarts without a mismatch', async (context) =>
  replayWithRestarts(context, SAMPLE, 2));

for (const path of RECORDED) {
  test(
    `so does ${path.slice(SHARED.length)}`,
    {
      skip: existsSync(path) ? false : `${path} is not at hand`,
    },
    async (context) => replayWithRestarts(context, path, 3),
  );
}
