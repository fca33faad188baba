/**
 * Attempts to take a lock that fail without a reason, 1 in 64, as a lost reservation does on real hardware: one processor
 * alone must answer as if nothing had happened. H_ENTER without H_EXACT may answer any free slot of the group, and passes
 * by one whose lock it did not get; H_BLOCK_REMOVE is left out: it only tries, and says so in its answer.
 *
 * The seed is printed; HPTD_SEED gives it back, HPTD_RUNS asks for more sequences.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { GuestConfig } from '../../schemas/guests.ts';
import { FLAGS } from '../../schemas/flags.ts';
import { compareTables, openPair, perform } from '../engine/compare.ts';
import type { Answer, TestProcessor } from '../engine/harness.ts';
import { configs, sequences } from '../engine/sequences.ts';
import type { Model } from '../model/model.ts';
import { openFailingProcessor } from './failing-processor.ts';
import { numbersFrom } from './random.ts';

const ONE_IN = 64;
const STEPS_MAX = 100;

interface Taken {
  /** Where the last H_ENTER has put its entry. */
  slot: bigint | undefined;
}

/** The processor, with what its last call took. */
function noting(on: TestProcessor, taken: Taken): TestProcessor {
  const note = (answer: Answer): Answer => {
    taken.slot = answer.status === 0 ? answer.out[0] : undefined;
    return answer;
  };
  return {
    ...on,
    call: (name, args) => note(on.call(name, args)),
    explain: (name, args) => note(on.explain(name, args)),
  };
}

/** The model, which enters where the engine has entered, if that is a slot of the group. */
function asked(model: Model, taken: Taken): Model {
  return {
    ...model,
    call(name, args) {
      const [flags = 0n, ptex = 0n, ...words] = args;
      const { slot } = taken;
      const free = name === 'H_ENTER' && slot !== undefined && slot >> 3n === ptex >> 3n;
      return model.call(name, free ? [flags | FLAGS.H_EXACT, slot, ...words] : args);
    },
  };
}

test('random sequences answer as the model does', { timeout: 10 * 60_000 }, (context) => {
  const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const numRuns = Number(process.env.HPTD_RUNS ?? 100);
  context.diagnostic(`HPTD_SEED=${seed} HPTD_RUNS=${numRuns}`);
  const next = numbersFrom(seed);
  let attempts = 0;
  let failed = 0;
  const attemptFails = (): number => {
    attempts++;
    if (next() % ONE_IN !== 0) return 0;
    failed++;
    return 1;
  };
  const property = fc.property(configs, sequences(STEPS_MAX), (drawn, sequence) => {
    // The older protocols give up where an attempt fails: that is what was wrong with them.
    const config: GuestConfig = { ...drawn, slotSearch: 'linearizable' };
    const opened = openPair(config);
    const processors = [1, 2].map((i) => openFailingProcessor(opened.guest, i, attemptFails));
    const taken: Taken = { slot: undefined };
    const pair = {
      ...opened,
      processors: processors.map((on) => noting(on, taken)),
      model: asked(opened.model, taken),
    };
    for (const step of sequence) if (step.name !== 'H_BLOCK_REMOVE') perform(pair, step);
    compareTables(pair);
  });
  fc.assert(property, { seed, numRuns });
  context.diagnostic(`${failed} of ${attempts} attempts failed`);
  assert.ok(failed > 0, 'no attempt failed');
});
