/** Tokens: who has none, a wrong one, an old one or too small a scope gets nothing; everything else goes on. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { allows } from '../../schemas/access.ts';
import { REFUSALS_MAX } from '../../schemas/limits.ts';
import { connectRest, connectStream, RefusedError, streamUrl } from '../../src/client/index.ts';
import { makeToken, parseAccess, readAccessFile } from '../../src/operations/access-file.ts';
import { connect } from '../transports/stream-daemon.ts';
import {
  type Answer,
  accessFile,
  assertProblem,
  json,
  startVictim,
  type Victim,
} from './victim.ts';

const folder = mkdtempSync(join(tmpdir(), 'hptd-access-'));
const HOLDERS = {
  ops: { scopes: ['admin'] },
  viewer: { scopes: ['read'] },
  emulator: { scopes: ['hcalls:g'] },
  fleet: { scopes: ['hcalls:o*', 'read'] },
  gone: { scopes: ['admin'], until: '2020-01-01' },
  leaver: { scopes: ['hcalls:*'] },
};
const { file, tokens, write } = accessFile(folder, HOLDERS);
let victim: Victim;

before(async () => {
  victim = await startVictim({ accessFile: file });
});
after(async () => {
  await victim?.end();
  rmSync(folder, { recursive: true });
});

const read = (guest: string, token?: string): Promise<Answer> =>
  victim.ask(`/v1/guests/${guest}/hcalls/H_READ`, { ...json({ ptex: 0 }), token });

test('without a token there is health and what problems mean, and nothing else', async () => {
  for (const path of [
    '/',
    '/healthz',
    '/readyz',
    '/problems',
    '/problems/forbidden',
    '/docs',
    '/openapi.json',
    '/asyncapi.json',
  ])
    assert.equal((await victim.ask(path)).status, 200, path);
  for (const path of [
    '/v1/guests',
    '/v1/guests/g',
    '/v1/guests/none',
    '/nowhere',
    '/v1/guests/g/stream',
  ]) {
    const answer = await victim.ask(path);
    assertProblem(answer, 401, 'unauthenticated');
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="hptd"');
  }
  assertProblem(await read('g'), 401, 'unauthenticated');
  await victim.unharmed();
});

test('wrong tokens are refused, whatever is wrong with them', async () => {
  const [other] = ['ops', 'viewer'].map((name) => makeToken(name, [], undefined).token);
  const cut = tokens['ops']!.slice(0, -1);
  const swapped = tokens['ops']!.replace('_ops_', '_viewer_');
  const wrong = [other, cut, swapped, `${tokens['ops']}x`, 'hptd_constructor_x', '__proto__', 'x'];
  for (const token of wrong) {
    const answer = await read('g', token);
    assertProblem(answer, 401, 'unauthenticated');
    assert.match(answer.headers['www-authenticate']!, /error="invalid_token"/);
  }
  for (const authorization of [`Basic ${tokens['ops']}`, tokens['ops']!, 'Bearer', 'Bearer  '])
    assertProblem(
      await victim.ask('/v1/guests', { headers: { authorization } }),
      401,
      'unauthenticated',
    );
  assertProblem(await read('g', tokens['gone']), 401, 'unauthenticated');
  await victim.unharmed();
});

test('each scope does what it says and no more', async () => {
  const may = async (name: string, path: string, asked = {}): Promise<number> =>
    (await victim.ask(path, { ...asked, token: tokens[name] })).status;
  const statusesOf = async (name: string): Promise<number[]> => [
    await may(name, '/v1/guests'),
    await may(name, '/v1/guests/g/hpt/statistics'),
    (await read('g', tokens[name])).status,
    (await read('other', tokens[name])).status,
    await may(name, '/v1/guests/g/control/HOST_AGE', json({ gpa: 0 })),
    await may(name, '/v1/guests/new', { ...json({ order: 18 }), method: 'PUT' }),
    await may(name, '/v1/guests/new', { method: 'DELETE' }),
  ];
  assert.deepEqual(await statusesOf('viewer'), [200, 200, 403, 403, 403, 403, 403]);
  assert.deepEqual(await statusesOf('emulator'), [403, 403, 200, 403, 403, 403, 403]);
  assert.deepEqual(await statusesOf('fleet'), [200, 200, 403, 200, 403, 403, 403]);
  assert.deepEqual(await statusesOf('ops'), [200, 200, 200, 200, 200, 201, 204]);
  const refused = await read('other', tokens['emulator']);
  assertProblem(refused, 403, 'forbidden');
  assert.match(String(refused.json['detail']), /emulator has hcalls:g; this needs hcalls:other/);
  await victim.unharmed();
});

test("a guest's stream is its own: no other guest's, and not its host's", async () => {
  const open = (
    guest: string,
    query = '',
    token = tokens['emulator'],
  ): Promise<{ status: number }> =>
    connect(victim.streamUrl(guest, query), 'hptd.v1', {
      headers: { authorization: `Bearer ${token}` },
    }).then(
      ({ socket }) => {
        socket.terminate();
        return { status: 101 };
      },
      ({ statusCode }: { statusCode: number }) => ({ status: statusCode }),
    );
  assert.equal((await open('g')).status, 101);
  for (const [guest, query] of [
    ['other', ''],
    ['g', '?role=host'],
    ['g', '?role=guest&role=host'],
    ['%6fther', ''],
    ['none', ''],
  ] as const) {
    assert.ok([400, 403].includes((await open(guest, query)).status), guest + query);
  }
  assert.equal((await open('g', '', 'x')).status, 401);
  assert.equal((await open('g', '?role=host', tokens['ops'])).status, 101);
  await victim.unharmed();
});

test("browsers' WebSockets bring the token as a subprotocol, which is not answered", async () => {
  const offer = (token: string): string => `hptd.v1.json,hptd.bearer.${token}`.replaceAll(' ', '');
  const { WebSocket } = await import('ws');
  const open = (token: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(victim.streamUrl('g'), offer(token).split(','));
      socket.once('open', () => {
        resolve(socket.protocol);
        socket.terminate();
      });
      socket.once('unexpected-response', (_request, { statusCode }) => {
        resolve(String(statusCode));
        socket.terminate();
      });
      socket.on('error', () => {});
    });
  assert.equal(await open(tokens['emulator']!), 'hptd.v1.json');
  assert.equal(await open(tokens['viewer']!), '403');
  assert.equal(await open('x'), '401');
  await victim.unharmed();
});

test('who guesses is thrown out of the connection', async () => {
  const { Agent, request } = await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const guess = (): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: 'Bearer x' };
      request(`${victim.url}/v1/guests`, { agent, headers })
        .on('error', reject)
        .on('response', (response) => {
          response.resume().once('end', () => resolve(response.headers.connection));
        })
        .end();
    });
  try {
    const said: (string | undefined)[] = [];
    for (let i = 0; i < REFUSALS_MAX; i++) said.push(await guess());
    assert.equal(said.at(-1), 'close');
    assert.ok(said.slice(0, -1).every((word) => word === 'keep-alive'));
  } finally {
    agent.destroy();
  }
  await victim.unharmed();
});

test('a Unix socket asks for nothing: its file is the guard', async () => {
  assert.equal((await victim.askOverSocket('/v1/guests')).status, 200);
});

test('the client library sends a token over REST and streams', async () => {
  const rest = connectRest(victim.url, { token: tokens['ops'] });
  assert.equal((await rest.listGuests()).length, 2);
  await assert.rejects(
    connectRest(victim.url).listGuests(),
    (error: RefusedError) => error.status === 401,
  );
  const url = streamUrl(victim.url, 'g');
  const stream = await connectStream(url, { token: tokens['emulator'] });
  await stream.close();
  await assert.rejects(
    connectStream(url),
    (error: RefusedError) => error.code === 'unauthenticated',
  );
});

test('a token that is revoked is refused wherever it is replayed, and its streams end', async () => {
  const token = tokens['leaver'];
  const stream = await connect(victim.streamUrl('g'), 'hptd.v1', {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal((await read('g', token)).status, 200);
  write(Object.keys(HOLDERS).filter((name) => name !== 'leaver'));
  assert.equal((await stream.closed).code, 4403);
  assertProblem(await read('g', token), 401, 'unauthenticated');
  assert.equal((await read('g', tokens['emulator'])).status, 200);
  // A file that nobody can read right now leaves everybody else in force.
  writeFileSync(file, 'half a li');
  await new Promise((resolve) => setTimeout(resolve, 1300));
  assert.equal((await read('g', tokens['emulator'])).status, 200);
  await victim.unharmed();
});

test('an access file is refused whole, by line', () => {
  const { line } = makeToken('a', ['read'], undefined);
  const faults: readonly (readonly [string, RegExp])[] = [
    [`${line}\n${line}`, /line 2: there is a a already/],
    ['a read', /line 1: "" is neither/],
    ['a all sha256:00', /line 1: "all": a scope is/],
    ['A read cn:x', /line 1: "A": a name is/],
    ['a read cn:x\nb read cn:x', /line 2: cn:x is there already/],
    [`${line} for ever`, /line 1: after the proof/],
    [`${line} until=soon`, /line 1: after the proof/],
    ['a hcalls: cn:x', /line 1: "hcalls:": a scope is/],
    ['a hcalls:*a* cn:x', /line 1: .* may have one \*/],
  ];
  for (const [text, message] of faults)
    assert.throws(() => parseAccess(text, 'f'), { message }, text);
  const open = join(folder, 'open');
  writeFileSync(open, '', { mode: 0o666 });
  // umask took the bits that matter away.
  const { chmodSync } = process.getBuiltinModule('node:fs');
  chmodSync(open, 0o622);
  assert.throws(() => readAccessFile(open), { message: /can be written by others/ });
});

test('patterns of guests match whole names', () => {
  const hcalls = (scope: string, guest: string): boolean =>
    allows([scope], { kind: 'hcalls', guest });
  assert.ok(hcalls('hcalls:vm-*', 'vm-1') && hcalls('hcalls:*', 'x') && hcalls('hcalls:a*b', 'ab'));
  for (const [scope, guest] of [
    ['hcalls:vm', 'vm-1'],
    ['hcalls:vm-*', 'vm'],
    ['hcalls:a*a', 'a'],
    ['hcalls:vm.1', 'vm-1'],
    ['read', 'vm'],
  ] as const)
    assert.equal(hcalls(scope, guest), false, `${scope} ${guest}`);
});
