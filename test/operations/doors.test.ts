/** Where a daemon listens: several addresses at once, the user's own socket, and sockets that systemd opened. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import type { ListenOptions, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serve } from '../../src/main.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FRONT_DOOR = join(ROOT, 'src/cli/hptd.ts');
const folder = mkdtempSync(join(tmpdir(), 'hptd-doors-'));
after(() => rmSync(folder, { recursive: true }));

const plain = { processors: 1, logLevel: 'silent' as const };

function statusAt(url: string): Promise<number> {
  const target = url.startsWith('unix:')
    ? { socketPath: url.slice('unix:'.length), path: '/healthz' }
    : new URL('/healthz', url);
  return new Promise((resolve, reject) => {
    request(target, (response) => resolve(response.resume().statusCode!))
      .on('error', reject)
      .end();
  });
}

test('several addresses serve the same daemon, a socket for its owner alone', async () => {
  const socket = join(folder, 'hptd.sock');
  const listen = ['127.0.0.1:0', '127.0.0.1:0', `unix:${join(folder, 'second.sock')}`];
  const daemon = await serve({ ...plain, listen, socket });
  try {
    assert.equal(daemon.urls.length, 4);
    assert.deepEqual(await Promise.all(daemon.urls.map(statusAt)), [200, 200, 200, 200]);
    for (const path of [socket, join(folder, 'second.sock')])
      assert.equal(statSync(path).mode & 0o777, 0o600, path);
  } finally {
    await daemon.close();
  }
  for (const url of daemon.urls) await assert.rejects(statusAt(url));
});

test('one address that is taken leaves none of the others open', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  try {
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const socket = join(folder, 'half.sock');
    const listen = [`unix:${socket}`, `127.0.0.1:${port}`];
    await assert.rejects(serve({ ...plain, listen }), { code: 'EADDRINUSE' });
    await assert.rejects(statusAt(`unix:${socket}`));
  } finally {
    taken.close();
  }
});

test('a folder for the socket that others can write to is refused', async () => {
  const runtime = join(folder, 'runtime');
  mkdirSync(runtime);
  chmodSync(runtime, 0o777);
  const before = process.env['XDG_RUNTIME_DIR'];
  process.env['XDG_RUNTIME_DIR'] = runtime;
  try {
    const given = { ...plain, listen: '127.0.0.1:0', socket: join(runtime, 'hptd.sock') };
    await assert.rejects(serve(given), { name: 'ConfigurationError', member: 'socket' });
    chmodSync(runtime, 0o700);
    const daemon = await serve(given);
    await daemon.close();
  } finally {
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = before;
  }
});

async function openSocket(at: ListenOptions): Promise<{ server: Server; fd: number }> {
  const server = createServer();
  server.listen(at);
  await once(server, 'listening');
  const { _handle: handle } = server as unknown as { _handle: { fd: number } };
  return { server, fd: handle.fd };
}

/** As systemd starts a service: sockets from descriptor 3 on, and the pid that is to have them in LISTEN_PID. */
function startAsSystemd(descriptors: readonly number[], words: readonly string[]) {
  const command = 'export LISTEN_PID=$$; exec "$@"';
  return spawn('sh', ['-c', command, 'sh', process.execPath, FRONT_DOOR, 'serve', ...words], {
    env: { ...process.env, LISTEN_FDS: String(descriptors.length) },
    stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
  });
}

const WORDS = ['--listen', 'systemd', '--processors', '1', '--log-level', 'error'];

test('sockets that systemd opened are served, and stay its own', async () => {
  const path = join(folder, 'activated.sock');
  const unix = await openSocket({ path });
  const tcp = await openSocket({ host: '127.0.0.1', port: 0 });
  const { port } = tcp.server.address() as { port: number };
  const child = startAsSystemd([unix.fd, tcp.fd], WORDS);
  const exit = once(child, 'exit');
  const kept = `${path}.kept`;
  try {
    // This process must not take the connections; and as its server closes it removes the file that it made.
    renameSync(path, kept);
    unix.server.close();
    tcp.server.close();
    const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
    assert.equal(line, 'hptd is ready at unix:descriptor-3');
    assert.equal(await statusAt(`unix:${kept}`), 200);
    assert.equal(await statusAt(`http://127.0.0.1:${port}`), 200);
    child.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null]);
    assert.ok(statSync(kept).isSocket(), 'the next start finds it');
  } finally {
    child.kill('SIGKILL');
  }
});

test('without sockets of systemd, or with one that others reach, it does not start: 78', async () => {
  const none = spawn(process.execPath, [FRONT_DOOR, 'serve', ...WORDS], { stdio: 'pipe' });
  let said = '';
  none.stderr.on('data', (data: Buffer) => (said += data.toString()));
  assert.equal((await once(none, 'close'))[0], 78);
  assert.match(said, /systemd handed over no socket/);

  // Every address of this machine; the daemon must refuse before it answers anybody.
  const open = await openSocket({ port: 0 });
  try {
    const child = startAsSystemd([open.fd], WORDS);
    assert.equal((await once(child, 'exit'))[0], 78);
  } finally {
    open.server.close();
  }
});

const hasAnalyze = ((): boolean => {
  try {
    return execFileSync('systemd-analyze', ['--version']).length > 0;
  } catch {
    return false;
  }
})();

test('the units are what systemd wants, and give little away', {
  skip: hasAnalyze ? false : 'systemd-analyze is not installed on this machine',
}, () => {
  for (const name of ['hptd.service', 'hptd.socket']) {
    const text = readFileSync(join(ROOT, 'docs/systemd', name), 'utf8')
      .replaceAll('/opt/hptd/node_modules/.bin/node', process.execPath)
      .replaceAll('/opt/hptd', ROOT.replace(/\/$/, ''));
    writeFileSync(join(folder, name), text);
  }
  const analyze = (...words: string[]): string =>
    execFileSync('systemd-analyze', words, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  analyze('verify', './hptd.service', './hptd.socket');
  // Of 100; what it counts against the unit is that it may use the network and make machine code.
  analyze('security', '--offline=true', '--threshold=20', './hptd.service');
});
