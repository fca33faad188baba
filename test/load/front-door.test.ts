/** The load drivers' front door: what people type, what they get, and how it ends. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function load(...words: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

test('a misspelt profile: what was meant, exit 64', async () => {
  const { code, err } = await load('enigne');
  assert.equal(code, 64);
  assert.match(err, /did you mean engine\?/);
});

test('no profile at all: exit 64', async () => {
  assert.equal((await load()).code, 64);
});

test('help names the profiles, and explains one', async () => {
  const overview = await load('--help');
  assert.equal(overview.code, 0);
  assert.match(overview.out, /^ {2}engine {2}/m);
  const one = await load('engine', '--help');
  assert.equal(one.code, 0);
  assert.match(one.out, /--orders LIST/);
});

test('check and report are called as profiles are', async () => {
  const overview = await load('--help');
  assert.match(overview.out, /^ {2}check {2}/m);
  assert.match((await load('report', '--help')).out, /--out FILE/);
  assert.equal((await load('check', '--fast')).code, 64);
  const { code, err } = await load('report', '--out', '/nowhere/at/all.html');
  assert.equal(code, 64);
  assert.match(err, /all\.html/);
});

for (const words of [
  ['--orders', '12'],
  ['--mix', 'raed'],
  ['--seconds', 'soon'],
  ['--processors', '2..1'],
  ['--rounds', '1.5'],
  ['--fast'],
]) {
  test(`engine ${words.join(' ')}: exit 64`, async () => {
    const { code, err } = await load('engine', ...words);
    assert.equal(code, 64);
    assert.match(err, /^load: /);
  });
}

test('engine --json: one object with a figure of every mix asked for', async () => {
  const { code, out } = await load(
    'engine',
    '--json',
    '--mix',
    'insert+remove,full',
    '--orders',
    '18',
    '--processors',
    '1',
    '--seconds',
    '0.01',
    '--rounds',
    '2',
  );
  assert.equal(code, 0);
  const report = JSON.parse(out);
  assert.equal(report.profile, 'engine');
  assert.equal(report.machine.node, process.version);
  assert.deepEqual(
    report.results.map((row: { mix: string }) => row.mix),
    ['insert+remove', 'full'],
  );
  for (const row of report.results) {
    assert.ok(row.nsPerHcall > 0 && row.hcallsPerSecond > 0);
    assert.equal(row.yardstickNs === null, row.ratio === null);
    assert.equal(row.lineNs, null);
  }
});

test('tables: every action of each order, with the yardstick for what goes over the network', async () => {
  const { code, out } = await load('tables', '--json', '--orders', '18,19', '--rounds', '2');
  assert.equal(code, 0);
  const { profile, results } = JSON.parse(out);
  assert.equal(profile, 'tables');
  assert.deepEqual(
    results.map((row: { action: string; order: number }) => `${row.action} ${row.order}`),
    [18, 19].flatMap((order) =>
      ['load', 'reload', 'dump', 'follow', 'hash', 'statistics'].map((one) => `${one} ${order}`),
    ),
  );
  for (const row of results) {
    assert.equal(row.entries, 2 ** (row.order - 5));
    assert.ok(row.seconds > 0 && row.entriesPerSecond > 0);
    assert.equal(row.bytes > 0, ['load', 'reload', 'dump'].includes(row.action));
    assert.equal(row.ratio === null, row.bytes === 0);
  }
  const table = await load('tables', '--orders', '18', '--rounds', '1');
  assert.match(table.out, /^dump +18 +8,192 /m);
});
