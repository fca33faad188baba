/** Connections for their number's sake: ten thousand of them, and everybody else still gets in. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CONNECTIONS_PER_CLIENT_MAX } from '../../schemas/limits.ts';
import {
  assertProblem,
  json,
  type RawSocket,
  rawSocket,
  serveApart,
  startVictim,
  type Victim,
} from './victim.ts';

const ATTACK = 10_000;
const CROWD = fileURLToPath(new URL('./crowd.ts', import.meta.url));
let victim: Victim;
before(async () => {
  victim = await startVictim({}, serveApart);
});
after(() => victim?.end());

/** Files that a process may have open. */
function descriptors(): number {
  try {
    return Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  } catch {
    return 1024;
  }
}

test('ten thousand connections that say nothing: the oldest go, and everybody gets in', async (context) => {
  if (descriptors() < 4 * CONNECTIONS_PER_CLIENT_MAX) {
    context.skip(`a process may open only ${descriptors()} files here`);
    return;
  }
  const crowd = spawn(process.execPath, [CROWD, String(victim.port), String(ATTACK)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const gone = once(crowd, 'exit');
  let last = { opened: 0, open: 0 };
  let [mostOpen, asked] = [0, 0];
  try {
    for await (const line of createInterface(crowd.stdout)) {
      last = JSON.parse(line) as typeof last;
      mostOpen = Math.max(mostOpen, last.open);
      // The crowd learns later than the daemon which of its connections are gone.
      if (last.opened === ATTACK && last.open <= CONNECTIONS_PER_CLIENT_MAX) break;
      if (last.opened % 2500 !== 0 || last.opened === asked) continue;
      asked = last.opened;
      await victim.unharmed();
      // Over the same address as the attack, and not known before.
      assert.equal((await victim.ask('/v1/guests/g/hcalls/H_READ', json({ ptex: 0 }))).status, 200);
    }
    context.diagnostic(`${last.opened} connections, at most ${mostOpen} of them open at once`);
    assert.equal(last.opened, ATTACK);
    assert.ok(mostOpen > CONNECTIONS_PER_CLIENT_MAX / 2, 'so many were really open');
    assert.ok(last.open <= CONNECTIONS_PER_CLIENT_MAX, `${last.open} are open`);
  } finally {
    crowd.stdin.end();
    await gone;
  }
  await victim.unharmed();
});

test('connections that wait for their next request make room; those at work do not', async () => {
  const small = await startVictim({ connectionsPerClientMax: 4, connectionsMax: 8 });
  const agent = new Agent({ keepAlive: true });
  const sockets: RawSocket[] = [];
  const ask = (): Promise<number> =>
    new Promise((resolve, reject) => {
      request(`${small.url}/healthz`, { agent })
        .on('error', reject)
        .on('response', (response) => {
          response.resume().once('end', () => resolve(response.statusCode!));
        })
        .end();
    });
  try {
    assert.deepEqual(await Promise.all([ask(), ask(), ask(), ask()]), [200, 200, 200, 200]);
    assert.equal((await small.ask('/healthz')).status, 200, 'an idle one made room');
    // Half a body each: they are at work until they are too slow.
    const half =
      'POST /v1/guests/g/hcalls HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{';
    for (let i = 0; i < 4; i++) {
      const one = await rawSocket(small.port);
      sockets.push(one);
      one.socket.write(half);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    const refused = await small.ask('/healthz');
    assertProblem(refused, 503, 'too-many-connections');
    assert.equal(refused.headers['retry-after'], '5');
    await small.unharmed();
  } finally {
    agent.destroy();
    for (const { socket } of sockets) socket.destroy();
    await small.end();
  }
});

test('connections that are reset at once leave nothing behind', async () => {
  for (let round = 0; round < 3; round++) {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => rawSocket(victim.port)));
    for (const { socket } of sockets) {
      socket.write('GET /v1/gu');
      socket.resetAndDestroy();
    }
  }
  await victim.unharmed();
});
