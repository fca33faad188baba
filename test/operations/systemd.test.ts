/** What systemd is told of a daemon's life, by a socket as systemd has it: READY=1 when it answers, STOPPING=1 when it ends. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { READY_LINE } from '../../src/cli/commands/ready-line.ts';

const FRONT_DOOR = fileURLToPath(new URL('../../src/cli/hptd.ts', import.meta.url));
const WORDS = ['serve', '--listen', '127.0.0.1:0', '--processors', '1', '--log-level', 'warn'];
const WAIT_MILLIS = 60_000;

function missing(...programs: string[]): string | false {
  const lacking = programs.filter((name) => spawnSync(name, ['--version']).status !== 0);
  return lacking.length === 0 ? false : `${lacking.join(', ')} is not installed on this machine`;
}

/** Node has no Unix datagram sockets, so perl listens: each message in a line. */
const LISTENER = `use Socket; $| = 1;
my $s;
socket($s, AF_UNIX, SOCK_DGRAM, 0) && bind($s, pack_sockaddr_un($ARGV[0])) or die $!;
print "listening\\n";
while (defined recv($s, my $message, 4096, 0)) { print "$message\\n"; }`;

async function openSystemd(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-notify-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'notify');
  const child = spawn('perl', ['-e', LISTENER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'listening');
  return {
    path,
    /** The next message that says something of the daemon. */
    async next(): Promise<string> {
      for (;;) {
        const { value } = await lines.next();
        // With which systemd-notify waits until what it said was read.
        if (value !== 'BARRIER=1') return String(value);
      }
    },
  };
}

function startDaemon(context: TestContext, env: Record<string, string>) {
  const child = spawn(process.execPath, [FRONT_DOOR, ...WORDS], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: WAIT_MILLIS,
  });
  context.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data));
  return {
    child,
    ready: once(createInterface(child.stdout), 'line').then(
      ([line]) => READY_LINE.exec(String(line))![1]!,
    ),
    closed: once(child, 'close') as Promise<[number | null]>,
    said: () => said,
  };
}

test('READY=1 when it answers, STOPPING=1 when it ends, and nothing else', {
  skip: missing('systemd-notify', 'perl'),
}, async (context) => {
  const systemd = await openSystemd(context);
  const daemon = startDaemon(context, { NOTIFY_SOCKET: systemd.path });
  assert.equal(await systemd.next(), 'READY=1');
  assert.equal((await fetch(`${await daemon.ready}/readyz`)).status, 200);
  daemon.child.kill('SIGTERM');
  assert.equal(await systemd.next(), 'STOPPING=1');
  assert.equal((await daemon.closed)[0], 0, daemon.said());
  assert.equal(daemon.said(), '');
});

test('a socket that nobody reads is said, and keeps nobody from working', {
  skip: missing('systemd-notify'),
}, async (context) => {
  const daemon = startDaemon(context, { NOTIFY_SOCKET: '/nowhere/notify' });
  assert.equal((await fetch(`${await daemon.ready}/readyz`)).status, 200);
  while (!daemon.said().includes('systemd cannot be told')) await once(daemon.child.stderr, 'data');
  daemon.child.kill('SIGTERM');
  assert.equal((await daemon.closed)[0], 0, daemon.said());
});
