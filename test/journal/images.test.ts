/**
 * Images and the journal together: images are taken under load, processors die under load, so that the order is lost and the
 * journal begins anew; and what a restart makes of the state directory is what the guest was.
 *
 * HPTD_SEED fixes what is called, HPTD_RUNS asks for more.
 */
import assert from 'node:assert/strict';
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import type { GuestConfig } from '../../schemas/guests.ts';
import type { OwnedGuest } from '../../src/guests/guest.ts';
import { guestsOn } from '../../src/guests/registry.ts';
import type { Guests } from '../../src/guests/types.ts';
import { startPool } from '../../src/processors/pool.ts';
import type { Pool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { openState } from '../../src/state/state.ts';
import { configs, sequences } from '../engine/sequences.ts';
import { randomFrom } from '../rings/random.ts';
import type { Random } from '../rings/random.ts';
import { drive } from './fuzzed-stream.ts';
import { folder } from './journaled-guest.ts';
import { differenceOf } from './memory-difference.ts';

const STREAMS = 3;
const STEPS = 600;
const PROCESSORS = 2;
const log = pino({ level: 'silent' });
const module = await compileEngine();

interface Daemon {
  readonly pool: Pool;
  readonly guests: Guests;
}

async function openDaemon(context: TestContext, directory: string): Promise<Daemon> {
  const state = openState({ directory, durability: 'journal', snapshotSeconds: 60, log });
  const pool = await startPool(module, PROCESSORS);
  const guests = guestsOn(pool, module, log, { state });
  context.after(() => guests.close());
  return { pool, guests };
}

function owned({ guests }: Daemon): OwnedGuest {
  const guest = guests.get('g');
  assert.ok(guest !== undefined, 'the guest is not there');
  return guest as OwnedGuest;
}

/** Kills processors until it is told to stop; gives how many. */
async function killProcessors(
  { pool }: Daemon,
  random: Random,
  stop: AbortSignal,
): Promise<number> {
  let killed = 0;
  while (!stop.aborted) {
    await sleep(50 + random.below(100));
    const processor = pool.processors[random.below(PROCESSORS)]!;
    // A successor that is not ready yet would count as a life lost for nothing.
    if (processor.livesLost !== 0) continue;
    await processor.worker.terminate();
    killed++;
  }
  return killed;
}

async function takeImages({ guests }: Daemon, random: Random, stop: AbortSignal): Promise<number> {
  let taken = 0;
  for (; !stop.aborted; taken++) {
    await sleep(random.below(20));
    await guests.state!.snapshot('g');
  }
  return taken;
}

async function liveThrough(
  daemon: Daemon,
  config: GuestConfig,
  seed: number,
  disturb: typeof takeImages,
): Promise<number> {
  const all = fc.sample(sequences(STEPS), { seed, numRuns: STREAMS });
  const random = randomFrom(seed);
  const stop = new AbortController();
  const disturbed = disturb(daemon, random, stop.signal);
  const guest = owned(daemon);
  await Promise.all(all.map((steps) => drive(guest, config, steps, random)));
  stop.abort();
  return disturbed;
}

for (const [what, disturb] of [
  ['images are taken under load', takeImages],
  ['processors die under load', killProcessors],
] as const) {
  test(`${what}: a restart finds what was answered`, { timeout: 600_000 }, async (context) => {
    const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const runs = Number(process.env.HPTD_RUNS ?? 1);
    context.diagnostic(`HPTD_SEED=${seed} HPTD_RUNS=${runs}`);
    let times = 0;
    for (let run = 0; run < runs; run++) {
      const [config] = fc.sample(configs, { seed: seed + run, numRuns: 1 });
      const directory = folder(context);
      const copy = folder(context);
      const live = await openDaemon(context, directory);
      await live.guests.create('g', config!);
      times += await liveThrough(live, config!, seed + run, disturb);
      // Everything is answered, so everything is on disk: as if the power went now.
      cpSync(directory, copy, { recursive: true });
      const again = await openDaemon(context, copy);
      const { memory, map } = owned(live).kept;
      assert.equal(
        differenceOf({ memory, map }, owned(again).kept.memory),
        undefined,
        `HPTD_SEED=${seed + run} HPTD_RUNS=1`,
      );
      await Promise.all([live.guests.close(), again.guests.close()]);
      const files = readdirSync(join(copy, 'guests', 'g'));
      assert.ok(files.filter((name) => name.startsWith('journal-0')).length <= 3, files.join(' '));
    }
    context.diagnostic(`${times} times`);
  });
}
