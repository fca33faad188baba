/**
 * The REST interface over guests in this process: guests, hcalls, batches, and every refusal as a
 * problem.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { BATCH_HCALLS_MAX, BODY_BYTES_MAX } from '../../schemas/limits.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import { problemDocument } from '../../schemas/problem-document.ts';
import { PROBLEM_CODES, problem, type ProblemPart } from '../../schemas/problems.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { openHttp, type Http, type Reply } from './http-support.ts';

let http: Http;

before(async () => {
  http = await openHttp();
});
after(() => http.app.close());
beforeEach(() => {
  http.guests.ran.length = 0;
  http.guests.answers.clear();
  http.guests.failure = undefined;
});

/** That the reply is this problem, in its one form. */
function isProblem(reply: Reply, status: number, code: string): Reply {
  assert.match(reply.type, /^application\/problem\+json/);
  assert.deepEqual([reply.status, reply.json.code], [status, code], JSON.stringify(reply.json));
  const document = problemDocument.parse(reply.json);
  assert.equal(document.status, status);
  assert.equal(document.type, `/problems/${code}`);
  return reply;
}

function paths(reply: Reply): string[] {
  return (reply.json.errors as ProblemPart[]).map(({ path }) => path);
}

const ENTER = { flags: ['H_EXACT'], ptex: '0x190b8', pteh: '0x400ea1b217000015', ptel: '0x1190' };
const ENTER_URL = '/v1/guests/g/hcalls/H_ENTER';

test('a guest changes its state, and a body that asks for nothing known is refused', async () => {
  const url = '/v1/guests/g';
  const paused = await http.send('PATCH', url, { state: 'paused' });
  assert.deepEqual([paused.status, paused.json.state], [200, 'paused']);
  assert.equal((await http.send('GET', url)).json.state, 'paused');
  assert.equal((await http.send('PATCH', url, { state: 'running' })).json.state, 'running');
  for (const [body, code, path] of [
    [{}, 'argument-invalid', 'state'],
    [{ state: 'failed' }, 'argument-invalid', 'state'],
    [{ state: 'paused', stat: 1 }, 'field-unknown', 'stat'],
  ] as const) {
    const refused = await http.send('PATCH', url, body);
    assert.deepEqual([refused.json.code, paths(refused)], [code, [path]]);
  }
  assert.equal((await http.send('PATCH', url, [])).json.code, 'body-invalid');
  assert.equal((await http.send('PATCH', '/v1/guests/none', {})).json.code, 'guest-not-found');
});

test('a guest is created, listed, looked at and deleted', async () => {
  const config = {
    order: 20,
    ramBytes: 2 ** 28,
    memslots: [{ base: '0x0', bytes: 2 ** 28 }],
    memory: 'backed',
  };
  const created = await http.send('PUT', '/v1/guests/new.guest-1', config);
  assert.equal(created.status, 201);
  assert.equal(created.headers.location, '/v1/guests/new.guest-1');
  assert.deepEqual(created.json, {
    name: 'new.guest-1',
    state: 'running',
    order: 20,
    ramBytes: 2 ** 28,
    hostPageBytes: 65536,
    backingPageBytes: 2 ** 24,
    isa300: false,
    memory: 'backed',
    slotSearch: 'linearizable',
    orderNow: 20,
    memslots: [{ number: 0, base: '0x0', bytes: 2 ** 28, kind: 'ram' }],
    streams: 0,
    createdAt: new Date(0).toISOString(),
    links: created.json.links,
  });
  assert.deepEqual((await http.send('GET', '/v1/guests/new.guest-1')).json, created.json);
  const listed = (await http.send('GET', '/v1/guests')).json.guests as { name: string }[];
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['g', 'bare', 'new.guest-1'],
  );

  isProblem(await http.send('PUT', '/v1/guests/new.guest-1', config), 409, 'guest-exists');
  const deleted = await http.send('DELETE', '/v1/guests/new.guest-1');
  assert.deepEqual([deleted.status, deleted.bytes.length], [204, 0]);
  isProblem(await http.send('GET', '/v1/guests/new.guest-1'), 404, 'guest-not-found');
  isProblem(await http.send('DELETE', '/v1/guests/new.guest-1'), 404, 'guest-not-found');
});

