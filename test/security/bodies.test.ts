/** What a request may carry: names that climb or never end, bodies that change prototypes, unpack, or never fit. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BODY_BYTES_MAX, HEADER_BYTES_MAX } from '../../schemas/limits.ts';
import { connect } from '../transports/stream-daemon.ts';
import { assertProblem, json, rawSocket, startVictim, type Victim } from './victim.ts';

let victim: Victim;
before(async () => {
  victim = await startVictim();
});
after(() => victim?.end());

test('names that climb, hide or never end name no guest', async () => {
  const names = [
    '..',
    '.',
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e%2fg',
    'g%00',
    'g%2f',
    '__proto__',
    'a'.repeat(64),
    'a'.repeat(4000),
    '%ff',
    'g%20',
    '-g',
  ];
  for (const name of names) {
    const put = { ...json({ order: 18 }), method: 'PUT' };
    const answer = await victim.ask(`/v1/guests/${name}`, put);
    assert.ok([400, 404, 405, 422].includes(answer.status), `${name}: ${answer.status}`);
    assert.match(answer.headers['content-type'] ?? '', /problem\+json/, name);
    const call = await victim.ask(`/v1/guests/${name}/hcalls/H_READ`, json({ ptex: 0 }));
    assert.ok([400, 404].includes(call.status), `${name}: ${call.status}`);
  }
  // Names that only look dangerous are names like any other.
  const constructor = '/v1/guests/constructor';
  assert.equal((await victim.ask(`${constructor}/hcalls/H_READ`, json({ ptex: 0 }))).status, 404);
  const { json: list } = await victim.ask('/v1/guests');
  assert.equal((list['guests'] as unknown[]).length, 2);
  await victim.unharmed();
});

test('bodies that reach for prototypes are refused and change nothing', async () => {
  const bodies = [
    '{"__proto__":{"order":18}}',
    '{"order":18,"__proto__":{"admin":true}}',
    '{"constructor":{"prototype":{"admin":true}}}',
    '{"order":18,"memslots":[{"__proto__":{"base":0}}]}',
  ];
  const headers = { 'content-type': 'application/json' };
  for (const body of bodies) {
    const put = await victim.ask('/v1/guests/p', { method: 'PUT', headers, body });
    assert.ok([400, 422].includes(put.status), body);
    const call = body.replace('"order":18', '"ptex":0');
    const post = await victim.ask('/v1/guests/g/hcalls/H_READ', {
      method: 'POST',
      headers,
      body: call,
    });
    assert.ok([400, 422].includes(post.status), call);
  }
  const stream = await connect(victim.streamUrl('g'), 'hptd.v1.json');
  try {
    stream.socket.send('{"tag":1,"hcall":"H_READ","ptex":0,"__proto__":{"explain":true}}');
    stream.socket.send('{"tag":{"__proto__":{"a":1}},"hcall":"__proto__"}');
    assert.ok('problem' in ((await stream.json(0)) as object));
    assert.ok('problem' in ((await stream.json(1)) as object));
  } finally {
    stream.socket.terminate();
  }
  assert.equal(({} as Record<string, unknown>)['admin'], undefined);
  await victim.unharmed();
});

test('a compressed body is refused, unpacked nowhere', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  for (const encoding of ['gzip', 'br', 'zstd', 'gzip, gzip']) {
    const answer = await victim.ask('/v1/guests/g/hcalls', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': encoding },
      body: bomb.subarray(0, 60_000),
    });
    assertProblem(answer, 415, 'content-encoding-unsupported');
    assert.equal(answer.headers['accept-encoding'], 'identity');
  }
  await victim.unharmed();
});

test('a body that is too long is refused by what it announces, and by what comes', async () => {
  const headers = { 'content-type': 'application/json' };
  const body = Buffer.alloc(BODY_BYTES_MAX + 1, ' ');
  const announced = await victim.ask('/v1/guests/g/hcalls', { method: 'POST', headers, body });
  assertProblem(announced, 413, 'body-too-large');
  const { socket, received, closed } = await rawSocket(victim.port);
  socket.write('POST /v1/guests/g/hcalls HTTP/1.1\r\nhost: 127.0.0.1\r\n');
  socket.write('content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n');
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  for (let sent = 0; sent <= BODY_BYTES_MAX; sent += 0x10000) socket.write(chunk);
  await closed;
  assert.match(received(), /^HTTP\/1\.1 413 /);
  await victim.unharmed();
});

test('deep and wide JSON is refused or answered, in time', async () => {
  const headers = { 'content-type': 'application/json' };
  for (const body of [
    '['.repeat(200_000),
    `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
    `{${Array.from({ length: 20_000 }, (_, i) => `"m${i}":1`).join(',')}}`,
    `{"calls":[${Array.from({ length: 1001 }, () => '{}').join(',')}]}`,
  ]) {
    const answer = await victim.ask('/v1/guests/g/hcalls', { method: 'POST', headers, body });
    assert.ok([400, 413, 422].includes(answer.status), `${body.slice(0, 20)}: ${answer.status}`);
    assert.ok(answer.text.length < 10_000, 'a refusal is not as long as what it refuses');
  }
  await victim.unharmed();
});

test('headers: too long, too many, twice, or with a request hidden behind them', async () => {
  const head = 'GET /v1/guests HTTP/1.1\r\nhost: 127.0.0.1\r\n';
  const smuggled = 'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
  const requests: readonly (readonly [string, RegExp])[] = [
    [`${head}x: ${'y'.repeat(HEADER_BYTES_MAX)}\r\n\r\n`, /^HTTP\/1\.1 431 [^]*headers-too-large/],
    [`${head}${'a: b\r\n'.repeat(5000)}\r\n`, /^HTTP\/1\.1 431 /],
    [`GET /${'x'.repeat(HEADER_BYTES_MAX)} HTTP/1.1\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [`${head}content-length: 5\r\ncontent-length: 6\r\n\r\n`, /^HTTP\/1\.1 400 /],
    [
      `${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      /^HTTP\/1\.1 400 /,
    ],
    [`${head}transfer-encoding: chunked, identity\r\n\r\n${smuggled}`, /^HTTP\/1\.1 400 /],
    [`${head}bad header\r\n\r\n`, /^HTTP\/1\.1 400 /],
    ['GET /v1/guests HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
  ];
  for (const [bytes, answer] of requests) {
    const { socket, received, closed } = await rawSocket(victim.port);
    socket.write(bytes);
    await closed;
    assert.match(received(), answer, bytes.slice(0, 80));
    assert.doesNotMatch(received(), /\nok\n/);
  }
  await victim.unharmed();
});
