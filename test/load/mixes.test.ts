/**
 * The mixes on the engine: every answer is the one that was foreseen (the workers themselves throw when one is not),
 * alone and against others, and the table is empty again afterwards.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeCrew, measure, measureLine, openCrew } from '../../load/engine/crew.ts';
import { MIXES } from '../../load/engine/mixes.ts';
import { compileEngine } from '../../src/rings/engine.ts';

const ORDER = 18;
const module = await compileEngine();

for (const [workers, contended] of [
  [1, false],
  [2, false],
  [2, true],
  [3, true],
] as const) {
  const who = `${workers} workers${contended ? ' on four groups' : ''}`;
  test(`${who}: every mix is answered as foreseen, again and again`, async () => {
    const crew = openCrew(module, ORDER, workers);
    try {
      for (const { name } of [...MIXES, ...MIXES]) {
        const figures = await measure(crew, name, contended, 64, 0.01);
        assert.equal(figures.length, workers);
        for (const row of figures) assert.ok(row.hcalls > 0, `${name}: nothing executed`);
      }
    } finally {
      await closeCrew(crew);
    }
  });
}

test('a cache line goes to and fro between two workers, again and again; one has nobody to pass it to', async () => {
  for (const workers of [1, 2, 3]) {
    const crew = openCrew(module, ORDER, workers);
    try {
      for (let i = 0; i < 3; i++) {
        const nanos = await measureLine(crew);
        if (workers === 1) assert.equal(nanos, undefined);
        else assert.ok(nanos! > 0, `${workers} workers: ${nanos}`);
      }
    } finally {
      await closeCrew(crew);
    }
  }
});
