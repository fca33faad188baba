/** Peers that misbehave without breaking a rule: they do not read, do not answer pings, ask for too much. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Fastify from 'fastify';
import { pino } from 'pino';
import { SOCKET_HIGH_WATER_BYTES } from '../../schemas/limits.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { openGuests } from '../../src/guests/registry.ts';
import { collectGarbage } from '../../src/operations/heap.ts';
import { streamRoutes } from '../../src/transports/stream.ts';
import { config, reads } from '../guests/configs.ts';
import { connect, startDaemon } from './stream-daemon.ts';
import type { TestDaemon } from './stream-daemon.ts';

/** Bytes that somebody still holds: frames that are done with would count until V8 happens to look. */
function buffersHeld(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

let daemon: TestDaemon;
before(async () => {
  // One processor: whoever delays another has the chance to.
  daemon = await startDaemon(1);
  await daemon.put('g');
});
after(() => daemon.close());

test('a client that never reads costs little memory and delays nobody', {
  timeout: 60_000,
}, async () => {
  const [mute, lively] = await Promise.all([
    connect(daemon.address('g')),
    connect(daemon.address('g')),
  ]);
  mute.socket.pause();
  const frame = encodeRequests(reads(2000, 0, true));
  const before = buffersHeld();
  let answered = 0;
  let peak = 0;
  // 400 frames of 48 KB ask for 83 MB of answers.
  for (let sent = 0; sent < 400; sent++) {
    mute.socket.send(frame);
    lively.socket.send(encodeRequests(reads(1, answered)));
    await lively.answers(++answered);
    if (sent % 20 === 19) peak = Math.max(peak, buffersHeld() - before);
  }
  // The client's own frames that nobody takes wait in this process too.
  const own = mute.socket.bufferedAmount;
  assert.ok(
    peak - own < 4 * SOCKET_HIGH_WATER_BYTES,
    `${peak} bytes at most, ${own} of them the client's`,
  );
  mute.socket.resume();
  const { code } = await mute.closed;
  // It sent without credits; 1006 if it had not read that a second later, and was cut off.
  assert.ok(code === 4413 || code === 1006, `closed with ${code}`);
  assert.equal((await lively.answers(400)).at(-1)!.tag, 399);
  lively.socket.terminate();
});

test('a client that reads late gets every answer', { timeout: 60_000 }, async () => {
  await daemon.put('backed', { memory: 'backed' });
  const [late, lively] = await Promise.all([
    connect(daemon.address('backed', '?role=host')),
    connect(daemon.address('g')),
  ]);
  // 600 answers of 32 KiB are more than the ring, the socket and the kernel hold.
  const MEMORY_READ = { opcode: 0x8011, words: [0n, 4000n] };
  late.socket.pause();
  late.socket.send(
    encodeRequests(Array.from({ length: 600 }, (_, tag) => ({ ...MEMORY_READ, tag }))),
  );
  for (let i = 1; i <= 200; i++) {
    lively.socket.send(encodeRequests(reads(1)));
    await lively.answers(i);
  }
  late.socket.resume();
  const answers = await late.answers(600);
  assert.deepEqual(
    answers.map(({ tag }) => tag),
    Array.from({ length: 600 }, (_, i) => i),
  );
  assert.ok(answers.every(({ status, words }) => status === 0 && words.length === 4000));
  late.socket.terminate();
  lively.socket.terminate();
});

test('many streams at once are all answered, in order', { timeout: 60_000 }, async () => {
  const streams = await Promise.all(
    Array.from({ length: 100 }, () => connect(daemon.address('g'))),
  );
  await Promise.all(
    streams.map(async (stream, i) => {
      for (let frame = 0; frame < 20; frame++) {
        const count = 1 + ((i * 7 + frame) % 50);
        stream.socket.send(encodeRequests(reads(count, frame * 50)));
      }
      const sizes = Array.from({ length: 20 }, (_, frame) => 1 + ((i * 7 + frame) % 50));
      const expected = sizes.flatMap((size, frame) =>
        Array.from({ length: size }, (_, k) => frame * 50 + k),
      );
      const answers = await stream.answers(expected.length);
      assert.deepEqual(
        answers.map(({ tag }) => tag),
        expected,
      );
    }),
  );
  for (const stream of streams) stream.socket.terminate();
});

test('a peer that misses a ping is closed with 4408; one that answers stays', {
  timeout: 60_000,
}, async (context) => {
  const guests = await openGuests({ processors: 1, log: pino({ level: 'silent' }) });
  context.after(() => guests.close());
  await guests.create('g', config());
  const app = Fastify();
  context.after(() => app.close());
  // Long enough for both ends of the connection, in one process on a busy machine.
  await app.register(streamRoutes, { guests, pingIntervalMillis: 2000 });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const address = `${url.replace('http', 'ws')}/v1/guests/g/stream`;
  const [dead, alive] = await Promise.all([
    connect(address, 'hptd.v1', { autoPong: false }),
    connect(address),
  ]);
  assert.deepEqual(await dead.closed, { code: 4408, reason: 'pings were not answered' });
  alive.socket.send(encodeRequests(reads(1)));
  assert.equal((await alive.answers(1)).length, 1);
  await guests.close();
  await app.close();
  assert.equal((await alive.closed).code, 1012);
});