test('a guest that cannot be: each member that is wrong is named', async () => {
  const refused = async (body: unknown) =>
    isProblem(await http.send('PUT', '/v1/guests/x', body), 422, 'guest-config-invalid');
  assert.deepEqual(paths(await refused({})), ['order']);
  assert.deepEqual(paths(await refused(undefined)), ['order']);
  const order = await refused({ order: 31 });
  assert.match(
    String(order.json.detail),
    /^order is 31; wanted: log2 of the table's bytes, 18 to 30/,
  );
  const many = {
    order: 18,
    ramBytes: -1,
    memory: 'some',
    memslots: [
      { base: '0x0', bytes: 1 },
      { base: '-1', bytes: 1 },
    ],
    x: 1,
  };
  const wrong = await refused(many);
  assert.deepEqual(paths(wrong).sort(), ['memory', 'memslots[1].base', 'ramBytes', 'x']);
  isProblem(await http.send('PUT', '/v1/guests/x', [1]), 400, 'body-invalid');
  for (const name of ['-x', 'a%20b', `a${'b'.repeat(63)}`]) {
    const reply = isProblem(
      await http.send('PUT', `/v1/guests/${name}`, { order: 18 }),
      422,
      'guest-config-invalid',
    );
    assert.deepEqual(paths(reply), ['guest']);
  }
  assert.equal(http.guests.get('x'), undefined);
});

test('an hcall by name: its record runs, its status is in the body', async () => {
  http.guests.answers.set('H_ENTER', ([, ptex]) => [ptex!]);
  const done = await http.send('POST', ENTER_URL, ENTER);
  assert.equal(done.status, 200);
  assert.match(done.type, /^application\/json/);
  assert.deepEqual(done.json, { hcall: 'H_ENTER', status: 'H_SUCCESS', code: 0, ptex: '0x190b8' });
  assert.deepEqual(http.guests.ran, [
    { name: 'H_ENTER', words: [1n << 39n, 0x190b8n, 0x400ea1b217000015n, 0x1190n], explain: false },
  ]);

  http.guests.answers.set('H_ENTER', () => ({ status: STATUSES.H_PTEG_FULL }));
  const full = await http.send('POST', ENTER_URL, { ...ENTER, tag: 5 });
  assert.equal(full.status, 200);
  assert.deepEqual(full.json, { hcall: 'H_ENTER', status: 'H_PTEG_FULL', code: -6, tag: 5 });
});

test('an hcall explained, and one without arguments or a body', async () => {
  http.guests.answers.set('H_REMOVE', () => [16n, 0x190b8n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]);
  const body = { ptex: '0x190b8', avpn: 0, explain: true };
  const { json } = await http.send('POST', '/v1/guests/g/hcalls/H_REMOVE', body);
  assert.equal((json.explanation as { rule: string }).rule, 'EMPTY');
  assert.equal(http.guests.ran[0]!.explain, true);
  assert.equal(
    (await http.send('POST', '/v1/guests/g/hcalls/H_CLEAR_HPT')).json.status,
    'H_SUCCESS',
  );
});

test('a bad call is refused before anything runs', async () => {
  const post = (url: string, body: unknown) => http.send('POST', url, body);
  isProblem(await post('/v1/guests/nobody/hcalls/H_ENTER', ENTER), 404, 'guest-not-found');
  isProblem(await post('/v1/guests/g/hcalls/H_ENTR', ENTER), 404, 'hcall-unknown');
  isProblem(await post('/v1/guests/g/hcalls/WALK', {}), 404, 'hcall-unknown');
  isProblem(await post(ENTER_URL, { ...ENTER, flags: ['H_AVPN'] }), 422, 'flag-unknown');
  isProblem(await post(ENTER_URL, { ...ENTER, what: 1 }), 422, 'field-unknown');
  isProblem(
    await post(ENTER_URL, { ...ENTER, ptex: '0x1ffffffffffffffff' }),
    422,
    'argument-invalid',
  );
  isProblem(await post(ENTER_URL, [ENTER]), 400, 'body-invalid');
  isProblem(await post(ENTER_URL, 'x'), 400, 'body-invalid');
  assert.deepEqual(http.guests.ran, []);
});

