/** Too much of what is allowed: frames, messages, requests. The flood is answered or closed; the others go on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CREDIT_BYTES, FRAME_BYTES_MAX, JSON_IN_FLIGHT_MAX } from '../../schemas/limits.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { reads } from '../guests/configs.ts';
import { connect } from '../transports/stream-daemon.ts';
import { accessFile, assertProblem, json, rawSocket, startVictim, type Victim } from './victim.ts';

let victim: Victim;
before(async () => {
  victim = await startVictim();
});
after(() => victim?.end());

test('frames beyond the credits close the stream with 4413', async () => {
  const stream = await connect(victim.streamUrl('g'));
  stream.socket.pause();
  const frame = encodeRequests(reads(4000, 0, true));
  for (let sent = 0; sent <= 8 * CREDIT_BYTES; sent += frame.byteLength) stream.socket.send(frame);
  await victim.unharmed();
  stream.socket.resume();
  assert.equal((await stream.closed).code, 4413);
  await victim.unharmed();
});

test('twenty thousand of the smallest frames at once are answered or closed', async () => {
  const stream = await connect(victim.streamUrl('g'));
  const frame = encodeRequests(reads(1));
  for (let i = 0; i < 20_000; i++) stream.socket.send(frame);
  await victim.unharmed();
  const end = await Promise.race([stream.closed, stream.answers(20_000)]);
  assert.ok('code' in end ? end.code === 4413 : end.length === 20_000);
  stream.socket.terminate();
  await victim.unharmed();
});

test('more JSON calls than may wait close the stream with 4413', async () => {
  const stream = await connect(victim.streamUrl('g'), 'hptd.v1.json');
  const calls = Array.from({ length: 100 }, () => ({ hcall: 'H_READ', ptex: 0 }));
  for (let i = 0; i < (20 * JSON_IN_FLIGHT_MAX) / 100; i++)
    stream.socket.send(JSON.stringify(calls));
  assert.equal((await stream.closed).code, 4413);
  await victim.unharmed();
});

test('a frame that is too long, in one or in pieces, closes with 1009', async () => {
  const whole = await connect(victim.streamUrl('g'));
  whole.socket.send(Buffer.alloc(FRAME_BYTES_MAX + 1));
  assert.equal((await whole.closed).code, 1009);
  const pieces = await connect(victim.streamUrl('g'));
  for (let i = 0; i < 1000 && pieces.socket.readyState === 1; i++)
    pieces.socket.send(Buffer.alloc(1024), { fin: false });
  assert.equal((await pieces.closed).code, 1009);
  await victim.unharmed();
});

/** A frame of WebSocket as a broken or hostile client makes it, masked with zeros. */
function wireFrame(first: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

test('a compressed frame is a broken protocol: nothing is unpacked', async () => {
  const offered = await connect(victim.streamUrl('g'), 'hptd.v1', { perMessageDeflate: true });
  assert.equal(offered.socket.extensions, '');
  const { _socket: raw } = offered.socket as unknown as { _socket: NodeJS.WritableStream };
  const FIN_RSV1_BINARY = 0xc2;
  raw.write(wireFrame(FIN_RSV1_BINARY, Buffer.alloc(100)));
  assert.equal((await offered.closed).code, 1002);
  await victim.unharmed();
});

test('a flood of pings is answered or dropped, and bounded', async () => {
  const stream = await connect(victim.streamUrl('g'));
  stream.socket.pause();
  for (let i = 0; i < 10_000; i++) stream.socket.ping(Buffer.alloc(100));
  await victim.unharmed();
  stream.socket.terminate();
  await stream.closed;
  await victim.unharmed();
});

test('pipelined requests are answered or refused, and none is kept for ever', async () => {
  const { socket, received, closed } = await rawSocket(victim.port);
  const body = '{"ptex":0}';
  const one = `POST /v1/guests/other/hcalls/H_READ HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const requests = 1000;
  try {
    if (!socket.write(one.repeat(requests))) await once(socket, 'drain');
    await victim.unharmed();
    const statuses = (): string[] => received().match(/HTTP\/1\.1 \d+/g) ?? [];
    while (statuses().length < requests) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(statuses().every((line) => line.endsWith(' 200') || line.endsWith(' 429')));
  } finally {
    socket.destroy();
  }
  await closed;
  await victim.unharmed();
});

test('who sends more requests than he may is told when to come again, and the next one is served', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-rate-'));
  const { file, tokens } = accessFile(folder, { a: { scopes: ['read'] }, b: { scopes: ['read'] } });
  const limited = await startVictim({ accessFile: file, requestsPerSecondMax: 5 });
  try {
    const ask = (name: string) => limited.ask('/v1/guests', { token: tokens[name] });
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask('a')));
    const refused = answers.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 1 && refused.length < 40, String(refused.length));
    assertProblem(refused[0]!, 429, 'too-many-requests');
    assert.equal(refused[0]!.headers['retry-after'], '1');
    assert.equal((await ask('b')).status, 200, "another's requests are another's");
    await limited.unharmed();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.equal((await ask('a')).status, 200);
  } finally {
    await limited.end();
    rmSync(folder, { recursive: true });
  }
});

test('a client that may have two guests, or so many bytes of tables, gets no more', async () => {
  const put = { ...json({ order: 18, ramBytes: 2 ** 26 }), method: 'PUT' };
  const few = await startVictim({ guestsPerClientMax: 2 });
  try {
    assert.equal((await few.ask('/v1/guests/a', put)).status, 201);
    assert.equal((await few.ask('/v1/guests/b', put)).status, 201);
    assertProblem(await few.ask('/v1/guests/c', put), 409, 'client-guest-limit');
    assertProblem(await few.askOverSocket('/v1/guests/c', put), 409, 'client-guest-limit');
    assert.equal((await few.ask('/v1/guests/a', { method: 'DELETE' })).status, 204);
    assert.equal((await few.ask('/v1/guests/c', put)).status, 201);
    await few.unharmed();
  } finally {
    await few.end();
  }
  // Room for the guests of the well-behaved client, which is another one: two tables of order 22 with all that is counted.
  const small = await startVictim({ tableBytesPerClientMax: 32 * 2 ** 20 });
  try {
    assertProblem(
      await small.ask('/v1/guests/a', { ...json({ order: 24 }), method: 'PUT' }),
      409,
      'client-guest-limit',
    );
    const growing = json({ order: 18, ramBytes: 2 ** 36 });
    assertProblem(
      await small.ask('/v1/guests/a', { ...growing, method: 'PUT' }),
      409,
      'client-guest-limit',
    );
    assert.equal((await small.ask('/v1/guests/a', put)).status, 201);
    await small.unharmed();
  } finally {
    await small.end();
  }
});
