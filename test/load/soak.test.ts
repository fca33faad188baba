/** The soak profile: what it prints, and that what it looks for is found when it is there. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openRandom } from '../../load/engine/random.ts';
import { faultOf, openSlots, randomCall } from '../../load/soak/slots.ts';
import { NOTHING_DONE } from '../../load/soak/state.ts';
import { judge, type Window } from '../../load/soak/verdict.ts';
import { guestConfig } from '../../schemas/guests.ts';
import { createModel } from '../model/model.ts';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function soak(...words: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'soak', ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

test('--json: windows with work of every kind done in them, and a verdict', async () => {
  const words = ['--minutes', '0.06', '--rate', '2000', '--kill-every', '0.5', '--json'];
  const { code, out, err } = await soak(...words);
  assert.equal(code, 0, err);
  const report = JSON.parse(out);
  assert.equal(report.profile, 'soak');
  assert.equal(report.machine.node, process.version);
  assert.deepEqual([report.verdict.passed, report.verdict.findings], [true, []]);
  assert.equal(report.windows.length, 16);
  for (const window of report.windows) assert.ok(window.rssMiB > 0 && window.fds > 0);
  const total = (deed: string): number =>
    report.windows.reduce((sum: number, row: Record<string, number>) => sum + row[deed]!, 0);
  for (const deed of ['hcalls', 'kills', 'vanished']) assert.ok(total(deed) > 0, deed);
});

test('a planted wrong answer: exit 1, and which', async () => {
  const words = ['--minutes', '1', '--rate', '2000', '--kill-every', '0', '--plant', 'answer'];
  const { code, out, err } = await soak(...words);
  assert.equal(code, 1);
  assert.match(err, /^soak: wrong answer: stream 0 of steady-0: H_/m);
  assert.match(out, /^ +seconds +hcalls.*\n( +\d)/);
  assert.match(out, /^failed$/m);
});

test('a planted leak: exit 1', async () => {
  const words = ['--minutes', '0.09', '--rate', '1000', '--kill-every', '0', '--plant', 'leak'];
  const { code, err } = await soak(...words);
  assert.equal(code, 1);
  assert.match(err, /^soak: leak: resident memory grew by \d+ MiB/m);
});

for (const words of [
  ['--minutes', 'long'],
  ['--minutes', '1', '--hours', '1'],
  ['--plant', 'tree'],
  ['--rate', '0'],
]) {
  test(`${words.join(' ')}: exit 64`, async () => {
    assert.equal((await soak(...words)).code, 64);
  });
}

function windows(of: (i: number) => Partial<Window>): Window[] {
  return Array.from({ length: 16 }, (_, i) => ({
    ...NOTHING_DONE,
    seconds: 10 * (i + 1),
    rssMiB: 200,
    addressGiB: 50,
    fds: 40,
    handles: 14,
    p50Millis: 1,
    p99Millis: 20,
    delayP99Millis: 2,
    ...of(i),
  }));
}

test('what stays as it is, breathes, or grows while it warms up is no finding', () => {
  assert.deepEqual(judge(windows(() => ({}))), []);
  assert.deepEqual(judge(windows((i) => ({ rssMiB: 200 + 30 * (i % 2), fds: 40 + (i % 4) }))), []);
  assert.deepEqual(judge(windows((i) => ({ rssMiB: 100 + 50 * Math.min(i, 3) }))), []);
  assert.deepEqual(judge(windows((i) => ({ p99Millis: i === 12 ? 900 : 20 }))), []);
});

test('what grows is found', () => {
  assert.match(judge(windows((i) => ({ rssMiB: 200 + 5 * i }))).join(), /resident memory/);
  assert.match(judge(windows((i) => ({ fds: 40 + i }))).join(), /file descriptors/);
  assert.match(judge(windows((i) => ({ handles: 14 + i }))).join(), /handles/);
  assert.match(judge(windows((i) => ({ addressGiB: 50 + 8 * i }))).join(), /address space/);
});

test('answers that take longer and longer are found, unless the machine became slow', () => {
  assert.match(judge(windows((i) => ({ p99Millis: 20 * 1.3 ** i }))).join(), /drift: p99/);
  const slow = windows((i) => ({ p99Millis: 20 * 1.3 ** i, delayP99Millis: 2 * 1.3 ** i }));
  assert.deepEqual(judge(slow), []);
});

test('the calls of a stream expect what the model answers', () => {
  const { memory: _memory, ...config } = guestConfig.parse({ order: 18, ramBytes: 2 ** 24 });
  const model = createModel(config);
  const slots = openSlots(openRandom(1), 3, 4);
  const seen = new Set<string>();
  for (let i = 0; i < 5000; i++) {
    const call = randomCall(slots);
    const { status, out } = model.call(call.op, call.record.words);
    const { tag } = call.record;
    assert.equal(faultOf(call, { tag, status, words: [...out] }), undefined);
    assert.match(faultOf(call, { tag, status: status ^ 1, words: [...out] })!, new RegExp(call.op));
    seen.add(`${call.op} ${status}`);
  }
  assert.equal(seen.size, 8, [...seen].join(', '));
});
