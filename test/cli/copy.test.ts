/** `hptd copy` under load: nothing lost, and whatever goes wrong leaves the source as it was. HPTD_SEED=n repeats a run. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serve, type Daemon } from '../../src/main.ts';
import { CancelledError, copyGuest } from '../../src/cli/copy/copy.ts';
import { placeOf, placeText } from '../../src/cli/copy/place.ts';
import { seedOf } from '../schemas/seed.ts';
import {
  entriesOf,
  fullTable,
  getPass,
  putChunks,
  recordsOf,
  send,
} from '../transports/htab-support.ts';
import { startLoad } from './copy-load.ts';

const ORDER = 20;
const SLOTS = 2 ** (ORDER - 4);
const GUEST = '/v1/guests/g';

async function openDaemon(context: TestContext): Promise<Daemon> {
  const daemon = await serve({ listen: '127.0.0.1:0', processors: 1, logLevel: 'silent' });
  context.after(() => daemon.close());
  return daemon;
}

async function tableOf(daemon: Daemon, guest = GUEST): Promise<Map<number, string>> {
  return entriesOf(recordsOf((await getPass(daemon, `${guest}/htab`)).bytes));
}

/** A daemon whose guest has a full table and works on it. */
async function openSource(context: TestContext, config: Record<string, unknown> = {}) {
  const daemon = await openDaemon(context);
  const given = { order: ORDER, ramBytes: 2 ** 30, state: 'paused', ...config };
  assert.equal((await send(daemon, 'PUT', GUEST, given)).status, 201);
  assert.equal((await putChunks(daemon, `${GUEST}/htab`, [fullTable(ORDER)])).status, 200);
  await send(daemon, 'PATCH', GUEST, { state: 'running' });
  const { seed } = seedOf(context);
  const load = await startLoad(daemon.url, 'g', SLOTS, seed, await tableOf(daemon));
  context.after(() => load.close());
  return { daemon, load };
}

const from = ({ url }: Daemon) => ({ daemon: url, guest: 'g' });
const never = new AbortController().signal;

/** The source runs, its stream is answered, and its table is what it was told. */
async function runsAsBefore({ daemon, load }: Awaited<ReturnType<typeof openSource>>) {
  const before = load.acknowledged();
  for (let tries = 0; load.acknowledged() < before + 2000; tries++) {
    assert.ok(tries < 100, 'the source answers no more');
    await sleep(50);
  }
  assert.equal((await send(daemon, 'GET', GUEST)).json.state, 'running');
  load.stop();
  await load.drained();
  assert.deepEqual(await tableOf(daemon), load.expected);
}

for (const isa300 of [false, true]) {
  test(`a copy under load holds exactly what was acknowledged (isa300 ${isa300})`, async (context) => {
    const source = await openSource(context, { isa300 });
    const target = await openDaemon(context);
    const began = source.load.acknowledged();
    const report = await copyGuest({
      from: from(source.daemon),
      to: { daemon: target.url, guest: 'h' },
      deleteSource: false,
      signal: never,
    });
    source.load.stop();
    assert.ok(source.load.acknowledged() > began, 'it worked meanwhile');
    assert.deepEqual(
      [report.state, report.attempts, report.order, report.passes.at(-1)!.whilePaused],
      ['running', 1, ORDER, true],
    );
    const copied = await tableOf(target, '/v1/guests/h');
    // What was executed before the pause may still be on its way to the client.
    for (let tries = 0; tries < 100; tries++) {
      if (copied.size === source.load.expected.size) break;
      await sleep(50);
    }
    await sleep(200);
    assert.deepEqual(copied, source.load.expected);
    assert.equal((await send(source.daemon, 'GET', GUEST)).json.state, 'paused');
    const { json } = await send(target, 'GET', '/v1/guests/h');
    assert.deepEqual([json.state, json.isa300, json.ramBytes], ['running', isa300, 2 ** 30]);
  });
}

const STEPS = [/^creating/, /^pass 1$/, /^pass 2/, /^pausing/, /paused$/, /^comparing/];

test('cancelled at any step: the source goes on, and no copy is left', async (context) => {
  const source = await openSource(context);
  const target = await openDaemon(context);
  for (const step of STEPS) {
    const controller = new AbortController();
    const copying = copyGuest({
      from: from(source.daemon),
      to: from(target),
      deleteSource: true,
      signal: controller.signal,
      onStep: (now) => {
        if (step.test(now)) controller.abort();
      },
    });
    await assert.rejects(copying, CancelledError, String(step));
    assert.equal((await send(target, 'GET', GUEST)).status, 404, String(step));
    assert.equal((await send(source.daemon, 'GET', GUEST)).json.state, 'running', String(step));
  }
  await runsAsBefore(source);
});

test('a destination killed at any step: the source goes on', async (context) => {
  const source = await openSource(context);
  for (const step of [...STEPS, /^handing over/]) {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('../operations/daemon-process.ts', import.meta.url)), '127.0.0.1:0'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    context.after(() => child.kill('SIGKILL'));
    const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
    const copying = copyGuest({
      from: from(source.daemon),
      to: { daemon: line.trim(), guest: 'g' },
      deleteSource: true,
      signal: never,
      onStep: (now) => {
        if (step.test(now)) child.kill('SIGKILL');
      },
    });
    await assert.rejects(copying, { name: 'UnavailableError' }, String(step));
    assert.equal((await send(source.daemon, 'GET', GUEST)).json.state, 'running', String(step));
  }
  await runsAsBefore(source);
});

