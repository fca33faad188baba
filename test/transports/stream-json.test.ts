/** The JSON stream: calls by name, answers in their place, problems in the place of what cannot be understood. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { JSON_FRAME_BYTES_MAX, JSON_IN_FLIGHT_MAX } from '../../schemas/limits.ts';
import { connect, startDaemon } from './stream-daemon.ts';
import type { TestDaemon, TestSocket } from './stream-daemon.ts';

let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon();
  await daemon.put('g');
});
after(() => daemon.close());

const open = (query = ''): Promise<TestSocket> =>
  connect(daemon.address('g', query), 'hptd.v1.json');

interface JsonAnswer {
  tag?: number;
  hcall?: string;
  status?: string;
  problem?: { code: string };
  [result: string]: unknown;
}

/** One message, and its answer. */
async function ask(stream: TestSocket, message: unknown): Promise<unknown> {
  const index = stream.messages.length;
  stream.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  return stream.json(index);
}

test('the hello says how many calls may be in flight', async () => {
  const stream = await open();
  assert.equal(stream.hello.protocol, 'hptd.v1.json');
  assert.deepEqual(stream.hello.limits, {
    frameBytes: JSON_FRAME_BYTES_MAX,
    inFlightHcalls: JSON_IN_FLIGHT_MAX,
  });
  stream.socket.terminate();
});

test('a call by name, with flags by name, explained', async () => {
  const stream = await open();
  const call = {
    tag: 1,
    hcall: 'H_ENTER',
    flags: ['H_EXACT'],
    ptex: '0x190',
    pteh: '0x4000000000001001',
    ptel: '0x190',
    explain: true,
  };
  const { explanation, ...answer } = (await ask(stream, call)) as JsonAnswer;
  assert.deepEqual(answer, {
    tag: 1,
    hcall: 'H_ENTER',
    status: 'H_SUCCESS',
    code: 0,
    ptex: '0x190',
  });
  assert.equal((explanation as { rule: string }).rule, 'ENTERED');
  const again = await ask(stream, { ...call, tag: 2, explain: false });
  assert.deepEqual(again, { tag: 2, hcall: 'H_ENTER', status: 'H_PTEG_FULL', code: -6 });
  const read = await ask(stream, { hcall: 'H_READ', ptex: 400 });
  assert.deepEqual(read, {
    hcall: 'H_READ',
    status: 'H_SUCCESS',
    code: 0,
    pteh0: '0x4000000000001001',
    ptel0: '0x190',
  });
  stream.socket.terminate();
});

test('what cannot be understood has a problem in its place, and the stream goes on', async () => {
  const stream = await open();
  const answers = (await ask(stream, [
    { tag: 1, hcall: 'H_READ', ptex: 0 },
    { tag: 2, hcall: 'H_RAED' },
    { tag: 3, hcall: 'H_READ' },
    7,
    { tag: 4, hcall: 'H_READ', ptex: 0 },
  ])) as JsonAnswer[];
  assert.deepEqual(
    answers.map(({ tag, status, problem }) => [tag, status ?? problem?.code]),
    [
      [1, 'H_SUCCESS'],
      [2, 'hcall-unknown'],
      [3, 'argument-invalid'],
      [undefined, 'body-invalid'],
      [4, 'H_SUCCESS'],
    ],
  );
  assert.equal(((await ask(stream, '{"hcall":')) as JsonAnswer).problem?.code, 'body-invalid');
  assert.deepEqual(await ask(stream, []), []);
  assert.equal(
    ((await ask(stream, { hcall: 'H_READ', ptex: 0 })) as JsonAnswer).status,
    'H_SUCCESS',
  );
  stream.socket.terminate();
});

test('control operations are for hosts', async () => {
  const call = { hcall: 'ENTRY_INSPECT', ptex: 0 };
  const [guest, host] = await Promise.all([open(), open('?role=host')]);
  assert.equal(((await ask(guest, call)) as JsonAnswer).problem?.code, 'hcall-unknown');
  assert.equal(((await ask(host, call)) as JsonAnswer).status, 'H_SUCCESS');
  guest.socket.terminate();
  host.socket.terminate();
});

