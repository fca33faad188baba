/** A disk that is slow, fails or is full: nothing is answered before it is on disk, nothing is lost, and memory has a bound. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { guestConfig } from '../../schemas/guests.ts';
import { CREDIT_BYTES, JOURNAL_BACKLOG_BYTES_MAX } from '../../schemas/limits.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { openDisk } from './disk.ts';
import { call, enter, folder, openAsker, openJournaledGuest, restart } from './journaled-guest.ts';
import { differenceOf } from './memory-difference.ts';

const LONG_MILLIS = 60_000;
const config = guestConfig.parse({ order: 18, ramBytes: 2 ** 24, memory: 'backed' });
const module = await compileEngine();

async function open(context: TestContext) {
  const directory = folder(context);
  const disk = openDisk();
  const pool = await startPool(module, 2);
  const live = openJournaledGuest(pool, config, directory, { open: disk.open });
  const endAll = async (): Promise<void> => {
    disk.trouble = undefined;
    disk.openGate();
    await live.end();
    await stopPool(pool);
  };
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => (ended ??= endAll());
  // A test that fails ends too.
  context.after(end);
  return { directory, disk, live, end, guest: live.guest, journal: live.journal };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const latest = performance.now() + LONG_MILLIS;
  while (!isSo()) {
    if (performance.now() > latest) throw new Error(`waited in vain: ${what}`);
    await sleep(5);
  }
}

/** The stamps given by now: so many items of answers were made. */
function stampsOf({ memory, map }: Awaited<ReturnType<typeof open>>['live']): number {
  return new Uint32Array(memory.buffer, map.STAMPS, 1)[0]!;
}

test('no answer goes out before it is on disk, on any stream', async (context) => {
  const { disk, guest, live, directory, end } = await open(context);
  const streams = [openAsker(guest, 'guest'), openAsker(guest, 'host'), openAsker(guest, 'guest')];
  await Promise.all(streams.map((stream, i) => stream.ask([enter(8 * i)])));
  disk.closeGate();
  const before = stampsOf(live);
  const { syncs } = disk;
  const asked = streams.map((stream, i) => stream.ask([enter(8 * i + 1)]));
  const overRest = guest.run([enter(100)]);
  await until('everything is executed', () => stampsOf(live) >= before + 4);
  // It could be answered now if nobody held it back.
  await sleep(50);
  assert.deepEqual(
    streams.map(({ answers }) => answers.length),
    [1, 1, 1],
  );
  assert.equal(disk.syncs, syncs);
  disk.openGate();
  await Promise.all([...asked, overRest]);
  await end();
  const again = restart(module, config, directory);
  assert.equal(differenceOf(live, again.memory), undefined);
});

for (const [code, at] of [
  ['ENOSPC', 'write'],
  ['EIO', 'sync'],
] as const) {
  test(`${code} from ${at}: no answer until the disk takes it, then all of them`, async (context) => {
    const { disk, guest, live, directory, end } = await open(context);
    const asker = openAsker(guest, 'guest');
    await asker.ask([enter(0)]);
    disk.trouble = { code, at };
    const asked = [1, 2, 3].map((slot) => asker.ask([enter(slot)]));
    await until('the journal says so', () => live.troubles.length > 0);
    assert.match(live.troubles[0]!, new RegExp(code));
    assert.equal(asker.answers.length, 1);
    assert.match(live.journal.facts().trouble!, new RegExp(code));
    disk.trouble = undefined;
    await Promise.all(asked);
    assert.equal(live.troubles.length, 2, 'said once each');
    assert.equal(live.journal.facts().trouble, undefined);
    await end();
    const again = restart(module, config, directory);
    assert.equal(differenceOf(live, again.memory), undefined);
    assert.equal(again.records, 4);
  });
}

test('a guest can be deleted while the disk refuses', async (context) => {
  const { disk, guest, end } = await open(context);
  const asker = openAsker(guest, 'guest');
  await asker.ask([enter(0)]);
  disk.trouble = { code: 'ENOSPC', at: 'write' };
  const asked = asker.ask([enter(1)]);
  await guest.finish({ kind: 'deleted' }, 50);
  await asked;
  assert.ok(asker.isEnded());
  assert.equal(asker.answers.length, 1, 'what is not on disk is not acknowledged');
  await end();
});

/** A quarter of a megabyte of guest memory to be written. */
function largeFrame(): Uint8Array {
  const data = Array<bigint>(3900).fill(0x0102_0304_0506_0708n);
  return encodeRequests(
    Array.from({ length: 8 }, (_, i) => call('MEMORY_WRITE', [BigInt(i) << 16n, ...data])),
  );
}

test('frames that are never executed do not fill the journal for ever', async (context) => {
  const { guest, live, journal, directory, end } = await open(context);
  await guest.changeState('paused');
  // In front an hcall: what is behind it waits, and ends with its stream.
  const frame = Buffer.concat([encodeRequests([enter(0)]), largeFrame()]);
  const streams = Array.from({ length: 36 }, () => openAsker(guest, 'host'));
  for (const { stream } of streams) for (let i = 0; i < 2; i++) stream.submit(frame);
  assert.ok(journal.facts().backlogBytes > JOURNAL_BACKLOG_BYTES_MAX, 'the test did not fill it');
  for (const { stream } of streams) stream.close();
  await until('the streams are gone', () => guest.status().streams === 0);
  await guest.changeState('running');
  const asker = openAsker(guest, 'guest');
  await asker.ask([enter(8)]);
  assert.equal(asker.answers.length, 1);
  await end();
  const again = restart(module, config, directory);
  assert.equal(differenceOf(live, again.memory), undefined);
});

test('what waits for the disk has a limit, then frames wait with their streams', async (context) => {
  const { disk, guest, live, journal, directory, end } = await open(context);
  const STREAMS = 60;
  const frame = largeFrame();
  const streams = Array.from({ length: STREAMS }, () => openAsker(guest, 'host'));
  disk.closeGate();
  streams[0]!.stream.submit(encodeRequests([enter(0)]));
  // Each stream is sent as much as it takes, over and over: executed frames give their credits back.
  for (let round = 0; round < 40; round++) {
    for (const { stream } of streams) while (stream.submit(frame) === 'accepted');
    await sleep(10);
  }
  const most = JOURNAL_BACKLOG_BYTES_MAX + frame.byteLength + 2 ** 20;
  const { backlogBytes } = journal.facts();
  assert.ok(backlogBytes > JOURNAL_BACKLOG_BYTES_MAX, 'the test did not fill it');
  assert.ok(backlogBytes < most, `${backlogBytes} bytes wait for the disk`);
  const { submittedBytes } = guest.ringFill();
  assert.ok(
    submittedBytes <= STREAMS * CREDIT_BYTES,
    `${submittedBytes} bytes wait with the streams`,
  );
  disk.openGate();
  await until('everything is executed and on disk', () => {
    const { submittedBytes: waiting, answerBytes } = guest.ringFill();
    return waiting === 0 && answerBytes === 0;
  });
  await end();
  const again = restart(module, config, directory);
  assert.equal(differenceOf(live, again.memory), undefined);
});
