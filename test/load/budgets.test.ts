/** Budgets: where figures are looked up, what is made of them, and that the file's own are sound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Budget,
  isUnsure,
  judge,
  parseBudgets,
  readBudgets,
  spreadOf,
  valuesAt,
} from '../../load/budgets/budgets.ts';
import { quietest } from '../../load/check.ts';
import type { Json, Outcome } from '../../load/run-profile.ts';

const ENGINE = {
  profile: 'engine',
  results: [
    { mix: 'insert+remove', order: 18, contended: false, ratio: 2, rate: 10, spread: 0.1 },
    { mix: 'insert+remove', order: 18, contended: true, ratio: 3, rate: 15, spread: 0.4 },
    { mix: 'full', order: 18, contended: false, ratio: null, rate: 7, spread: 0 },
  ],
};

const outcomes = (json: Json | undefined = ENGINE, failure?: string) =>
  new Map<string, Outcome>([['engine', { command: 'run engine', json, failure }]]);
const budget = (changes: Partial<Budget>): Budget => ({
  name: 'n',
  figure: 'engine:results[mix=insert+remove][contended=false].ratio',
  spread: [],
  better: 'lower',
  must: 3,
  ambition: 1,
  because: 'reasons',
  ...changes,
});
const verdict = (changes: Partial<Budget>) => judge(budget(changes), outcomes()).verdict;

test('figures are found by names and filters', () => {
  const at = (path: string) => valuesAt(ENGINE, path);
  assert.deepEqual(at('results.rate'), [10, 15, 7]);
  assert.deepEqual(at('results[mix=insert+remove].rate'), [10, 15]);
  assert.deepEqual(at('results[mix=insert+remove][contended=true].rate'), [15]);
  assert.deepEqual(at('results[order=24].rate'), []);
  assert.deepEqual(at('results[mix=full].ratio'), [], 'null is no figure');
  assert.deepEqual(at('nothing.here'), []);
  assert.deepEqual(valuesAt({ a: { b: 5 } }, 'a.b'), [5]);
});

test('lower or higher is better, and a figure on the line reaches it', () => {
  assert.equal(verdict({}), 'must');
  assert.equal(verdict({ must: 2, ambition: 2 }), 'ambition');
  assert.equal(verdict({ must: 1.99 }), 'short');
  assert.equal(verdict({ better: 'higher', must: 2, ambition: 2.01 }), 'must');
  assert.equal(verdict({ better: 'higher', must: 2.01, ambition: 3 }), 'short');
  assert.equal(verdict({ better: 'higher', must: 1, ambition: 2 }), 'ambition');
});

test('of several figures the worst counts', () => {
  const figure = 'engine:results[mix=insert+remove].ratio';
  assert.equal(judge(budget({ figure }), outcomes()).figure, 3);
  assert.equal(judge(budget({ figure, better: 'higher' }), outcomes()).figure, 2);
});

test('a figure over another, with the greatest spread of both', () => {
  const judged = judge(
    budget({
      figure: 'engine:results[contended=true].rate',
      over: 'engine:results[mix=insert+remove][contended=false].rate',
      spread: ['engine:results[contended=true].spread', 'engine:results[mix=full].spread'],
      better: 'higher',
      must: 1.5,
      ambition: 1.9,
    }),
    outcomes(),
  );
  assert.deepEqual(
    [judged.figure, judged.spread, judged.verdict, judged.commands],
    [1.5, 0.4, 'must', ['run engine']],
  );
});

test('a figure whose rounds lie far apart is unsure', () => {
  assert.deepEqual(
    [null, 0, 0.2, 0.21].map((spread) => isUnsure({ spread })),
    [false, false, false, true],
  );
});

test('what was not measured is not kept, and says why', () => {
  const missing = judge(budget({ figure: 'engine:results[order=24].ratio' }), outcomes());
  assert.deepEqual([missing.figure, missing.verdict], [null, 'unmeasured']);
  assert.match(missing.because, /order=24.* is not there/);
  const failed = judge(
    budget({}),
    new Map([['engine', { command: 'c', json: undefined, failure: 'exit code 70' }]]),
  );
  assert.deepEqual([failed.verdict, failed.because], ['unmeasured', 'exit code 70']);
  assert.equal(judge(budget({}), new Map()).verdict, 'unmeasured');
});

test('a file that is none is refused', () => {
  const text = (changes: Partial<Budget>) =>
    JSON.stringify({ runs: { engine: 'engine' }, budgets: [budget(changes)] });
  assert.equal(parseBudgets(text({})).budgets.length, 1);
  assert.throws(() => parseBudgets(text({ figure: 'stream:p50' })), /there is no run stream/);
  assert.throws(() => parseBudgets(text({ over: 'rest:p50' })), /there is no run rest/);
  assert.throws(() => parseBudgets(text({ figure: 'results.p50' })), /RUN:PATH/);
  assert.throws(() => parseBudgets(text({ better: 'bigger' as 'lower' })));
});

test("the project's own budgets: an ambition is never less than what must be", () => {
  const { runs, budgets } = readBudgets();
  for (const { name, better, must, ambition } of budgets) {
    assert.ok(better === 'lower' ? ambition <= must : ambition >= must, name);
  }
  const used = budgets.map(({ figure }) => figure.slice(0, figure.indexOf(':')));
  assert.deepEqual(new Set(used), new Set(Object.keys(runs)), 'a run that no budget needs');
});

test('a run on a busy machine is made again, and the quietest counts, whatever its figures', async () => {
  const budgets = [budget({ spread: ['engine:results[mix=insert+remove].spread'] })];
  const outcome = (spread: number, failure?: string): Outcome => ({
    command: `spread ${spread}`,
    json: { results: [{ mix: 'insert+remove', spread }] },
    failure,
  });
  const made = async (...outcomesToCome: Outcome[]): Promise<string> => {
    const left = [...outcomesToCome];
    const spread = (one: Outcome) => spreadOf('engine', budgets, one);
    const { command } = await quietest(async () => left.shift()!, spread);
    return `${command}, ${left.length} left`;
  };
  assert.equal(await made(outcome(0.1), outcome(0)), 'spread 0.1, 1 left');
  assert.equal(await made(outcome(0.5), outcome(0.2), outcome(0)), 'spread 0.2, 1 left');
  assert.equal(await made(outcome(0.5), outcome(0.9), outcome(0.6)), 'spread 0.5, 0 left');
  assert.equal(
    await made(outcome(0.9), outcome(0.6), outcome(0.7), outcome(0)),
    'spread 0.6, 1 left',
  );
  // A wrong answer is not to be measured away.
  assert.equal(await made(outcome(0.9, 'wrong'), outcome(0)), 'spread 0.9, 1 left');
  assert.equal(await made(outcome(0.5), outcome(0.9, 'wrong'), outcome(0)), 'spread 0.9, 1 left');
});

test('the spread of a run: the greatest that its budgets tell, none of others, 0 without any', () => {
  const at = (mix: string) => `engine:results[mix=${mix}].spread`;
  const spreadIn = (run: string, ...places: string[]) =>
    spreadOf(run, [budget({ spread: places.slice(0, 1) }), budget({ spread: places.slice(1) })], {
      json: ENGINE,
    });
  assert.equal(spreadIn('engine', at('full'), at('insert+remove')), 0.4);
  assert.equal(spreadIn('engine', at('full')), 0);
  assert.equal(spreadIn('rest', at('insert+remove')), 0);
  assert.equal(spreadOf('engine', [budget({ spread: [at('full')] })], { json: undefined }), 0);
});
