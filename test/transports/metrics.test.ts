/** /metrics: what it counts is what was answered, and its text is what a scraper can read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { OPERATIONS } from '../../schemas/operations.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { connectRest } from '../../src/client/rest.ts';
import { answerPlacesOf } from '../../src/guests/facts.ts';
import { serve } from '../../src/main.ts';
import { openMetricsText } from '../../src/operations/metrics-text.ts';
import { compileEngine, guestMemory, openEngine } from '../../src/rings/engine.ts';

async function openDaemon(context: TestContext) {
  const daemon = await serve({ listen: '127.0.0.1:0', processors: 2, logLevel: 'silent' });
  context.after(() => daemon.close());
  return { url: daemon.url, rest: connectRest(daemon.url) };
}

/** Values by series. Throws at a line that is not of the format, and at a series that comes twice. */
function parse(text: string): Map<string, number> {
  const series = new Map<string, number>();
  const types = new Map<string, string>();
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (comment !== null) {
      if (comment[1] === 'TYPE') types.set(comment[2]!, comment[3]!);
      continue;
    }
    const sample = /^([a-z_]+)(\{(?:[a-z_]+="[^"\\\n]*",?)*\})? (\S+)$/.exec(line);
    assert.ok(sample !== null, `not a sample: ${line}`);
    const [, name, labels = '', value] = sample;
    const family = types.has(name!) ? name! : name!.replace(/_(bucket|sum|count)$/, '');
    assert.ok(types.has(family), `no TYPE before ${line}`);
    if (types.get(family) === 'counter') assert.match(family, /_total$/);
    assert.ok(!series.has(name! + labels), `twice: ${line}`);
    assert.ok(Number.isFinite(Number(value)), line);
    series.set(name! + labels, Number(value));
  }
  return series;
}

async function scrape(url: string): Promise<Map<string, number>> {
  const answer = await fetch(`${url}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  return parse(await answer.text());
}

test('hcalls are counted by what was answered, whichever processor answered them', async (context) => {
  const { url, rest } = await openDaemon(context);
  await rest.createGuest('g', { order: 18, ramBytes: 2 ** 28 });
  const place = { flags: ['H_EXACT'], ptex: '0x8', pteh: '0x4000000000001001', ptel: '0x190' };
  for (let i = 0; i < 3; i++) await rest.call('g', 'H_ENTER', place);
  await rest.call('g', 'H_REMOVE', { ptex: '0x8', avpn: '0x0' });
  await rest.call('g', 'H_REMOVE', { ptex: '0x8', avpn: '0x0' });
  await rest.control('g', 'HOST_AGE', { gpa: '0x0' });
  const series = await scrape(url);
  const counted = [...series].filter(([name]) => name.startsWith('hptd_hcalls_total'));
  assert.deepEqual(Object.fromEntries(counted), {
    'hptd_hcalls_total{guest="g",hcall="H_ENTER",status="H_SUCCESS"}': 1,
    'hptd_hcalls_total{guest="g",hcall="H_ENTER",status="H_PTEG_FULL"}': 2,
    'hptd_hcalls_total{guest="g",hcall="H_REMOVE",status="H_SUCCESS"}': 1,
    'hptd_hcalls_total{guest="g",hcall="H_REMOVE",status="H_NOT_FOUND"}': 1,
  });
  const records = [0, 1, 2].map(
    (i) => series.get(`hptd_records_total{guest="g",processor="${i}"}`)!,
  );
  // The main thread counts behind the two processors. A run is what a processor is woken for: here the control record.
  assert.deepEqual([records[0]! + records[1]!, records[2]], [1, 5]);
  assert.equal(series.get('hptd_run_records_sum{guest="g"}'), 1);
  const runs = series.get('hptd_run_seconds_count{guest="g"}')!;
  assert.equal(runs, series.get('hptd_run_records_bucket{guest="g",le="1"}'));
  assert.equal(runs, series.get('hptd_run_seconds_bucket{guest="g",le="+Inf"}'));
  assert.ok(series.get('hptd_run_seconds_sum{guest="g"}')! > 0);
  assert.equal(series.get('hptd_guests{state="running"}'), 1);
  assert.equal(series.get('hptd_processor_up{processor="1"}'), 1);
  assert.equal(series.get('hptd_guest_table_bytes{guest="g"}'), 2 ** 18);
  assert.equal(series.get('hptd_guest_submitted_bytes{guest="g"}'), 0);
});

test('a guest that is deleted takes its series along', async (context) => {
  const { url, rest } = await openDaemon(context);
  await rest.createGuest('gone', { order: 18 });
  assert.ok([...(await scrape(url)).keys()].some((name) => name.includes('gone')));
  await rest.deleteGuest('gone');
  assert.ok(![...(await scrape(url)).keys()].some((name) => name.includes('gone')));
});

test('each answer of each hcall has a counter of its own', async () => {
  const engine = openEngine(await compileEngine(), guestMemory());
  const places = answerPlacesOf(engine);
  assert.equal(new Set(places.map(({ at }) => at)).size, places.length);
  const named = new Set(places.map(({ at }) => at));
  const { RUN_MICROS, PROCESSOR_BYTES, RUN_RECORDS, RUN_BUCKETS } = engine.map;
  for (const { opcode, kind } of OPERATIONS) {
    for (const status of Object.values(STATUSES)) {
      const at = engine.calls.answerPlace(opcode, status);
      assert.ok(at >= 1024 && at < RUN_MICROS, `${opcode} ${status}: ${at}`);
      if (kind === 'control') assert.ok(!named.has(at));
    }
  }
  assert.ok(RUN_MICROS + 8 * (RUN_BUCKETS + 1) <= RUN_RECORDS);
  assert.ok(RUN_RECORDS + 8 * (RUN_BUCKETS + 1) <= PROCESSOR_BYTES);
});

test('labels are escaped, buckets add up', () => {
  const metrics = openMetricsText();
  metrics.gauge('a_b', 'Help.', [[{ name: 'a"b\\c\nd' }, 1]]);
  metrics.histogram('h', 'Help.', [{ labels: {}, bounds: [1, 2], counts: [3, 0, 4], sum: 50 }]);
  const lines = metrics.text().split('\n');
  assert.equal(lines[2], 'a_b{name="a\\"b\\\\c\\nd"} 1');
  assert.deepEqual(lines.slice(5), [
    'h_bucket{le="1"} 3',
    'h_bucket{le="2"} 3',
    'h_bucket{le="+Inf"} 7',
    'h_sum 50',
    'h_count 7',
    '',
  ]);
});
