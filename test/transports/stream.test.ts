/** The stream over real sockets: what a client sees from the upgrade to the close code. docs/stream.md is the contract. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { json } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { WebSocket } from 'ws';
import { CREDIT_BYTES, FRAME_BYTES_MAX } from '../../schemas/limits.ts';
import { EXPLAIN_WORDS, encodeRequests } from '../../schemas/records.ts';
import { enter, reads } from '../guests/configs.ts';
import { connect, refusal, startDaemon } from './stream-daemon.ts';
import type { TestDaemon } from './stream-daemon.ts';

let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon();
  await daemon.put('g');
});
after(() => daemon.close());

const PER_FRAME = Math.floor(FRAME_BYTES_MAX / 24);

test('the hello says who answers, and what the limits are', async () => {
  const { hello, socket } = await connect(daemon.address('g', '?role=host'));
  const { processor, version, createdAt, traceId, ...rest } = hello;
  assert.match(String(traceId), /^[0-9a-f]{32}$/);
  assert.deepEqual(rest, {
    type: 'hello',
    protocol: 'hptd.v1',
    guest: 'g',
    role: 'host',
    order: 18,
    limits: { frameBytes: 262144, creditBytes: 524288, frameOverheadBytes: 8 },
  });
  assert.ok(processor === 0 || processor === 1);
  assert.match(version, /^\d+\.\d+\.\d+$/);
  const shown = await fetch(`${daemon.url}/v1/guests/g`);
  assert.equal(((await shown.json()) as { createdAt: string }).createdAt, createdAt);
  socket.terminate();
});

test('what cannot be upgraded is refused with a problem', async () => {
  const cases: readonly [string, string, number, string][] = [
    [daemon.address('nobody'), 'hptd.v1', 404, 'guest-not-found'],
    [daemon.address('g'), 'hptd.v9', 400, 'subprotocol-missing'],
    [daemon.address('g'), '', 400, 'subprotocol-missing'],
    [daemon.address('g', '?role=king'), 'hptd.v1', 400, 'query-invalid'],
  ];
  for (const [address, protocol, status, code] of cases) {
    const { status: answered, body } = await refusal(address, protocol);
    assert.deepEqual([answered, body.status, body.code], [status, status, code]);
  }
  const plain = await fetch(daemon.address('g').replace('ws', 'http'));
  assert.equal(plain.status, 426);
  assert.equal(plain.headers.get('upgrade'), 'websocket');
});

test('any other request that asks for an upgrade is answered as if it had not, and its connection goes on', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { connection: 'upgrade', upgrade: 'websocket' };
  const ask = async (method: string, path: string): Promise<[number | undefined, unknown]> => {
    const asked = request(daemon.url + path, { method, agent, headers }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return [answer.statusCode, await json(answer)];
  };
  for (const [method, path, status] of [
    ['GET', '/v1/guests/g', 200],
    ['GET', '/v1/guests/no%20name/stream', 404],
    ['GET', '/v1/nothing', 404],
    ['POST', '/v1/guests/g/stream', 405],
    ['POST', '/v1/guests/g/hcalls/H_CLEAR_HPT', 200],
  ] as const) {
    assert.equal((await ask(method, path))[0], status, path);
  }
  agent.destroy();
});

test('records are answered in order with their tags, in frames of any size', async () => {
  const stream = await connect(daemon.address('g'));
  for (const [first, count] of [
    [0, 1],
    [1, 2],
    [3, 997],
    [1000, 5000],
  ] as const) {
    stream.socket.send(encodeRequests(reads(count, first)));
  }
  const answers = await stream.answers(6000);
  assert.deepEqual(
    answers.map(({ tag }) => tag),
    Array.from({ length: 6000 }, (_, i) => i),
  );
  assert.ok(answers.every(({ status, words }) => status === 0 && words.length === 2));
  stream.socket.close();
  assert.equal((await stream.closed).code, 1005);
});

test('one hcall at a time wakes nobody; what comes in one read goes to a processor whole', async () => {
  await daemon.put('alone');
  const stream = await connect(daemon.address('alone'));
  const { processor } = stream.hello;
  assert.deepEqual((await daemon.executed('alone')).at(-1), 0);
  const before = (await daemon.executed('alone'))[processor]!;
  for (let tag = 0; tag < 10; tag++) {
    stream.socket.send(encodeRequests(reads(1, tag)));
    await stream.answers(tag + 1);
  }
  let records = await daemon.executed('alone');
  assert.deepEqual([records[processor], records.at(-1)], [before, 10]);
  const { _socket: raw } = stream.socket as unknown as { _socket: Socket };
  raw.cork();
  for (let tag = 10; tag < 20; tag++) stream.socket.send(encodeRequests(reads(1, tag)));
  raw.uncork();
  const answers = await stream.answers(20);
  assert.deepEqual(
    answers.map(({ tag }) => tag),
    Array.from({ length: 20 }, (_, i) => i),
  );
  records = await daemon.executed('alone');
  assert.deepEqual([records[processor], records.at(-1)], [before + 10, 10]);
  stream.socket.terminate();
});

test('a frame that came alone is executed although its peer is gone, or says something else, right behind it', async () => {
  await daemon.put('gone');
  const reader = await connect(daemon.address('gone'));
  const isThere = async (ptex: bigint, count: number): Promise<boolean> => {
    reader.socket.send(encodeRequests([{ opcode: 0x0c, tag: 0, words: [0n, ptex] }]));
    return (await reader.answers(count))[count - 1]!.words[0] !== 0n;
  };
  const endings: ((socket: WebSocket) => void)[] = [
    (socket) => socket.terminate(),
    (socket) => socket.close(),
    (socket) => socket.send('text'),
  ];
  for (const [i, end] of endings.entries()) {
    const stream = await connect(daemon.address('gone'));
    const { _socket: raw } = stream.socket as unknown as { _socket: Socket };
    raw.cork();
    stream.socket.send(encodeRequests([enter(0, BigInt(i))]));
    if (i > 0) end(stream.socket);
    raw.uncork();
    // What is not handed to the kernel is lost with the socket.
    if (i === 0) raw.write('', () => end(stream.socket));
    await stream.closed;
    while ((await daemon.executed('gone')).reduce((sum, one) => sum + one) <= 2 * i)
      await new Promise(setImmediate);
    assert.equal(await isThere(BigInt(i), i + 1), true, `${i}`);
  }
  reader.socket.terminate();
});

test('a fragmented message is a frame like any other', async () => {
  const stream = await connect(daemon.address('g'));
  const frame = encodeRequests(reads(3));
  stream.socket.send(frame.subarray(0, 29), { fin: false });
  stream.socket.send(frame.subarray(29, 30), { fin: false });
  stream.socket.send(frame.subarray(30), { fin: true });
  assert.equal((await stream.answers(3)).length, 3);
  stream.socket.terminate();
});

test('an unknown hcall answers H_FUNCTION, and so does a control record of a guest', async () => {
  const control = { opcode: 0x8010, tag: 1, words: [0n] };
  const unknown = { opcode: 0x3ffc, tag: 2, words: [1n, 2n, 3n] };
  const guest = await connect(daemon.address('g'));
  guest.socket.send(encodeRequests([control, unknown]));
  assert.deepEqual(
    (await guest.answers(2)).map(({ status }) => status),
    [-2, -2],
  );
  const host = await connect(daemon.address('g', '?role=host'));
  host.socket.send(encodeRequests([control, unknown]));
  const [inspected, strange] = await host.answers(2);
  assert.deepEqual([inspected!.status, inspected!.words.length, strange!.status], [0, 7, -2]);
  guest.socket.terminate();
  host.socket.terminate();
});

test('an explained answer has its rule behind it', async () => {
  const stream = await connect(daemon.address('g'));
  stream.socket.send(encodeRequests(reads(2, 0, true)));
  const answers = await stream.answers(2);
  assert.ok(answers.every(({ words }) => words.length === 2 + EXPLAIN_WORDS));
  stream.socket.terminate();
});

test('streams of one guest meet in its table', async () => {
  const [one, two] = await Promise.all([
    connect(daemon.address('g')),
    connect(daemon.address('g')),
  ]);
  assert.notEqual(one.hello.processor, two.hello.processor);
  const H_EXACT = 1n << 39n;
  one.socket.send(
    encodeRequests([
      { opcode: 0x08, tag: 0, words: [H_EXACT, 80n, 0x4000_0000_0000_3001n, 0x0190n] },
    ]),
  );
  const [entered] = await one.answers(1);
  assert.deepEqual([entered!.status, entered!.words[0]], [0, 80n]);
  two.socket.send(encodeRequests([{ opcode: 0x0c, tag: 0, words: [0n, 80n] }]));
  const [read] = await two.answers(1);
  assert.equal(read!.words[0], 0x4000_0000_0000_3001n);
  one.socket.terminate();
  two.socket.terminate();
});

const tooManyWords = [...reads(2), { opcode: 0x0c, tag: 2, words: [0n, 0n, 0n] }];

const MALFORMED: readonly [string, string | Uint8Array, string][] = [
  ['an empty frame', new Uint8Array(0), 'byte 0: the frame ends inside a record, or is empty'],
  [
    'a frame cut short',
    encodeRequests(reads(3)).subarray(0, 71),
    'byte 48: the frame ends inside a record, or is empty',
  ],
  [
    'a word count the opcode does not take',
    encodeRequests(tooManyWords),
    'byte 48: the opcode does not take this number of words',
  ],
  [
    'another record version',
    encodeRequests(reads(1)).map((byte, i) => (i === 3 ? 0x20 : byte)),
    'byte 0: the record version is not 1',
  ],
  [
    'text on a binary stream',
    '{"hcall":"H_READ"}',
    'a text message; the frames of hptd.v1 are binary',
  ],
];

for (const [name, frame, reason] of MALFORMED) {
  test(`malformed: ${name} closes with 4400, after the answers before it`, async () => {
    const stream = await connect(daemon.address('g'));
    stream.socket.send(encodeRequests(reads(1000)));
    stream.socket.send(frame);
    stream.socket.send(encodeRequests(reads(1)));
    assert.deepEqual(await stream.closed, { code: 4400, reason });
    const answers = stream.messages.reduce((sum, message) => sum + message.byteLength, 0) / 24;
    assert.equal(answers, 1000);
    const next = await connect(daemon.address('g'));
    next.socket.send(encodeRequests(reads(1)));
    assert.equal((await next.answers(1)).length, 1, 'the daemon serves on');
    next.socket.terminate();
  });
}

test('a frame that is too long closes with 1009', async () => {
  const stream = await connect(daemon.address('g'));
  stream.socket.send(encodeRequests(reads(PER_FRAME + 1)));
  assert.equal((await stream.closed).code, 1009);
});

test('the longest frame is taken, and all the credits', async () => {
  const stream = await connect(daemon.address('g'));
  const frame = encodeRequests(reads(PER_FRAME));
  assert.ok(2 * (frame.byteLength + 8) <= CREDIT_BYTES);
  for (let round = 1; round <= 10; round++) {
    stream.socket.send(frame);
    stream.socket.send(frame);
    await stream.answers(2 * PER_FRAME * round);
  }
  stream.socket.terminate();
});

test('more in flight than the credits closes with 4413', async () => {
  const stream = await connect(daemon.address('g'));
  const frame = encodeRequests(reads(PER_FRAME));
  // One write, so that all of it is there before the first answer.
  for (let i = 0; i < 64; i++) stream.socket.send(frame);
  const { code, reason } = await stream.closed;
  assert.deepEqual([code, reason], [4413, 'more than 524288 bytes unanswered']);
});

test('deleting the guest closes its streams with 4410, after what they had in flight', async () => {
  await daemon.put('doomed');
  const [one, two] = await Promise.all([
    connect(daemon.address('doomed')),
    connect(daemon.address('doomed')),
  ]);
  one.socket.send(encodeRequests(reads(PER_FRAME)));
  one.socket.send(encodeRequests(reads(PER_FRAME, PER_FRAME)));
  await one.answers(1);
  await daemon.delete('doomed');
  assert.deepEqual(await one.closed, { code: 4410, reason: 'the guest was deleted' });
  assert.equal((await two.closed).code, 4410);
  assert.equal((await refusal(daemon.address('doomed'))).status, 404);
});

test('a shutdown answers what is in flight and closes with 1012', async (context) => {
  const own = await startDaemon(1);
  context.after(() => own.close());
  await own.put('g');
  const stream = await connect(own.address('g'));
  stream.socket.send(encodeRequests(reads(PER_FRAME)));
  await stream.answers(1);
  await own.close();
  assert.equal((await stream.closed).code, 1012);
  assert.equal(
    stream.messages.reduce((sum, message) => sum + message.byteLength, 0),
    24 * PER_FRAME,
  );
  await assert.rejects(fetch(own.url));
});
