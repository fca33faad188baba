/**
 * A daemon is killed at random moments under load from several streams: what was answered is there afterwards, and of what was
 * not, for each stream, a beginning.
 *
 * Most lives end by SIGKILL in the middle of traffic, some before they are ready, some by SIGTERM. HPTD_KILLS says how many
 * lives; HPTD_SEED fixes what is called and how lives end (when a signal strikes is the machine's affair).
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { connectRest } from '../../src/client/rest.ts';
import { seededRandom } from '../rings/random.ts';
import type { Random } from '../rings/random.ts';
import { startDaemon } from './daemon.ts';
import type { Life } from './daemon.ts';
import { folder } from './journaled-guest.ts';
import { openLane } from './lane.ts';
import type { Lane } from './lane.ts';

const KILLS = Number(process.env.HPTD_KILLS ?? 5);
const STREAMS = 4;
const ORDER = 18;
/** Answers after which a life may end. */
const ANSWERS_MAX = 1200;
const EARLY_MILLIS = 500;
const LATE_MILLIS = 20;
const SILENT_MILLIS = 60_000;

test('killed at random moments: what was answered is there', {
  timeout: 3_600_000,
}, async (context) => {
  const random = seededRandom(context);
  const stateDir = folder(context);
  const lanes = Array.from({ length: STREAMS }, (_, number) => openLane(number, ORDER, random));
  const told = { early: 0, late: 0, drained: 0 };
  let life: Life | undefined;
  context.after(() => life?.end('SIGKILL'));
  for (let kill = 0; kill < KILLS; kill++) {
    life = startDaemon({ stateDir, journal: 'journal' });
    // The first one makes the guest.
    if (kill > 0 && random.below(8) === 0) {
      await sleep(random.below(EARLY_MILLIS));
      await life.end('SIGKILL');
      told.early++;
      continue;
    }
    const url = await life.url;
    if (kill === 0)
      await connectRest(url).createGuest('g', {
        order: ORDER,
        ramBytes: 2 ** 24,
        backingPageBytes: 65536,
      });
    told.late += await checkAll(lanes, url);
    const signal = random.below(8) === 0 ? 'SIGTERM' : 'SIGKILL';
    const code = await liveUntil(life, lanes, random, signal);
    if (signal === 'SIGTERM') {
      told.drained++;
      assert.equal(code, 0, life.log());
    }
  }
  life = startDaemon({ stateDir, journal: 'journal' });
  told.late += await checkAll(lanes, await life.url);
  assert.equal(await life.end('SIGTERM'), 0, life.log());
  const answered = lanes.reduce((sum, lane) => sum + lane.answered(), 0);
  context.diagnostic(
    `${KILLS} lives, ${told.early} ended before they were ready, ${told.drained} by SIGTERM; ${answered} calls answered, ${told.late} more found executed`,
  );
});

async function checkAll(lanes: readonly Lane[], url: string): Promise<number> {
  const late = await Promise.all(lanes.map((lane) => lane.check(url)));
  return late.reduce((sum, count) => sum + count, 0);
}

/** Traffic on all streams until the signal ends the daemon in the midst of it. Gives its exit code. */
async function liveUntil(
  life: Life,
  lanes: readonly Lane[],
  random: Random,
  signal: NodeJS.Signals,
): Promise<number | null> {
  const url = await life.url;
  const enough = Promise.withResolvers<void>();
  let left = 1 + random.below(ANSWERS_MAX);
  const streams = lanes.map((lane) =>
    lane.drive(url, (count) => {
      left -= count;
      if (left <= 0) enough.resolve();
    }),
  );
  const wrong = Promise.all(streams);
  const silent = sleep(SILENT_MILLIS, 'silent', { ref: false });
  const first = await Promise.race([enough.promise, wrong, silent]);
  assert.notEqual(first, 'silent', `no answers:\n${life.log()}`);
  await sleep(random.below(LATE_MILLIS));
  const code = await life.end(signal);
  await wrong;
  return code;
}
