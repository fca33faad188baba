/** A daemon's beginning and end: ports that are taken, sockets left behind, signals. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SHUTDOWN_GRACE_MILLIS } from '../../schemas/limits.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { serve } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';
import { reads } from '../guests/configs.ts';
import { connect } from '../transports/stream-daemon.ts';

const options = (listen: string) =>
  serveOptions.parse({ listen, processors: 1, logLevel: 'silent' });

async function directory(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hptd-'));
  context.after(() => rm(path, { recursive: true }));
  return path;
}

/** Starts a daemon of its own; resolves with its URL. It is killed, by its id, when the test ends. */
async function spawnDaemon(context: TestContext, listen: string) {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./daemon-process.ts', import.meta.url)), listen],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  context.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return { child, exit, url: line.trim() };
}

test('a port that is taken is an error that says so, and leaves nothing running', async (context) => {
  const first = await serve(options('127.0.0.1:0'));
  context.after(() => first.close());
  const { port } = new URL(first.url);
  await assert.rejects(serve(options(`127.0.0.1:${port}`)), (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'EADDRINUSE');
    assert.match(
      error.message,
      new RegExp(`127.0.0.1:${port}.*another program listens there.*--listen`),
    );
    return true;
  });
  assert.equal((await fetch(`${first.url}/healthz`)).status, 200);
  await first.close();
  const second = await serve(options(`127.0.0.1:${port}`));
  await second.close();
  await second.close();
});

test('a Unix socket serves, is removed at close, and one left by a crash is taken over', async (context) => {
  const path = join(await directory(context), 'hptd.sock');
  const { child, exit } = await spawnDaemon(context, `unix:${path}`);
  await assert.rejects(serve(options(`unix:${path}`)), { code: 'EADDRINUSE' });
  child.kill('SIGKILL');
  await exit;
  assert.ok(existsSync(path), 'a crash leaves the socket behind');
  const daemon = await serve(options(`unix:${path}`));
  assert.equal(daemon.url, `unix:${path}`);
  const asked = request({ socketPath: path, path: '/readyz' });
  asked.end();
  const [response] = await once(asked, 'response');
  assert.equal(response.statusCode, 200);
  response.resume();
  await daemon.close();
  assert.ok(!existsSync(path));
});

test('a file that is no socket is not taken over', async (context) => {
  const path = join(await directory(context), 'precious');
  await writeFile(path, 'words');
  await assert.rejects(serve(options(`unix:${path}`)), { code: 'EADDRINUSE' });
  assert.ok(existsSync(path));
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} answers what is in flight, closes streams with 1012, and exits with 0`, {
    timeout: 30_000,
  }, async (context) => {
    const { child, exit, url } = await spawnDaemon(context, '127.0.0.1:0');
    const made = await fetch(`${url}/v1/guests/g`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"order":18}',
    });
    assert.equal(made.status, 201);
    const address = `${url.replace('http', 'ws')}/v1/guests/g/stream`;
    const [stream, mute] = await Promise.all([connect(address), connect(address)]);
    mute.socket.pause();
    mute.socket.send(encodeRequests(reads(10_000, 0, true)));
    stream.socket.send(encodeRequests(reads(10_000)));
    await stream.answers(1);
    const begun = performance.now();
    child.kill(signal);
    assert.equal((await stream.closed).code, 1012);
    assert.equal(
      stream.messages.reduce((sum, message) => sum + message.byteLength, 0),
      24 * 10_000,
    );
    assert.deepEqual(await exit, [0, null]);
    assert.ok(performance.now() - begun < SHUTDOWN_GRACE_MILLIS);
    mute.socket.terminate();
  });
}
