/** The stream profile: what it tells, what it refuses, and that it looks at every answer. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { begin, finish, pump } from '../../load/stream/connection.ts';
import { closeAll, connectAll } from '../../load/stream/measurement.ts';
import { cycleOf, echoTraffic, guestTraffic } from '../../load/stream/traffic.ts';
import { streamUrl } from '../../src/client/index.ts';
import { startFakeDaemon, type FakeRequest } from '../client/fake-daemon.ts';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));
const H_ENTER = 0x08;

function stream(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'stream', ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

/** The shortest run of some modes. */
function short(...words: string[]) {
  return stream('--json', '--order', '18', '--seconds', '0.02', '--rounds', '1', ...words);
}

test('--json: a row of every setting, with figures of all three sides', async () => {
  const words = '--modes closed,round-trip,open --batches 1,65 --connections 1,3 --rate 20000';
  const { code, out, err } = await short(...words.split(' '));
  assert.equal(code, 0, err);
  const report = JSON.parse(out);
  assert.equal(report.profile, 'stream');
  assert.equal(report.machine.node, process.version);
  assert.deepEqual(
    report.results.map((row: Record<string, unknown>) => [row.mode, row.batch, row.connections]),
    [
      ['round-trip', 1, 1],
      ['closed', 1, 1],
      ['closed', 65, 1],
      ['open', 64, 1],
      ['closed', 1, 3],
      ['closed', 65, 3],
      ['open', 64, 3],
    ],
  );
  for (const row of report.results) {
    for (const figure of ['hcallsPerSecond', 'ratioToEngine', 'echoHcallsPerSecond', 'p50', 'p999'])
      assert.ok(row[figure] > 0, `${figure} of ${JSON.stringify(row)}`);
    assert.ok(row.p50 <= row.p99 && row.p99 <= row.p999);
    assert.ok(row.serverCpuMicrosPerHcall > 0 && row.clientCpuMicrosPerHcall > 0);
  }
});

test('fairness: one hcall at a time, alone and beside others, and bounded memory', async () => {
  const { code, out, err } = await short('--modes', 'fairness');
  assert.equal(code, 0, err);
  const { fairness } = JSON.parse(out);
  assert.deepEqual(
    fairness.map((row: Record<string, unknown>) => [row.server, row.beside]),
    [
      ['hptd', 'nobody'],
      ['hptd', 'a stream of batches of 4096'],
      ['hptd', '8 clients that never read'],
      ['echo', 'nobody'],
      ['echo', 'a stream of batches of 4096'],
    ],
  );
  for (const row of fairness) assert.ok(row.p50 > 0 && row.p50 <= row.p999);
  assert.ok(fairness[1].othersHcallsPerSecond > 0);
  assert.ok(fairness[2].grownMebibytes <= fairness[2].grownMebibytesMax);
});

for (const words of [
  ['--modes', 'clsoed'],
  ['--batches', '5000'],
  ['--connections', '0'],
  ['--rate', 'fast'],
]) {
  test(`${words.join(' ')}: exit 64`, async () => {
    const { code, err } = await stream(...words);
    assert.equal(code, 64);
    assert.match(err, /^load: /);
  });
}

/** Answers as an empty table would; the `wrong`th answer has another status, or another word. */
function answerer(wrong: number, how: 'status' | 'word') {
  let entered: bigint[] = [];
  let answered = 0;
  return ({ opcode, words }: FakeRequest) => {
    const right = opcode === H_ENTER ? [words[1]! & ~7n] : entered;
    if (opcode === H_ENTER) entered = words.slice(2);
    if (answered++ !== wrong) return { status: 0, words: right };
    if (how === 'status') return { status: -7, words: right };
    return { status: 0, words: right.map((word) => word ^ 1n) };
  };
}

const NEVER = -1;

for (const [wrong, how, batch] of [
  [NEVER, 'status', 1],
  [NEVER, 'status', 7],
  [0, 'status', 1],
  [31, 'word', 7],
] as const) {
  const what = wrong === NEVER ? 'right answers pass' : `a wrong ${how} in answer ${wrong} fails`;
  test(`${what}, batches of ${batch}`, { timeout: 20_000 }, async () => {
    const daemon = await startFakeDaemon({ answer: answerer(wrong, how) });
    try {
      const connections = await connectAll(streamUrl(daemon.url, 'g'), [
        guestTraffic(0, 1, 18, 64),
      ]);
      const [connection] = connections;
      begin(connection!, { batch, window: 4 });
      pump(connection!, performance.now());
      const { done } = connection!.run!;
      const enough = new Promise<void>((resolve) => {
        const look = setInterval(() => {
          if (connection!.run!.answered < 200) return;
          clearInterval(look);
          resolve();
        }, 1);
        void done.promise.catch(() => clearInterval(look));
      });
      if (wrong === NEVER) {
        await Promise.race([enough, done.promise]);
        await finish(connection!, performance.now());
        assert.equal(daemon.faults.length, 0);
        await closeAll(connections);
      } else {
        await assert.rejects(Promise.race([enough, done.promise]), /a wrong answer: byte \d+/);
      }
    } finally {
      await daemon.close();
    }
  });
}

test('frames of any size begin and end where records do, and answers are as long as foreseen', () => {
  const traffic = guestTraffic(1, 3, 18, 100);
  for (const batch of [1, 3, 64, 4096]) {
    const { frames, answers } = cycleOf(traffic, batch);
    assert.equal(
      frames.reduce((sum, { hcalls }) => sum + hcalls, 0),
      100,
    );
    assert.deepEqual(
      Buffer.concat(frames.map(({ bytes }) => bytes)),
      Buffer.from(traffic.requests),
    );
    assert.equal(answers.byteLength, 50 * 40);
  }
  const echo = cycleOf(echoTraffic(traffic), 3);
  assert.deepEqual(Buffer.concat(echo.frames.map(({ bytes }) => bytes)), Buffer.from(echo.answers));
});