test('control operations have an address of their own', async () => {
  http.guests.answers.set('HPT_RESET', () => [0n]);
  const reset = await http.send('POST', '/v1/guests/g/control/HPT_RESET', { order: 20 });
  assert.deepEqual(reset.json, { hcall: 'HPT_RESET', status: 'H_SUCCESS', code: 0, result: '0x0' });
  isProblem(await http.send('POST', '/v1/guests/g/control/H_ENTER', ENTER), 404, 'hcall-unknown');
  isProblem(await http.send('POST', '/v1/guests/g/control/HPT_REST', {}), 404, 'hcall-unknown');
});

test('a batch runs in order, and not at all when one call is bad', async () => {
  http.guests.answers.set('H_ENTER', ([, ptex]) => [ptex!]);
  const url = '/v1/guests/g/hcalls';
  const calls = [
    { hcall: 'H_ENTER', ...ENTER, tag: 1 },
    { hcall: 'H_CLEAR_HPT' },
    { hcall: 'H_ENTER', ...ENTER, ptex: 8 },
  ];
  const done = await http.send('POST', url, { calls });
  assert.equal(done.status, 200);
  assert.deepEqual(done.json.answers, [
    { hcall: 'H_ENTER', status: 'H_SUCCESS', code: 0, ptex: '0x190b8', tag: 1 },
    { hcall: 'H_CLEAR_HPT', status: 'H_SUCCESS', code: 0 },
    { hcall: 'H_ENTER', status: 'H_SUCCESS', code: 0, ptex: '0x8' },
  ]);
  assert.deepEqual(
    http.guests.ran.map(({ name }) => name),
    ['H_ENTER', 'H_CLEAR_HPT', 'H_ENTER'],
  );

  http.guests.ran.length = 0;
  const bad = isProblem(
    await http.send('POST', url, { calls: [...calls, { hcall: 'H_REED' }] }),
    422,
    'argument-invalid',
  );
  assert.deepEqual(paths(bad), ['calls[3].hcall']);
  const many = Array.from({ length: BATCH_HCALLS_MAX + 1 }, () => ({ hcall: 'H_CLEAR_HPT' }));
  isProblem(await http.send('POST', url, { calls: many }), 413, 'batch-too-large');
  isProblem(await http.send('POST', url, { calls: [] }), 422, 'argument-invalid');
  isProblem(await http.send('POST', url), 400, 'body-invalid');
  isProblem(
    await http.send('POST', url, { calls: [{ hcall: 'HPT_FREE' }] }),
    422,
    'argument-invalid',
  );
  assert.deepEqual(http.guests.ran, []);
});

test('what the guests throw is the answer; what nobody foresaw is a 500 without its secrets', async () => {
  http.guests.failure = problem('guest-deleted', 'the guest was deleted');
  isProblem(await http.send('POST', ENTER_URL, ENTER), 410, 'guest-deleted');
  http.guests.failure = problem('processor-busy', 'no answer');
  isProblem(await http.send('POST', ENTER_URL, ENTER), 503, 'processor-busy');
  http.guests.failure = new Error('inner secret');
  const reply = isProblem(await http.send('POST', ENTER_URL, ENTER), 500, 'internal');
  assert.doesNotMatch(JSON.stringify(reply.json), /secret/);
});

test('bodies that cannot be read', async () => {
  const raw = (type: string, body: string) => http.sendRaw('POST', ENTER_URL, type, body);
  isProblem(await raw('application/json', '{"ptex":'), 400, 'body-invalid');
  isProblem(await raw('application/json', ''), 400, 'body-invalid');
  isProblem(await raw('application/json', 'null'), 400, 'body-invalid');
  isProblem(await raw('text/plain', 'ptex=1'), 415, 'unsupported-media-type');
  isProblem(await raw('application/xml', '<ptex/>'), 415, 'unsupported-media-type');
  isProblem(
    await raw('application/json', `{"x":"${'x'.repeat(BODY_BYTES_MAX)}"}`),
    413,
    'body-too-large',
  );
});

