/**
 * A daemon that is killed at random moments, by a real SIGKILL, and started again: each guest is whole and exactly as some
 * moment of its life, and no snapshot that was answered is lost. HPTD_KILLS asks for more kills.
 *
 * How is that told? Each guest is given one entry after the other, the same in every life, so a whole state of it is told by
 * how many it has: m entries, and they are the first m. Two streams of a guest take turns, so that a torn state would show.
 *
 * The seed is printed; HPTD_SEED gives it back, as far as moments can be repeated.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { encodeRequests } from '../../schemas/records.ts';
import { connectRest } from '../../src/client/rest.ts';
import type { Rest } from '../../src/client/rest.ts';
import { streamUrl } from '../../src/client/address.ts';
import { connectStream } from '../../src/client/stream.ts';
import type { HcallStream } from '../../src/client/stream.ts';
import { directoryFor } from './images.ts';
import { randomFrom } from '../rings/random.ts';

const GUESTS = ['a', 'b'];
const GROUPS = 2 ** 13;
const FRAME_RECORDS = 16;
/** A life ends when so many snapshots were answered, or one less, down to none; within so many milliseconds. */
const LIFE_SNAPSHOTS_MAX = 4;
const END_MILLIS_MAX = 100;
const LIFE_MILLIS_MAX = 20_000;
const PROCESS = fileURLToPath(new URL('./killed-daemon.ts', import.meta.url));

interface Life {
  readonly child: ChildProcess;
  readonly url: string;
  readonly rest: Rest;
}

async function begin(context: TestContext, directory: string): Promise<Life> {
  const child = spawn(process.execPath, [PROCESS, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  const [line] = (await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`))),
  ])) as [string];
  const url = line.trim();
  return { child, url, rest: connectRest(url) };
}

/** Entry number i of a guest: in group i of the table, over and over. */
function entry(i: number) {
  const H_EXACT = 1n << 39n;
  const ptex = BigInt((i % GROUPS) * 8 + Math.floor(i / GROUPS));
  return {
    opcode: 0x08,
    tag: i,
    words: [H_EXACT, ptex, ((BigInt(i) + 1n) << 12n) | 1n, (BigInt(i % 1024) << 16n) | 0x190n],
  };
}

/** How many entries it has; they must be the first ones. */
async function countOf(rest: Rest, guest: string): Promise<number> {
  const found = (await rest.send('GET', `/v1/guests/${guest}/hpt/statistics`)) as { valid: number };
  const { valid } = found;
  for (const i of [0, valid >> 1, valid - 1, valid, valid + 1]) {
    if (i < 0 || i >= 8 * GROUPS) continue;
    const { tag, words } = entry(i);
    const read = await rest.call(guest, 'H_READ', { ptex: `0x${words[1]!.toString(16)}` });
    const taken = BigInt(String(read['pteh0'])) & 1n;
    assert.equal(taken, i < valid ? 1n : 0n, `entry ${tag} of ${valid}`);
  }
  return valid;
}

/** Enters from number `first` on until the daemon is gone. `acknowledged` is told how many are answered for sure. */
async function enterOn(
  streams: readonly HcallStream[],
  first: number,
  acknowledged: (entries: number) => void,
): Promise<void> {
  for (let next = first; next + FRAME_RECORDS <= 8 * GROUPS; next += FRAME_RECORDS) {
    const records = Array.from({ length: FRAME_RECORDS }, (_, i) => entry(next + i));
    const stream = streams[(next / FRAME_RECORDS) % 2]!;
    await stream.sendFrame(encodeRequests(records), FRAME_RECORDS);
    await stream.drained();
    acknowledged(next + FRAME_RECORDS);
  }
}

/** Asks for snapshots until the daemon is gone; notes what was acknowledged before one that is answered. */
async function snapshotOn(
  rest: Rest,
  guest: string,
  acknowledged: () => number,
  kept: (entries: number) => void,
): Promise<void> {
  for (;;) {
    const before = acknowledged();
    await rest.send('POST', `/v1/guests/${guest}/snapshots`);
    kept(before);
  }
}

/** Looks at a guest, which is as it was found after a kill or made now, and begins to work on it. */
async function liveOn(
  { rest, url }: Life,
  guest: string,
  guests: readonly string[],
  promised: Map<string, number>,
  seen: number[],
  onSnapshot: () => void,
): Promise<Promise<void>[]> {
  const kept = promised.get(guest);
  // One that was full was deleted, and begins anew.
  if (!guests.includes(guest)) {
    assert.equal(kept, undefined, `${guest} was answered, and is gone`);
    await rest.createGuest(guest, { order: 20, ramBytes: 2 ** 26 });
    promised.set(guest, 0);
  }
  const first = await countOf(rest, guest);
  assert.ok(first >= (kept ?? 0), `${guest} has ${first} entries of ${kept} that were kept`);
  seen.push(first);
  if (first + 512 > 8 * GROUPS) {
    promised.delete(guest);
    await rest.deleteGuest(guest);
    return [];
  }
  const streams = await Promise.all(
    [0, 1].map(() => connectStream(streamUrl(url, guest), { role: 'guest' })),
  );
  // What a former life left half a frame of is entered again, and refused.
  let acknowledged = first - (first % FRAME_RECORDS);
  return [
    enterOn(streams, acknowledged, (entries) => (acknowledged = entries)),
    snapshotOn(
      rest,
      guest,
      () => Math.max(acknowledged, first),
      (entries) => {
        promised.set(guest, Math.max(entries, promised.get(guest) ?? 0));
        onSnapshot();
      },
    ),
  ];
}

test('after each kill every guest is whole, and no older than promised', {
  timeout: 60 * 60_000,
}, async (context) => {
  const seed = Number(process.env['HPTD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const kills = Number(process.env['HPTD_KILLS'] ?? 5);
  const directory = directoryFor(context);
  const random = randomFrom(seed);
  const promised = new Map<string, number>();
  const seen: number[] = [];
  let life = await begin(context, directory);
  for (let kill = 0; kill < kills; kill++) {
    const { child, rest } = life;
    const guests = (await rest.listGuests()).map(({ name }) => String(name));
    const work: Promise<unknown>[] = [];
    const progress = { answered: 0 };
    let killed = false;
    // A fault that comes before the kill is one of the daemon, or of this test.
    const untilKilled = (error: unknown): void => {
      if (!killed) throw error;
    };
    for (const guest of GUESTS)
      work.push(
        ...(await liveOn(life, guest, guests, promised, seen, () => progress.answered++)).map(
          (one) => one.catch(untilKilled),
        ),
      );
    const snapshots = random.below(LIFE_SNAPSHOTS_MAX + 1);
    const moment = random.below(END_MILLIS_MAX);
    const late = Date.now() + LIFE_MILLIS_MAX;
    const isDue = (): boolean => progress.answered >= snapshots || Date.now() >= late;
    while (!isDue()) await sleep(1);
    await sleep(moment);
    const exit = once(child, 'exit');
    killed = true;
    child.kill('SIGKILL');
    await exit;
    await Promise.all(work);
    life = await begin(context, directory);
  }
  const end = once(life.child, 'exit');
  life.child.kill('SIGTERM');
  assert.deepEqual(await end, [0, null]);
  assert.ok(!existsSync(`${directory}/guests/.new-a`));
  context.diagnostic(`HPTD_SEED=${seed} HPTD_KILLS=${kills}: entries found ${seen.join(' ')}`);
});
