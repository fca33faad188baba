/**
 * The report's page, made of known figures: what must be in it, and how a real browser lays it out. The browser is
 * the machine's own; where there is none the page is held to the first part only, and the test says so.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Judgement } from '../../load/budgets/budgets.ts';
import { choiceScale, exact, figureScale, short } from '../../load/report/axis.ts';
import { linesOf } from '../../load/report/lines.ts';
import { type Measured, pageOf } from '../../load/report/page.ts';
import { type Section, SECTIONS } from '../../load/report/sections.ts';
import type { Json } from '../../load/run-profile.ts';

const execute = promisify(execFile);

/** Rows as a profile's, made for each plot's own fields: every figure grows by its own factor. */
function rowsOf(section: Section): Json[] {
  const names = ['insert+remove', 'read', 'a <name> & "quotes"'];
  return [1, 2, 4, 8, 64, 4096].flatMap((size, i) =>
    names.map((name, which) => ({
      ...Object.fromEntries(
        section.plots.flatMap(({ series }) =>
          series.map(({ field }, at) => [field, (size + at + which) * 1234.5]),
        ),
      ),
      mix: name,
      scenario: which === 0 ? 'enter-remove' : name,
      protocol: name,
      waiting: name,
      action: name,
      file: `/somewhere/0${i}-resize-hotplug-p8-64k.jsonl.gz`,
      groups: 'four',
      contended: which === 1,
      order: 18 + 2 * i,
      processors: i + 1,
      batch: size,
      rate: size * 1000,
      connections: section.profile === 'rest' ? size : 1 + 3 * which,
      streams: which === 0 ? 1 : 2,
      seconds: 5 * i + 1 + which,
      spread: 0.05,
    })),
  );
}

const JUDGEMENTS: readonly Judgement[] = (['ambition', 'must', 'short', 'unmeasured'] as const).map(
  (verdict) => ({
    name: `a promise that is ${verdict}`,
    figure: verdict === 'unmeasured' ? null : 1.5,
    must: 2,
    ambition: 1,
    better: 'lower',
    spread: 0.1,
    verdict,
    commands: ['npm run -s load -- engine'],
    because: 'of something',
  }),
);

function page(sections: readonly Section[] = SECTIONS, failure?: string): string {
  const measured: Measured[] = sections.map((section) => ({
    section,
    rows: failure === undefined ? rowsOf(section) : [],
    commands: section.runs.map(({ options }) => `npm run -s load -- ${section.profile} ${options}`),
    failures: failure === undefined ? [] : [failure],
  }));
  const machine = {
    cpu: 'A <processor>',
    cores: 2,
    memoryGibibytes: 8,
    system: 'Linux 6',
    node: 'v26',
  };
  const measuredAt = new Date('2026-01-02T03:04:05Z');
  return pageOf({ version: '0.1.0', measuredAt, machine, judgements: JUDGEMENTS }, measured);
}

