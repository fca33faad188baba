/** /metrics: what it counts is what was answered, and its text is what a scraper can read. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { OPERATIONS } from '../../schemas/operations.ts';
import { ROUTES } from '../../schemas/routes.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { connect } from '../../src/client/connect.ts';
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
  for (const [name, type] of types) if (type === 'histogram') checkHistogram(name, series);
  return series;
}

/** Buckets of each series: bounds ascend up to +Inf, counts never fall, and the last one is `_count`. */
function checkHistogram(name: string, series: ReadonlyMap<string, number>): void {
  const buckets = [...series].filter(([key]) => key.startsWith(`${name}_bucket{`));
  const bySeries = Map.groupBy(buckets, ([key]) => key.replace(/,?le="[^"]*"/, ''));
  for (const [key, rows] of bySeries) {
    const bounds = rows.map(([bucket]) => /le="([^"]*)"/.exec(bucket)![1]!);
    assert.equal(bounds.pop(), '+Inf', key);
    const ascending = bounds.map(Number).toSorted((a, b) => a - b);
    assert.deepEqual(bounds, ascending.map(String), key);
    const counts = rows.map(([, count]) => count);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      key,
    );
    const place = key.replace(`${name}_bucket`, '').replace('{}', '');
    assert.equal(counts.at(-1), series.get(`${name}_count${place}`), key);
    assert.ok(series.get(`${name}_sum${place}`)! >= 0, key);
  }
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

const requestsOf = (series: ReadonlyMap<string, number>) =>
  Object.fromEntries(
    [...series]
      .filter(([name]) => name.startsWith('hptd_http_requests_total'))
      .map(([name, count]) => [name.slice('hptd_http_requests_total'.length), count]),
  );

/** fetch would not lie about a host. */
async function refusedByHost(url: string, path: string): Promise<void> {
  const headers = { host: 'elsewhere.example' };
  const [reply] = (await once(get(`${url}${path}`, { headers }), 'response')) as [IncomingMessage];
  assert.equal(reply.statusCode, 421);
  await once(reply.resume(), 'end');
}

test('requests are counted by pattern of the route, method and class of the status', async (context) => {
  const { url, rest } = await openDaemon(context);
  await rest.createGuest('g', { order: 18 });
  await rest.createGuest('h', { order: 18 });
  await fetch(`${url}/v1/guests/g`, { method: 'HEAD' });
  for (const path of ['/v1/guests/g', '/v1/guests/h?x=1', '/v1/guests/nobody', '/secret-1', '/x'])
    await (await fetch(`${url}${path}`)).text();
  // What is refused before its route is asked: by the name it calls the daemon.
  await refusedByHost(url, '/v1/guests/g');
  // A method that the address does not take.
  await (await fetch(`${url}/metrics`, { method: 'POST' })).text();
  // A stream that is refused is a request like others; one that opens is none.
  await (await fetch(`${url}/v1/guests/g/stream`)).text();
  await (await connect(url).rawStream('g')).close();
  const expected = {
    '{method="PUT",route="/v1/guests/{guest}",status="2xx"}': 2,
    '{method="HEAD",route="/v1/guests/{guest}",status="2xx"}': 1,
    '{method="GET",route="/v1/guests/{guest}",status="2xx"}': 2,
    '{method="GET",route="/v1/guests/{guest}",status="4xx"}': 2,
    '{method="GET",route="/v1/guests/{guest}/stream",status="4xx"}': 1,
    '{method="any",route="none",status="4xx"}': 3,
  };
  const series = await scrape(url);
  assert.deepEqual(requestsOf(series), expected);
  const labels = '{method="GET",route="/v1/guests/{guest}"}';
  const count = series.get(`hptd_http_request_duration_seconds_count${labels}`);
  assert.equal(count, 4);
  assert.ok(series.get(`hptd_http_request_duration_seconds_sum${labels}`)! > 0);
  const again = requestsOf(await scrape(url));
  assert.deepEqual(again, { ...expected, '{method="GET",route="/metrics",status="2xx"}': 1 });
  const patterns = new Set(ROUTES.map(({ path }) => path));
  for (const key of Object.keys(again)) {
    const route = /route="([^"]*)"/.exec(key)![1]!;
    assert.ok(route === 'none' || patterns.has(route), key);
  }
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
