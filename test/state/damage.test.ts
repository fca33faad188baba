/** Files that are damaged, directories that are taken, disks that are full: each is said, and nothing is half-loaded. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import pino from 'pino';
import { openState } from '../../src/state/state.ts';
import { node } from '../end-to-end/child.ts';
import { ROOT } from '../end-to-end/fresh-tree.ts';
import { openDaemon } from './daemons.ts';
import type { StateDaemon } from './daemons.ts';
import { directoryFor } from './images.ts';

const enter = (daemon: StateDaemon, guest: string, i: number) =>
  daemon.call(guest, 'H_ENTER', {
    ptex: 8 * i,
    pteh: `0x${((BigInt(i) + 1n) << 12n).toString(16).replace(/0$/, '1')}`,
    ptel: '0x192',
  });

const hashOf = async (daemon: StateDaemon, guest: string): Promise<unknown> =>
  (await daemon.ask('GET', `/v1/guests/${guest}/hpt/hash`)).json['fnv1a64'];

async function nextStarts(
  context: TestContext,
  directory: string,
  newest: string,
  before: unknown,
): Promise<void> {
  // Not used unasked by the next start either; then as the advice says.
  let daemon = await openDaemon(context, directory);
  assert.equal((await daemon.ask('GET', '/v1/guests/bad')).json['code'], 'guest-damaged');
  await daemon.daemon.close();
  rmSync(`${newest}.damaged`);
  daemon = await openDaemon(context, directory);
  assert.equal(await hashOf(daemon, 'bad'), before);
  await daemon.daemon.close();
}

test('a damaged image is set aside, its guest is not started, and the others are', {
  timeout: 120_000,
}, async (context) => {
  const directory = directoryFor(context);
  let daemon = await openDaemon(context, directory);
  for (const name of ['good', 'bad', 'foreign']) {
    await daemon.createGuest(name, { order: 18 });
    await enter(daemon, name, 1);
  }
  await daemon.send('POST', '/v1/guests/bad/snapshots');
  const before = await hashOf(daemon, 'bad');
  await enter(daemon, 'bad', 2);
  const good = await hashOf(daemon, 'good');
  await daemon.daemon.close();
  const place = join(directory, 'guests', 'bad');
  const newest = join(place, '3.image');
  const bytes = readFileSync(newest);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(newest, bytes);
  // Whose image is another guest's is not started either; the file stays where it is.
  const foreign = join(directory, 'guests', 'foreign', '9.image');
  writeFileSync(foreign, readFileSync(join(directory, 'guests', 'good', '2.image')));

  daemon = await openDaemon(context, directory);
  assert.deepEqual(
    (await daemon.listGuests()).map(({ name }) => name),
    ['good'],
  );
  assert.equal(await hashOf(daemon, 'good'), good);
  for (const [name, what] of [
    ['bad', /checksum.*to go on from the snapshot before, .*2\.image, remove .*3\.image\.damaged/],
    ['foreign', /an image of the guest good.*hptd delete foreign/],
  ] as const) {
    const { status, json } = await daemon.ask('GET', `/v1/guests/${name}`);
    assert.deepEqual([status, json['code']], [409, 'guest-damaged']);
    assert.match(String(json['detail']), what);
    const made = await daemon.ask('PUT', `/v1/guests/${name}`, { order: 18 });
    assert.equal(made.json['code'], 'guest-damaged');
  }
  const { damaged } = (await daemon.send('GET', '/v1/state')) as {
    damaged: { kind: string; file: string }[];
  };
  assert.deepEqual(
    damaged.map(({ kind, file }) => [kind, file]),
    [
      ['damaged', `${newest}.damaged`],
      ['foreign', foreign],
    ],
  );
  assert.match(
    String((await daemon.ask('GET', '/metrics')).json['text']),
    /hptd_state_damaged 2\n/,
  );
  await daemon.deleteGuest('foreign');
  await daemon.createGuest('foreign', { order: 18 });
  await daemon.daemon.close();

  await nextStarts(context, directory, newest, before);
});

test('what cannot be written is seen in /readyz, metrics and the answer, and gets better by itself', {
  timeout: 120_000,
}, async (context) => {
  const directory = directoryFor(context);
  const daemon = await openDaemon(context, directory);
  await daemon.createGuest('g', { order: 18 });
  const obstacle = join(directory, 'guests', 'g', '2.tmp');
  mkdirSync(obstacle);
  await enter(daemon, 'g', 1);
  const { status, json } = await daemon.ask('POST', '/v1/guests/g/snapshots');
  assert.deepEqual([status, json['code']], [507, 'state-unwritable']);
  const notReady = await daemon.ask('GET', '/readyz');
  assert.deepEqual([notReady.status, notReady.json['code']], [503, 'state-failing']);
  assert.match(
    String((await daemon.ask('GET', '/metrics')).json['text']),
    /hptd_state_failing 1\n/,
  );
  assert.equal((await enter(daemon, 'g', 2))['status'], 'H_SUCCESS');
  rmdirSync(obstacle);
  while ((await daemon.ask('GET', '/readyz')).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(readdirSync(join(directory, 'guests', 'g')).toSorted(), ['1.image', '2.image']);
  const made = join(directory, 'guests', '.new-h');
  writeFileSync(made, '');
  mkdirSync(join(directory, 'guests', 'h'));
  mkdirSync(join(directory, 'guests', 'h', 'x'));
  const refused = await daemon.ask('PUT', '/v1/guests/h', { order: 18 });
  assert.deepEqual([refused.status, refused.json['code']], [507, 'state-unwritable']);
  assert.deepEqual(
    (await daemon.listGuests()).map(({ name }) => name),
    ['g'],
  );
  await daemon.daemon.close();
});

test('a daemon that cannot keep a guest when it ends says so', {
  timeout: 60_000,
}, async (context) => {
  const directory = directoryFor(context);
  const daemon = await openDaemon(context, directory);
  await daemon.createGuest('g', { order: 18 });
  await enter(daemon, 'g', 1);
  mkdirSync(join(directory, 'guests', 'g', '2.tmp'));
  await assert.rejects(daemon.daemon.close(), { name: 'ImageWriteError', code: 'EEXIST' });
});

test('a directory has one daemon, and one that cannot be used is refused', async (context) => {
  const directory = directoryFor(context);
  const options = {
    durability: 'none',
    snapshotSeconds: 1,
    log: pino({ level: 'silent' }),
  } as const;
  const state = openState({ ...options, directory });
  assert.throws(() => openState({ ...options, directory }), { name: 'StateTakenError' });
  const serve = [
    'src/cli/start.mjs',
    'serve',
    '--listen',
    '127.0.0.1:0',
    '--socket',
    'none',
    '--state-dir',
  ];
  const file = join(directory, 'file');
  writeFileSync(file, '');
  const [taken, unusable] = await Promise.all([
    node([...serve, directory], ROOT),
    node([...serve, join(file, 'in')], ROOT),
  ]);
  assert.equal(taken.code, 69);
  assert.match(
    taken.err,
    /is the state of another daemon \(process \d+, since .*\); .*--state-dir/,
  );
  assert.equal(unusable.code, 73);
  assert.match(unusable.err, /cannot be used \(ENOTDIR.*--state-dir/);
  await state.close();
  await openState({ ...options, directory }).close();
});

test('snapshots on the command line: taken, listed, described, and a damaged one refused', {
  timeout: 120_000,
}, async (context) => {
  const directory = directoryFor(context);
  const daemon = await openDaemon(context, directory);
  const hptd = (...words: string[]) =>
    node(['src/cli/start.mjs', ...words], ROOT, { HPTD_URL: daemon.daemon.url });
  await daemon.createGuest('g', {
    order: 18,
    memslots: [{ base: '0x0', bytes: 2 ** 24, kind: 'ram' }],
  });
  const taken = await hptd('snapshot', 'g', '--json');
  const { file, number } = JSON.parse(taken.out) as { file: string; number: number };
  assert.equal(number, 2);
  const [list, described, json, none] = await Promise.all([
    hptd('snapshot', 'g', '--list'),
    hptd('snapshot', 'describe', file),
    hptd('snapshot', 'describe', file, '--json'),
    hptd('snapshot', 'nobody'),
  ]);
  assert.match(list.out, /2 .*2\.image\n +1 .*1\.image/);
  assert.match(described.out, /2\.image: whole\n {2}guest {6}g, running, a table of order 18\n/);
  const { header } = JSON.parse(json.out) as { header: { config: { memslots: unknown } } };
  assert.deepEqual(header.config.memslots, [{ base: '0x0', bytes: 2 ** 24, kind: 'ram' }]);
  assert.equal(none.code, 65);
  writeFileSync(`${file}.cut`, readFileSync(file).subarray(0, 1000));
  const cut = await hptd('snapshot', 'describe', `${file}.cut`);
  assert.equal(cut.code, 65);
  assert.match(cut.err, /ends at byte 1000, in the middle; use the snapshot before/);
  await daemon.daemon.close();
  const off = await openDaemon(context, directory, { stateDir: undefined });
  await off.createGuest('g', { order: 18 });
  assert.equal((await off.ask('GET', '/v1/state')).json['code'], 'state-off');
  assert.equal((await off.ask('POST', '/v1/guests/g/snapshots')).json['code'], 'state-off');
  await off.daemon.close();
});
