/**
 * The engine against the reference model: random sequences of everything that can be asked of a guest's table, on
 * random guests. Every answer must be the model's; at intervals the whole table, the chains and the invariants.
 *
 * The seed is printed; HPTD_SEED gives it back, HPTD_RUNS asks for more sequences.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OPERATIONS } from '../../schemas/operations.ts';
import { compareTables, openPair, perform } from './compare.ts';
import { configs, sequences } from './sequences.ts';

const STEPS_MAX = 160;
const COMPARE_EVERY = 40;

test('random sequences answer as the model does', { timeout: 30 * 60_000 }, (context) => {
  const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const numRuns = Number(process.env.HPTD_RUNS ?? 300);
  context.diagnostic(`HPTD_SEED=${seed} HPTD_RUNS=${numRuns}`);
  const performed = new Map<string, number>();
  const property = fc.property(configs, sequences(STEPS_MAX), (config, sequence) => {
    const pair = openPair(config);
    for (const [i, step] of sequence.entries()) {
      perform(pair, step);
      performed.set(step.name, (performed.get(step.name) ?? 0) + 1);
      if (i % COMPARE_EVERY === COMPARE_EVERY - 1) compareTables(pair);
    }
    compareTables(pair);
  });
  fc.assert(property, { seed, numRuns });
  context.diagnostic(
    `${[...performed.values()].reduce((sum, count) => sum + count, 0)} operations`,
  );
  const missing = OPERATIONS.map(({ name }) => name).filter((name) => !performed.has(name));
  if (numRuns >= 100) assert.deepEqual(missing, [], 'operations that never came up');
});
