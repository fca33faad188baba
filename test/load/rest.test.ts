/** The REST profile: what it prints, and that a wrong answer is no figure. Its figures depend on the machine. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { drive, newLatencies, WrongAnswer } from '../../load/rest/drive.ts';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));

function rest(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'rest', ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const SHORT = ['--seconds', '0.05', '--rounds', '1', '--processors', '1'];

test('--json: figures of every scenario and number of connections', {
  timeout: 120_000,
}, async () => {
  const { code, out, err } = await rest('--json', ...SHORT, '--connections', '1,3');
  assert.equal(code, 0, err);
  const report = JSON.parse(out);
  assert.equal(report.profile, 'rest');
  assert.equal(report.machine.node, process.version);
  assert.equal(report.processors, 1);
  assert.deepEqual(
    report.results.map((row: Record<string, unknown>) => [row.scenario, row.connections]),
    ['enter-remove', 'read', 'batch-100'].flatMap((name) => [
      [name, 1],
      [name, 3],
    ]),
  );
  for (const row of report.results) {
    for (const [name, value] of Object.entries<unknown>(row)) {
      if (name === 'scenario') continue;
      assert.ok(Number.isFinite(value) && (value as number) >= 0, `${name}: ${String(value)}`);
    }
    assert.ok(row.ratio > 0 && row.requestsPerSecond > 0 && row.cpuMicrosPerRequest > 0);
    assert.ok(row.p50 > 0 && row.p50 <= row.p99 && row.p99 <= row.p999);
    const each = row.scenario === 'batch-100' ? 100 : 1;
    assert.ok(Math.abs(row.hcallsPerSecond - each * row.requestsPerSecond) <= each);
  }
});

test('a table for people', { timeout: 120_000 }, async () => {
  const { code, out, err } = await rest(...SHORT, '--scenarios', 'read', '--connections', '2');
  assert.equal(code, 0, err);
  assert.match(out, /^read +2 +[\d,]+ +[\d,]+ +[\d,]+ +\d+\.\d\d /m);
});

for (const [what, status, wrong] of [
  ['another body', 200, '{"status":"H_PTEG_FULL"}'],
  ['another status', 503, '{"status":"H_SUCCESS"}'],
] as const) {
  test(`${what} after a hundred right answers: no figures`, {
    timeout: 30_000,
  }, async (context) => {
    const right = '{"status":"H_SUCCESS"}';
    let answers = 0;
    const server = createServer((request, response) => {
      const isRight = ++answers <= 100;
      request.resume().on('end', () => {
        response.writeHead(isRight ? 200 : status).end(isRight ? right : wrong);
      });
    });
    context.after(() => {
      server.close();
      server.closeAllConnections();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const target = {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      usage: async () => ({
        atMicros: performance.now() * 1000,
        cpuMicros: 0,
        mainThreadMicros: 0,
      }),
    };
    const exchanges = [[{ path: '/', body: '{}', answer: right }]];
    await assert.rejects(drive(target, exchanges, 5, newLatencies()), (error) => {
      assert.ok(error instanceof WrongAnswer);
      assert.ok(error.message.includes(wrong), error.message);
      return true;
    });
  });
}

for (const words of [
  ['--scenarios', 'reed'],
  ['--connections', '0'],
  ['--seconds', 'soon'],
  ['--processors', '65'],
]) {
  test(`${words.join(' ')}: exit 64`, async () => {
    const { code, err } = await rest(...words);
    assert.equal(code, 64);
    assert.match(err, /^load: /);
  });
}
