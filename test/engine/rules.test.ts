/** The rules that the engine leaves behind its answers are those that schemas/rules.ts puts into sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXPLAIN_WORDS } from '../../schemas/records.ts';
import { RULES } from '../../schemas/rules.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { engineExports } from './harness.ts';

const exports = engineExports();
/** How many details a rule may leave; not a rule. */
const DETAILS = 'RULE_DETAILS';

test('every rule of the engine has its row and every row its rule, with the same number', () => {
  const engine = Object.entries(exports)
    .filter(([name]) => name.startsWith('RULE_') && name !== DETAILS)
    .map(([name, number]) => [Number(number), name]);
  const rows = RULES.map(({ number, name }) => [number, `RULE_${name}`]);
  assert.deepEqual(
    engine.sort(([a], [b]) => Number(a) - Number(b)),
    rows,
  );
});

test('a row is found by its number, and its details fit behind an answer', () => {
  assert.equal(EXPLAIN_WORDS, 1 + exports[DETAILS]!);
  for (const [i, { number, name, status, details }] of RULES.entries()) {
    assert.equal(number, i);
    assert.ok(details.length <= exports[DETAILS]!, name);
    assert.ok(status === '' || status in STATUSES, name);
  }
});