test('a table that is resized meanwhile: the copy begins again, and is right', async (context) => {
  const daemon = await openDaemon(context);
  const target = await openDaemon(context);
  await send(daemon, 'PUT', GUEST, { order: 24, ramBytes: 2 ** 30, state: 'paused' });
  await putChunks(daemon, `${GUEST}/htab`, [fullTable(20)]);
  await send(daemon, 'PATCH', GUEST, { state: 'running' });
  let resized: Promise<{ status: number }> | undefined;
  const report = await copyGuest({
    from: from(daemon),
    to: from(target),
    deleteSource: true,
    signal: never,
    onStep: (now) => {
      if (now === 'pass 2')
        resized ??= send(daemon, 'POST', `${GUEST}/control/HPT_RESIZE`, { order: 25 });
    },
  });
  assert.equal((await resized)!.status, 200);
  assert.deepEqual([report.attempts, report.order, report.sourceDeleted], [2, 25, true]);
  assert.equal((await send(daemon, 'GET', GUEST)).status, 404);
  const { json } = await send(target, 'GET', `${GUEST}/hpt/hash`);
  assert.deepEqual([json.fnv1a64, json.order], [report.fnv1a64, 25]);
});

test('slots behind a hole keep their numbers; a paused guest stays paused; a name that is taken is refused', async (context) => {
  const daemon = await openDaemon(context);
  const memslots = [0, 1, 2].map((i) => ({ base: `0x${i}0000000`, bytes: 2 ** 24 }));
  await send(daemon, 'PUT', GUEST, { order: 18, memslots, state: 'paused' });
  await send(daemon, 'DELETE', `${GUEST}/memslots/1`);
  const to = { daemon: daemon.url, guest: 'h' };
  const options = { from: from(daemon), to, deleteSource: false, signal: never };
  assert.equal((await copyGuest(options)).state, 'paused');
  const [one, other] = [
    await send(daemon, 'GET', GUEST),
    await send(daemon, 'GET', '/v1/guests/h'),
  ];
  assert.deepEqual(other.json.memslots, one.json.memslots);
  assert.equal(other.json.state, 'paused');
  await assert.rejects(copyGuest(options), /there is a guest .*\/h already/);
  await send(daemon, 'PUT', '/v1/guests/radix', { order: 0 });
  const radix = await copyGuest({
    ...options,
    from: { daemon: daemon.url, guest: 'radix' },
    to: { daemon: daemon.url, guest: 'radix2' },
  });
  assert.deepEqual([radix.fnv1a64, radix.passes, radix.state], [null, [], 'running']);
});

/** The command as it is typed; `input` comes in on standard input. */
async function hptd(words: readonly string[], input?: Uint8Array) {
  const front = fileURLToPath(new URL('../../src/cli/hptd.ts', import.meta.url));
  const child = spawn(process.execPath, [front, ...words], { stdio: 'pipe' });
  const out: Buffer[] = [];
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => (errors += String(chunk)));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const code = once(child, 'close').then(([exitCode]) => exitCode as number);
  return { child, code, out: () => Buffer.concat(out), errors: () => errors };
}

test('the commands: copy cancelled by Ctrl-C, copy, dump and load', async (context) => {
  const source = await openSource(context);
  const target = await openDaemon(context);
  const place = placeText(from(source.daemon));
  const cancelled = await hptd(['copy', place, target.url, '--delete-source']);
  for (let tries = 0; ; tries++) {
    assert.ok(tries < 2000, 'it began');
    if ((await send(source.daemon, 'GET', GUEST)).json.state !== 'running') break;
    await sleep(5);
  }
  cancelled.child.kill('SIGINT');
  assert.equal(await cancelled.code, 130, cancelled.errors());
  assert.match(cancelled.errors(), /cancelled: .* is as it was/);
  await runsAsBefore(source);

  const copied = await hptd(['copy', 'g', target.url, '--url', source.daemon.url, '--json']);
  assert.equal(await copied.code, 0, copied.errors());
  assert.equal(JSON.parse(String(copied.out())).state, 'running');
  assert.deepEqual(await tableOf(target), source.load.expected);

  const dumped = await hptd(['dump', 'g', '--url', target.url]);
  assert.equal(await dumped.code, 0, dumped.errors());
  await send(target, 'PUT', '/v1/guests/h', { order: ORDER, ramBytes: 2 ** 30, state: 'paused' });
  const loaded = await hptd(['load', 'h', '--url', target.url, '--json'], dumped.out());
  assert.equal(await loaded.code, 0, loaded.errors());
  assert.deepEqual(await tableOf(target, '/v1/guests/h'), source.load.expected);
  const refused = await hptd(['load', 'g', '--url', target.url], dumped.out());
  assert.equal(await refused.code, 65);
  assert.match(refused.errors(), /g is running: a table is loaded into a paused guest/);
});

test('places, as they are typed', () => {
  const here = 'http://127.0.0.1:7808';
  for (const [text, daemon, guest] of [
    ['g', here, 'g'],
    ['http://127.0.0.1:1/g', 'http://127.0.0.1:1', 'g'],
    ['http://127.0.0.1:1/v1/guests/g', 'http://127.0.0.1:1', 'g'],
    ['http://127.0.0.1:1', 'http://127.0.0.1:1', 'same'],
    ['http://127.0.0.1:1/', 'http://127.0.0.1:1', 'same'],
    ['unix:/run/hptd.sock', 'unix:/run/hptd.sock', 'same'],
    ['unix:/run/hptd.sock:g', 'unix:/run/hptd.sock', 'g'],
  ] as const) {
    const place = placeOf(text, here, 'same');
    assert.deepEqual(place, { daemon, guest }, text);
    assert.deepEqual(placeOf(placeText(place), here), place);
  }
  assert.throws(() => placeOf('http://127.0.0.1:1', here), /names no guest/);
  for (const text of ['http://127.0.0.1:1/a/b', 'ftp://h/g', 'unix:'])
    assert.throws(() => placeOf(text, here, 'same'), TypeError, text);
});