test('names of a prototype in a body pollute nothing', async () => {
  for (const [method, url, members, code] of [
    ['POST', ENTER_URL, '"flags":[],"ptex":"0x8","pteh":"0x1","ptel":"0x190"', 'field-unknown'],
    ['POST', '/v1/guests/g/hcalls', '"calls":[{"hcall":"H_CLEAR_HPT"}]', 'field-unknown'],
    ['PUT', '/v1/guests/other', '"order":18', 'guest-config-invalid'],
    ['PATCH', '/v1/guests/g', '"state":"paused"', 'field-unknown'],
    ['POST', '/v1/guests/g/host/age', '"gpa":"0x0"', 'field-unknown'],
    ['POST', '/v1/guests/g/control/SET_RC', '"ptex":"0x8","bits":"0x100"', 'field-unknown'],
  ] as const) {
    for (const name of ['__proto__', 'constructor', '\\u005f_proto__']) {
      const body = `{${members},"${name}":{"prototype":{"polluted":true},"polluted":true}}`;
      isProblem(await http.sendRaw(method, url, 'application/json', body), 422, code);
    }
  }
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  isProblem(
    await http.send('POST', '/v1/guests/__proto__/hcalls/H_ENTER', ENTER),
    404,
    'guest-not-found',
  );
  isProblem(await http.send('POST', '/v1/guests/g/hcalls/__proto__', ENTER), 404, 'hcall-unknown');
  isProblem(await http.send('GET', '/problems/constructor'), 404, 'not-found');
});

test('addresses and methods that there are not', async () => {
  isProblem(await http.send('GET', '/v2'), 404, 'not-found');
  isProblem(await http.send('POST', '/v1/guests/g/nothing', {}), 404, 'not-found');
  isProblem(await http.sendRaw('POST', '/v2', 'text/plain', 'x'), 404, 'not-found');
  isProblem(await http.sendRaw('PATCH', ENTER_URL, 'text/plain', 'x'), 405, 'method-not-allowed');
  isProblem(await http.send('GET', `/${'x'.repeat(5000)}`), 404, 'not-found');
  isProblem(await http.send('GET', `/v1/guests/${'x'.repeat(200)}`), 404, 'not-found');
  isProblem(await http.send('GET', '/v1/%zz'), 400, 'request-malformed');
  const allow = async (method: string, url: string) =>
    isProblem(await http.send(method, url), 405, 'method-not-allowed').headers.allow;
  assert.equal(await allow('GET', ENTER_URL), 'POST');
  assert.equal(await allow('POST', '/v1/guests'), 'GET, HEAD');
  assert.equal(await allow('POST', '/v1/guests/g'), 'DELETE, GET, HEAD, PATCH, PUT');
  assert.equal(await allow('DELETE', '/v1/guests/g/hpt/statistics?x=1'), 'GET, HEAD');
  assert.equal(await allow('POST', '/v1/guests/g/memory'), 'GET, HEAD, PUT');
});

test('health, readiness, the index and the problems', async () => {
  const health = await http.send('GET', '/healthz');
  assert.deepEqual([health.status, health.bytes.toString()], [200, 'ok\n']);
  assert.equal((await http.send('GET', '/readyz')).bytes.toString(), 'ready\n');
  const draining = await openHttp(() => false);
  isProblem(await draining.send('GET', '/readyz'), 503, 'shutting-down');
  assert.equal((await draining.send('GET', '/healthz')).status, 200);
  await draining.app.close();

  const index = (await http.send('GET', '/')).json;
  const named = [...(index.hcalls as string[]), ...(index.control as string[])];
  assert.deepEqual(named.sort(), OPERATIONS.map(({ name }) => name).sort());
  const { problems } = (await http.send('GET', '/problems')).json as {
    problems: { type: string; code: string }[];
  };
  assert.deepEqual(
    problems.map(({ code }) => code),
    PROBLEM_CODES,
  );
  for (const { type, code } of problems)
    assert.equal((await http.send('GET', type)).json.code, code);
});
