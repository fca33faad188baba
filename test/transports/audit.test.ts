/** The audit log and trace ids: who did what, and one id for what belongs together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import { pino } from 'pino';
import { auditAdministration } from '../../src/transports/audit.ts';
import { httpRoutes } from '../../src/transports/http.ts';
import { problemServerOptions } from '../../src/transports/problems.ts';
import { fakeGuests } from './http-support.ts';

type Line = Record<string, unknown>;

async function openAudited(level = 'info') {
  const lines: Line[] = [];
  const log = pino({ level }, { write: (line) => void lines.push(JSON.parse(line) as Line) });
  const app = Fastify(problemServerOptions);
  auditAdministration(app, { log, clientOf: () => 'ops' });
  const guests = fakeGuests();
  await app.register(httpRoutes, { guests });
  const send = async (method: string, url: string, body?: object, headers = {}) =>
    app.inject({
      method: method as 'GET',
      url,
      headers,
      ...(body === undefined ? {} : { payload: body }),
    });
  return { lines, send, guests };
}

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('administration is logged with who, what, where and how it ended; hcalls are not', async () => {
  const { lines, send } = await openAudited();
  await send('PUT', '/v1/guests/g', { order: 18 }, { traceparent: PARENT });
  await send('POST', '/v1/guests/g/hcalls/H_READ', { ptex: 0 });
  await send('GET', '/v1/guests/g');
  await send('PATCH', '/v1/guests/g', { state: 'paused' });
  await send('DELETE', '/v1/guests/nobody');
  const seen = lines.map(({ level, time: _time, pid: _pid, hostname: _host, traceId, ...rest }) => {
    assert.equal(level, 30);
    assert.match(String(traceId), /^[0-9a-f]{32}$/);
    return rest;
  });
  const common = { audit: true, who: 'ops' };
  assert.deepEqual(seen, [
    { ...common, action: 'create a guest', guest: 'g', status: 201, msg: 'create a guest' },
    {
      ...common,
      action: 'change the state of a guest',
      guest: 'g',
      state: 'paused',
      status: 200,
      msg: 'change the state of a guest',
    },
    {
      ...common,
      action: 'delete a guest',
      guest: 'nobody',
      status: 404,
      msg: 'refused: delete a guest',
    },
  ]);
  assert.equal(lines[0]!['traceId'], PARENT.split('-')[1]);
});

test("what a guest's host does is in it, harvests too, as done or refused", async () => {
  const { lines, send, guests } = await openAudited();
  const memslots = [{ base: '0x0', bytes: 2 ** 20 }];
  await send('PUT', '/v1/guests/g', { order: 18, memslots });
  guests.answers.set('HOST_DIRTY', () => [0n, 0n]);
  const host: [name: string, body: object, status: number, action: string][] = [
    ['unmap', { gpa: '0x0' }, 200, 'take a host page away'],
    ['read-only', { gpa: '0x0' }, 200, 'make a host page read-only'],
    ['present', { gpa: '0x0' }, 200, 'bring a host page back'],
    ['age', { gpa: '0x0' }, 200, 'age a host page'],
    ['dirty', { gpa: '0x0', bytes: 1 }, 200, 'harvest dirty pages'],
    ['page-fault', { ptex: '0x0' }, 200, 'resolve a page fault'],
    ['unmap', { gpa: 'nonsense' }, 422, 'take a host page away'],
  ];
  for (const [name, body] of host) await send('POST', `/v1/guests/g/host/${name}`, body);
  const seen = lines.slice(1).map(({ action, status, who, msg }) => ({ action, status, who, msg }));
  assert.deepEqual(
    seen,
    host.map(([, , status, action]) => {
      const msg = status < 400 ? action : `refused: ${action}`;
      return { action, status, who: 'ops', msg };
    }),
  );
});

test('every route that changes something is in the audit log, but for those that are hcalls or walk', async () => {
  const app = Fastify(problemServerOptions);
  const audited = new Set<string>();
  auditAdministration(app, { log: pino({ level: 'info' }), clientOf: () => '' });
  app.addHook('onRoute', ({ method, url, onResponse }) => {
    if (onResponse === undefined && method !== 'GET' && method !== 'HEAD')
      audited.add(`${String(method)} ${url}`);
  });
  await app.register(httpRoutes, { guests: fakeGuests() });
  const guest = '/v1/guests/:guest';
  assert.deepEqual(
    [...audited].toSorted(),
    [`POST ${guest}/hcalls`, `POST ${guest}/hcalls/:name`, `POST ${guest}/hpt/walk`].toSorted(),
  );
});

test('a problem carries the id that the request brought, or one of its own', async () => {
  const { send } = await openAudited();
  const idFor = async (headers: object): Promise<unknown> =>
    (await send('GET', '/v1/guests/nobody', undefined, headers)).json<Line>()['traceId'];
  assert.equal(await idFor({ traceparent: PARENT }), PARENT.split('-')[1]);
  assert.equal(await idFor({ 'x-request-id': 'build-7.42' }), 'build-7.42');
  assert.equal(await idFor({ traceparent: PARENT, 'x-request-id': 'b' }), PARENT.split('-')[1]);
  const own: object[] = [
    {},
    { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` },
    { traceparent: 'nonsense' },
    { 'x-request-id': 'a"b' },
    { 'x-request-id': 'x'.repeat(65) },
  ];
  const ids = await Promise.all(own.map(idFor));
  for (const id of ids) assert.match(String(id), /^[0-9a-f]{32}$/);
  assert.equal(new Set(ids).size, own.length);
});

test('above info there is no audit log', async () => {
  const { lines, send } = await openAudited('warn');
  await send('PUT', '/v1/guests/g', { order: 18 });
  assert.deepEqual(lines, []);
});
