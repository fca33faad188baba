/**
 * A journal done again gives the guest's memory: the table, the reverse map, the host's pages and dirty bits, the memory slots.
 *
 * Random guests, random operations of all kinds from several streams on two processors at once. HPTD_SEED fixes what is
 * called, HPTD_RUNS asks for more.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { configs, sequences } from '../engine/sequences.ts';
import { randomFrom } from '../rings/random.ts';
import { drive } from './fuzzed-stream.ts';
import { folder, openJournaledGuest, restart } from './journaled-guest.ts';
import type { JournaledGuest } from './journaled-guest.ts';
import { differenceOf } from './memory-difference.ts';

const STREAMS = 3;
const STEPS = 600;

const module = await compileEngine();

test('a journal done again gives the same memory', { timeout: 600_000 }, async (context) => {
  const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const runs = Number(process.env.HPTD_RUNS ?? 8);
  context.diagnostic(`HPTD_SEED=${seed} HPTD_RUNS=${runs}`);
  const pool = await startPool(module, 2);
  const lives: JournaledGuest[] = [];
  context.after(async () => {
    for (const live of lives) await live.end();
    await stopPool(pool);
  });
  let records = 0;
  for (let run = 0; run < runs; run++) {
    const options = { seed: seed + run, numRuns: STREAMS };
    const [config] = fc.sample(configs, options);
    const all = fc.sample(sequences(STEPS), options);
    const random = randomFrom(seed + run);
    const directory = folder(context);
    const live = openJournaledGuest(pool, config!, directory);
    lives.push(live);
    await Promise.all(all.map((steps) => drive(live.guest, config!, steps, random)));
    await live.end();
    const again = restart(module, config!, directory);
    records += again.records;
    assert.equal(
      differenceOf(live, again.memory),
      undefined,
      `HPTD_SEED=${seed + run} HPTD_RUNS=1`,
    );
  }
  context.diagnostic(`${records} records done again`);
});
