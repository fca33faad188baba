/** REST from the client's side: addresses, refusals as errors, and Unix sockets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { daemonAddress, isLocal, streamUrl } from '../../src/client/address.ts';
import { RefusedError, UnavailableError } from '../../src/client/errors.ts';
import { connectRest } from '../../src/client/rest.ts';
import { startFakeDaemon } from './fake-daemon.ts';

test('addresses of daemons and of their streams', () => {
  assert.equal(streamUrl('http://127.0.0.1:7808', 'g'), 'ws://127.0.0.1:7808/v1/guests/g/stream');
  assert.equal(streamUrl('https://h', 'a b'), 'wss://h/v1/guests/a%20b/stream');
  assert.equal(streamUrl('unix:/run/hptd', 'g'), 'ws+unix:/run/hptd:/v1/guests/g/stream');
  for (const text of ['', 'unix:', '127.0.0.1:7808', 'ftp://h', 'h']) {
    assert.throws(() => daemonAddress(text), /write http:\/\/HOST:PORT or unix:PATH/);
  }
  for (const url of [
    'ws://127.0.0.1:1/',
    'ws://127.8.9.1/',
    'ws://[::1]:1/',
    'ws://localhost/',
    'ws+unix:/a:/b',
  ]) {
    assert.equal(isLocal(url), true, url);
  }
  for (const url of ['ws://127.0.0.1.example.org/', 'ws://10.0.0.1/', 'wss://h/']) {
    assert.equal(isLocal(url), false, url);
  }
});

test('what is asked, what is answered, and what is refused', async () => {
  const bodies: unknown[] = [];
  const daemon = await startFakeDaemon({
    rest: (method, path, body) => {
      bodies.push(body);
      if (path === '/v1/guests') return { status: 200, body: { guests: [{ name: 'g' }] } };
      if (method === 'GET') {
        const problem = {
          title: 'No such guest',
          detail: 'no g',
          code: 'guest-not-found',
          whatToDo: 'create it',
        };
        return { status: 404, body: problem };
      }
      return method === 'DELETE' ? { status: 502, body: 'a proxy' } : undefined;
    },
  });
  try {
    const rest = connectRest(daemon.url);
    assert.deepEqual(await rest.listGuests(), [{ name: 'g' }]);
    await rest.createGuest('g', { order: 18 });
    await rest.call('g', 'H_READ', { ptex: '0x1' });
    await rest.control('g', 'HOST_AGE', { gpa: '0x0' });
    assert.deepEqual(bodies.slice(1), [{ order: 18 }, { ptex: '0x1' }, { gpa: '0x0' }]);
    await assert.rejects(rest.getGuest('g'), (error: RefusedError) => {
      assert.ok(error instanceof RefusedError);
      const { code, title, detail, status, advice } = error;
      assert.deepEqual(
        [code, title, detail, status, advice],
        ['guest-not-found', 'No such guest', 'no g', 404, 'create it'],
      );
      return true;
    });
    await assert.rejects(rest.deleteGuest('g'), (error: RefusedError) => error.code === 'http-502');
    assert.deepEqual(daemon.requests, [
      'GET /v1/guests',
      'PUT /v1/guests/g',
      'POST /v1/guests/g/hcalls/H_READ',
      'POST /v1/guests/g/control/HOST_AGE',
      'GET /v1/guests/g',
      'DELETE /v1/guests/g',
    ]);
  } finally {
    await daemon.close();
  }
  await assert.rejects(connectRest(daemon.url).listGuests(), UnavailableError);
});

test('a daemon on a Unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-test-'));
  const path = join(folder, 'socket');
  const server = createServer((request, response) =>
    response.end(JSON.stringify({ path: request.url })),
  );
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    assert.deepEqual(await connectRest(`unix:${path}`).getGuest('g'), { path: '/v1/guests/g' });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  }
});
