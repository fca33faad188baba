/** The oversubscription profile: what it prints and refuses, and that the two ways of waiting are two; no speed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileVariant } from '../../load/engine-variant.ts';
import { SPIN_ONLY } from '../../load/oversubscription/crew.ts';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));
const SHORT = ['--processors', '1,3', '--seconds', '0.02', '--rounds', '2'];

function oversubscription(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'oversubscription', ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const COLUMNS =
  'processors groups waiting hcallsPerSecond ratio lockWaits chainWaits batchMicrosP50 batchMicrosP99 batchMicrosMax spread'.split(
    ' ',
  );

test('--json: both ways of waiting, on shared groups and on own ones', async () => {
  const { code, out, err } = await oversubscription('--json', ...SHORT);
  assert.equal(code, 0, err);
  const report = JSON.parse(out);
  assert.equal(report.profile, 'oversubscription');
  assert.equal(report.machine.node, process.version);
  assert.deepEqual(
    report.results.map((row: { processors: number; groups: string; waiting: string }) =>
      [row.processors, row.groups, row.waiting].join(' '),
    ),
    [1, 3].flatMap((processors) =>
      ['four', 'own'].flatMap((groups) =>
        ['spin-then-yield', 'spin-only'].map((waiting) => `${processors} ${groups} ${waiting}`),
      ),
    ),
  );
  for (const row of report.results) {
    assert.deepEqual(Object.keys(row), COLUMNS);
    assert.ok(row.hcallsPerSecond > 0 && row.batchMicrosMax >= row.batchMicrosP99);
    // Nobody waits for what nobody shares.
    if (row.groups === 'own') assert.deepEqual([row.lockWaits, row.chainWaits], [0, 0]);
  }
});

/** memory.atomic.wait32, of a word at its natural alignment, without an offset. */
const WAIT = Buffer.from([0xfe, 0x01, 0x02, 0x00]);

test('the engine that only spins has nothing to give its core away with', async () => {
  const engine = await readFile(new URL('../../build/engine.wasm', import.meta.url));
  assert.ok(engine.includes(WAIT));
  const spinning = await compileVariant('release', SPIN_ONLY, ['--optimizeLevel', '0']);
  assert.ok(!Buffer.from(spinning).includes(WAIT));
});

for (const words of [
  ['--processors', '0'],
  ['--processors', '65'],
  ['--seconds', 'soon'],
  ['--rounds', '0'],
]) {
  test(`${words.join(' ')}: exit 64`, async () => {
    const { code, err } = await oversubscription(...words);
    assert.equal(code, 64);
    assert.match(err, /^load: /);
  });
}
