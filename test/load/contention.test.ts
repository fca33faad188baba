/** The contention profile: what it prints, what it refuses; its figures depend on the machine and are not tested. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));

function contention(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'contention', ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const COLUMNS = ['protocol', 'scenario', 'calls', 'falseFull', 'callsPerSecond'];

test('--json: a figure of each scenario under each protocol; none of hptd is false', async () => {
  const { code, out, err } = await contention('--json', '--seconds', '0.1');
  assert.equal(code, 0, err);
  const report = JSON.parse(out);
  assert.equal(report.profile, 'contention');
  const scenarios = ['exact-probe', 'group-probe', 'shuttle', 'shuttle-slow'];
  assert.deepEqual(
    report.results.map((row: { protocol: string; scenario: string }) => [
      row.protocol,
      row.scenario,
    ]),
    ['one-pass', 'two-pass', 'linearizable'].flatMap((protocol) =>
      scenarios.map((scenario) => [protocol, scenario]),
    ),
  );
  for (const row of report.results) {
    assert.deepEqual(Object.keys(row), COLUMNS);
    const isBound =
      row.protocol === 'linearizable' ||
      (row.protocol === 'two-pass' && /probe/.test(row.scenario));
    if (isBound) assert.equal(row.falseFull, 0, JSON.stringify(row));
  }
});

test('--calls ends it, and a table is for people', async () => {
  const words = ['--protocols', 'linearizable', '--scenarios', 'group-probe', '--calls', '1000'];
  const { code, out, err } = await contention(...words);
  assert.equal(code, 0, err);
  assert.match(out, /^linearizable +group-probe +[\d,]+ +0 +0 /m);
});

for (const words of [
  ['--scenarios', 'shuttel'],
  ['--protocols', 'two'],
  ['--calls', '0'],
  ['--seconds', 'soon'],
]) {
  test(`${words.join(' ')}: exit 64`, async () => {
    const { code, err } = await contention(...words);
    assert.equal(code, 64);
    assert.match(err, /^load: /);
  });
}
