/** Clients that take their time: each holds a connection for as long as it may, and nothing of anybody else. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RawSocket, rawSocket, startVictim, type Victim } from './victim.ts';

const SLOW_CLIENTS = 100;
let victim: Victim;
before(async () => {
  victim = await startVictim({ headersSecondsMax: 1, requestSecondsMax: 2 });
});
after(() => victim?.end());

/** Opens many, lets each write now and then, and gives what they got when they were all thrown out. */
async function dripping(start: string, drop: string): Promise<string[]> {
  const sockets: RawSocket[] = [];
  for (let i = 0; i < SLOW_CLIENTS; i++) sockets.push(await rawSocket(victim.port));
  const drips = setInterval(() => {
    for (const { socket } of sockets) if (socket.writable) socket.write(drop);
  }, 200);
  try {
    for (const { socket } of sockets) socket.write(start);
    await victim.unharmed();
    await Promise.all(sockets.map(({ closed }) => closed));
    return sockets.map(({ received }) => received());
  } finally {
    clearInterval(drips);
    for (const { socket } of sockets) socket.destroy();
  }
}

test('headers that never end: 408', async () => {
  const answers = await dripping('GET /v1/guests HTTP/1.1\r\nhost: 127.0.0.1\r\n', 'a: b\r\n');
  for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 408 [^]*request-too-slow/);
  await victim.unharmed();
});

test('a body that never ends: 408', async () => {
  const head =
    'POST /v1/guests/g/hcalls HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n';
  const answers = await dripping(`${head}content-length: 100000\r\n\r\n{`, ' ');
  for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 408 [^]*request-too-slow/);
  await victim.unharmed();
});

test('connections on which nothing ever comes are closed too', async () => {
  const sockets: RawSocket[] = [];
  for (let i = 0; i < SLOW_CLIENTS; i++) sockets.push(await rawSocket(victim.port));
  await victim.unharmed();
  await Promise.all(sockets.map(({ closed }) => closed));
  await victim.unharmed();
});

test('an upgrade that stops half way holds nothing', async () => {
  const { socket, closed } = await rawSocket(victim.port);
  socket.write('GET /v1/guests/g/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\n');
  socket.write('connection: upgrade\r\nsec-websocket-version: 13\r\n');
  await closed;
  await victim.unharmed();
});