test('a call that comes alone wakes nobody, calls that come together go to a processor', async () => {
  await daemon.put('alone');
  const stream = await connect(daemon.address('alone'), 'hptd.v1.json');
  const { processor } = stream.hello;
  const call = (tag: number) => ({ tag, hcall: 'H_READ', ptex: tag });
  for (let tag = 0; tag < 5; tag++)
    assert.equal(((await ask(stream, call(tag))) as JsonAnswer).tag, tag);
  assert.deepEqual((await daemon.executed('alone')).at(-1), 5);
  const before = (await daemon.executed('alone'))[processor]!;
  const answers = (await ask(stream, [call(5), call(6)])) as JsonAnswer[];
  assert.deepEqual(
    answers.map(({ tag }) => tag),
    [5, 6],
  );
  // Long ones, too.
  await ask(stream, { hcall: 'H_CLEAR_HPT' });
  const records = await daemon.executed('alone');
  assert.deepEqual([records[processor], records.at(-1)], [before + 3, 5]);
  stream.socket.terminate();
});

test('messages are answered in their order, however many are sent ahead', async () => {
  const stream = await open();
  for (let i = 0; i < 100; i++) {
    const call = (tag: number) => ({
      tag,
      ...(tag % 3 === 0 ? { hcall: 'H_NOPE' } : { hcall: 'H_READ', ptex: 0 }),
    });
    stream.socket.send(
      JSON.stringify(
        i % 2 === 0 ? call(i * 10) : Array.from({ length: 9 }, (_, k) => call(i * 10 + k)),
      ),
    );
  }
  for (let i = 0; i < 100; i++) {
    const answer = (await stream.json(i)) as JsonAnswer | JsonAnswer[];
    const tags = Array.isArray(answer) ? answer.map(({ tag }) => tag) : [answer.tag];
    assert.deepEqual(
      tags,
      Array.from({ length: i % 2 === 0 ? 1 : 9 }, (_, k) => i * 10 + k),
    );
  }
  stream.socket.terminate();
});

test('data that is longer in records than in JSON is cut to fit the credits', async () => {
  await daemon.put('backed', { memory: 'backed' });
  const stream = await connect(daemon.address('backed', '?role=host'), 'hptd.v1.json');
  const data = Array.from({ length: 4000 }, () => 7);
  const answers = (await ask(
    stream,
    Array.from({ length: 30 }, (_, i) => ({ hcall: 'MEMORY_WRITE', gpa: i * 32_000, data })),
  )) as JsonAnswer[];
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set(['H_SUCCESS']));
  const { data: words } = (await ask(stream, {
    hcall: 'MEMORY_READ',
    gpa: 29 * 32_000 + 31_992,
    words: 1,
  })) as JsonAnswer;
  assert.deepEqual(words, ['0x7']);
  stream.socket.terminate();
});

test('more calls in flight than allowed closes with 4413', async () => {
  const stream = await open();
  stream.socket.send(
    JSON.stringify(
      Array.from({ length: JSON_IN_FLIGHT_MAX + 1 }, () => ({ hcall: 'H_READ', ptex: 0 })),
    ),
  );
  assert.deepEqual(await stream.closed, { code: 4413, reason: 'more than 1024 calls unanswered' });
});

test('a binary message closes with 4400, after the answers before it', async () => {
  const stream = await open();
  stream.socket.send('{"tag":5,"hcall":"H_READ","ptex":0}');
  stream.socket.send(new Uint8Array(24));
  assert.deepEqual(await stream.closed, {
    code: 4400,
    reason: 'a binary message; the messages of hptd.v1.json are text',
  });
  assert.equal((await Promise.all(stream.messages.map((_, i) => stream.json(i)))).length, 1);
});

test('a message that is too long closes with 1009', async () => {
  const stream = await open();
  stream.socket.send(
    JSON.stringify({ hcall: 'H_READ', ptex: 0, padding: 'x'.repeat(JSON_FRAME_BYTES_MAX) }),
  );
  assert.equal((await stream.closed).code, 1009);
});

test('deleting the guest answers what is in flight and closes with 4410', async () => {
  await daemon.put('doomed');
  const stream = await connect(daemon.address('doomed'), 'hptd.v1.json');
  for (let i = 0; i < 50; i++) stream.socket.send(`{"tag":${i},"hcall":"H_READ","ptex":0}`);
  await stream.json(0);
  await daemon.delete('doomed');
  assert.equal((await stream.closed).code, 4410);
  assert.ok(stream.messages.length >= 1);
});