test('the page has every plot, its numbers, its command, and nothing from elsewhere', () => {
  const html = page();
  const plots = SECTIONS.flatMap((section) => section.plots);
  assert.equal(html.match(/<svg /g)!.length, plots.filter(({ kind }) => kind !== 'table').length);
  assert.equal(html.match(/<figure>/g)!.length, plots.length);
  assert.equal(html.match(/<table/g)!.length, plots.length + 1);
  assert.doesNotMatch(html, /NaN|undefined|Infinity|\[object/);
  assert.doesNotMatch(html, /https?:|src=|@import|url\(|<script|<link/);
  assert.doesNotMatch(html, /<name>|<processor>/, 'what is measured must not become markup');
  for (const { profile, runs } of SECTIONS) {
    for (const { options } of runs) assert.ok(html.includes(`load -- ${profile} ${options}`));
  }
  for (const word of [
    'A &lt;processor&gt;, 2 cores',
    '8 GiB',
    'falls short',
    'not measured',
    '2026-01-02 03:04',
  ])
    assert.ok(html.includes(word), word);
});

test('a run that failed is told where its plots would be', () => {
  const html = page(SECTIONS.slice(0, 1), 'it ended with exit code 70');
  assert.match(html, /it ended with exit code 70/);
  assert.match(html, /Nothing was measured/);
  assert.doesNotMatch(html, /<svg/);
});

test('a line for each part and series; what was not measured is a gap', () => {
  const plot = {
    ...SECTIONS[0]!.plots[0]!,
    series: [
      { field: 'ns', label: 'hptd', spread: 'spread' },
      { field: 'floor', label: 'C', isYardstick: true },
    ],
  };
  const rows = [
    { mix: 'read', order: 18, ns: 5, floor: null, spread: 0.1 },
    { mix: 'read', order: 20, ns: 6, floor: 2, spread: 0.2 },
    { mix: 'full', order: 18, ns: 7 },
  ];
  assert.deepEqual(linesOf(plot, rows), [
    {
      label: 'read hptd',
      isYardstick: false,
      points: [
        { x: 18, y: 5, spread: 0.1 },
        { x: 20, y: 6, spread: 0.2 },
      ],
    },
    { label: 'read C', isYardstick: true, points: [{ x: 20, y: 2, spread: undefined }] },
    { label: 'full hptd', isYardstick: false, points: [{ x: 18, y: 7, spread: undefined }] },
  ]);
});

test('figures have round marks that span them, choices are marks themselves', () => {
  assert.deepEqual(figureScale([3, 97], 'linear').ticks, [0, 20, 40, 60, 80, 100]);
  assert.deepEqual(figureScale([0.31], 'linear').ticks, [0, 0.1, 0.2, 0.3, 0.4]);
  assert.deepEqual(figureScale([0], 'linear').ticks, [0, 1]);
  assert.deepEqual(figureScale([30, 4000], 'log').ticks, [10, 100, 1000, 10000]);
  assert.equal(figureScale([10, 1000], 'log').at(100), 0.5);
  assert.deepEqual(choiceScale([24, 18, 18, 30], 'linear').ticks, [18, 24, 30]);
  assert.equal(choiceScale([1, 4, 16], 'log').at(4), 0.5);
  assert.equal(choiceScale([5], 'log').at(5), 0.5);
  const seconds = Array.from({ length: 30 }, (_, i) => i);
  assert.deepEqual(choiceScale(seconds, 'linear').ticks, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
  assert.deepEqual([4096, 1_000_000].map(exact), ['4,096', '1 M']);
  const shorts = [0, 0.01234, 999.4, 12_345, 5_200_000, 3e9].map(short);
  assert.deepEqual(shorts, ['0', '0.0123', '999', '12.3 k', '5.2 M', '3 G']);
});

/** Runs in the page: what lies outside its picture, or on another name, or makes the page wider than the window. */
const LOOK = `<script>
addEventListener('load', () => {
  const findings = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) findings.push('the page is ' + root.scrollWidth + ' wide');
  for (const svg of document.querySelectorAll('svg')) {
    const where = svg.getAttribute('aria-label');
    const { width, height } = svg.viewBox.baseVal;
    for (const one of svg.querySelectorAll('text, circle, rect, path')) {
      const box = one.getBBox();
      if (box.x < 0 || box.y < 0 || box.x + box.width > width + 1 || box.y + box.height > height + 1)
        findings.push(where + ': ' + (one.textContent || one.tagName) + ' lies outside');
    }
    for (const kind of ['.name', '.tick', '.value']) {
      const texts = [...svg.querySelectorAll(kind)].map((text) => ({ text: text.textContent, ...box(text) }));
      texts.forEach((one, i) => texts.slice(i + 1).forEach((other) => {
        if (one.x < other.right && other.x < one.right && one.y + 3 < other.bottom && other.y + 3 < one.bottom)
          findings.push(where + ': ' + one.text + ' lies on ' + other.text);
      }));
    }
  }
  function box(text) { const b = text.getBBox(); return { x: b.x, y: b.y, right: b.x + b.width, bottom: b.y + b.height }; }
  document.body.innerHTML = '';
  document.title = 'seen ' + JSON.stringify(findings);
});
</script>`;

test('a browser lays it out: nothing outside, nothing on top of each other, on wide and narrow windows', async (context) => {
  const browser = (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) =>
      ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)),
    )
    .find((path) => existsSync(path));
  if (browser === undefined) {
    context.diagnostic(
      'not looked at in a browser: there is no chromium here (Debian: apt-get install chromium)',
    );
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'hptd-report-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'report.html');
  writeFileSync(file, page().replace('</head>', `${LOOK}</head>`));
  for (const width of [1200, 500]) {
    const options = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${folder}/profile`,
    ];
    const { stdout }: { stdout: string } = await execute(
      browser,
      [...options, `--window-size=${width},900`, '--dump-dom', pathToFileURL(file).href],
      {
        timeout: 60_000,
      },
    );
    const title: string | undefined = /<title>seen (.*?)<\/title>/.exec(stdout)?.[1];
    assert.equal(title, '[]', `at a width of ${width}`);
  }
});
