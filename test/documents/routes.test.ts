/**
 * The table of routes against the daemon: every route that there is stands in it, and its answers and refusals are what it
 * says. Real guests, in this process, without a socket.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import pino from 'pino';
import { ANSWERS, CALL_ANSWERS } from '../../schemas/answers.ts';
import { guestConfig } from '../../schemas/guests.ts';
import { problemDocument } from '../../schemas/problem-document.ts';
import { isProblemCode } from '../../schemas/problems.ts';
import type { Answer, Route } from '../../schemas/route.ts';
import { ANYWHERE, ROUTES } from '../../schemas/routes.ts';
import { openGuests } from '../../src/guests/registry.ts';
import type { Guests } from '../../src/guests/types.ts';
import { openState } from '../../src/state/state.ts';
import { httpRoutes } from '../../src/transports/http.ts';
import { problemServerOptions } from '../../src/transports/problems.ts';
import { streamRoutes } from '../../src/transports/stream.ts';

let guests: Guests;
const directory = mkdtempSync(join(tmpdir(), 'hptd-routes-'));
let app: FastifyInstance;
const registered: string[] = [];

before(async () => {
  const log = pino({ level: 'silent' });
  const state = openState({ directory, durability: 'none', snapshotSeconds: 1, log });
  guests = await openGuests({ processors: 1, log, state });
  app = Fastify(problemServerOptions);
  app.addHook('onRoute', ({ url, method }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') registered.push(`${one} ${url}`);
  });
  await app.register(httpRoutes, { guests });
  await app.register(streamRoutes, { guests });
});
after(async () => {
  await guests.close();
  await app.close();
  rmSync(directory, { recursive: true });
});

test('every route of the daemon is documented, and no other', () => {
  const documented = ROUTES.map(
    ({ method, path }) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
  );
  assert.deepEqual(documented.toSorted(), registered.toSorted());
});

const GUEST = { order: 18, ramBytes: 2 ** 28, memory: 'backed' };
const ENTER = {
  hcall: 'H_ENTER',
  flags: ['H_EXACT'],
  ptex: '0x8',
  pteh: '0x400ea1b217000015',
  ptel: '0x1190',
};
const WORDS = Buffer.alloc(16, 7);

/** What is asked of each route, in an order in which one makes the next possible. `name` is the operation. */
const REQUESTS: readonly (readonly [id: string, path: string, body?: object, name?: string])[] = [
  ['createGuest', '/v1/guests/g', GUEST],
  ['listGuests', '/v1/guests'],
  ['getGuest', '/v1/guests/g'],
  ['changeGuest', '/v1/guests/g', { state: 'running' }],
  ['call', '/v1/guests/g/hcalls/H_ENTER', { ...ENTER, explain: true, tag: 7 }, 'H_ENTER'],
  ['call', '/v1/guests/g/hcalls/H_READ', { flags: ['H_READ_4'], ptex: 8 }, 'H_READ'],
  ['call', '/v1/guests/g/hcalls/H_CLEAR_HPT', {}, 'H_CLEAR_HPT'],
  ['callBatch', '/v1/guests/g/hcalls', { calls: [ENTER, { hcall: 'H_READ', ptex: 8 }] }],
  ['control', '/v1/guests/g/control/TABLE_COUNT', { ptex: 0, count: 64 }, 'TABLE_COUNT'],
  ['control', '/v1/guests/g/control/MEMORY_READ', { gpa: 0, words: 4 }, 'MEMORY_READ'],
  ['getEntry', '/v1/guests/g/hpt/entries/8'],
  ['getEntry', '/v1/guests/g/hpt/entries/0x9'],
  ['getGroup', '/v1/guests/g/hpt/groups/1'],
  ['getStatistics', '/v1/guests/g/hpt/statistics'],
  ['getHash', '/v1/guests/g/hpt/hash'],
  ['walk', '/v1/guests/g/hpt/walk', { ea: '0x1000', slbv: '0x400' }],
  ['pageFault', '/v1/guests/g/host/page-fault', { ptex: 8 }],
  ['unmapPage', '/v1/guests/g/host/unmap', { gpa: 0 }],
  ['mapPage', '/v1/guests/g/host/present', { gpa: 0 }],
  ['protectPage', '/v1/guests/g/host/read-only', { gpa: 0 }],
  ['agePage', '/v1/guests/g/host/age', { gpa: 0 }],
  ['harvestDirty', '/v1/guests/g/host/dirty', { gpa: 0, bytes: 2 ** 20 }],
  ['beginResize', '/v1/guests/g/hpt/resize', { order: 19 }],
  ['getResize', '/v1/guests/g/hpt/resize'],
  ['commitResize', '/v1/guests/g/hpt/resize/commit'],
  ['cancelResize', '/v1/guests/g/hpt/resize'],
  ['addMemslot', '/v1/guests/g/memslots/1', { base: '0x80000000', bytes: 2 ** 24, kind: 'ci' }],
  ['listMemslots', '/v1/guests/g/memslots'],
  ['getMemslot', '/v1/guests/g/memslots/1'],
  ['removeMemslot', '/v1/guests/g/memslots/1'],
  ['writeMemory', '/v1/guests/g/memory?gpa=0', WORDS],
  ['readMemory', '/v1/guests/g/memory?gpa=0&bytes=16'],
  ['startRecording', '/v1/guests/g/recordings', {}],
  ['listRecordings', '/v1/guests/g/recordings'],
  ['endRecording', '/v1/guests/g/recordings/1', { state: 'ended' }],
  ['getRecording', '/v1/guests/g/recordings/1'],
  ['deleteRecording', '/v1/guests/g/recordings/1'],
  ['takeSnapshot', '/v1/guests/g/snapshots'],
  ['listSnapshots', '/v1/guests/g/snapshots'],
  ['getState', '/v1/state'],
  ['metrics', '/metrics'],
  ['readTable', '/v1/guests/g/htab?follow=true'],
  ['readTablePass', '/v1/guests/g/htab/readers/1'],
  ['closeTableReader', '/v1/guests/g/htab/readers/1'],
  ['changeGuest', '/v1/guests/g', { state: 'paused' }],
  ['loadTable', '/v1/guests/g/htab', Buffer.alloc(8)],
  ['deleteGuest', '/v1/guests/g'],
  ['index', '/'],
  ['health', '/healthz'],
  ['readiness', '/readyz'],
  ['listProblems', '/problems'],
  ['getProblem', '/problems/guest-paused'],
  ['openApi', '/openapi.json'],
  ['asyncApi', '/asyncapi.json'],
  ['docs', '/docs'],
];

/** A stream takes a socket; the tests of streams have one. */
const WITHOUT_SOCKET = ROUTES.filter(({ id }) => id !== 'openStream');

test('every route answers with the status, the type and the members that are documented', async () => {
  for (const { id } of WITHOUT_SOCKET)
    assert.ok(
      REQUESTS.some(([asked]) => asked === id),
      `${id} is not tried here: give it a request`,
    );
  for (const [id, path, body, name] of REQUESTS) {
    const route = ROUTES.find((row) => row.id === id)!;
    if (id === 'commitResize') await resizeIsReady();
    const reply = await send(route.method, path, body);
    const documented = route.answers[reply.statusCode];
    assert.ok(documented, `${id} answers ${reply.statusCode}: ${reply.body}`);
    agrees(`${id} ${path}`, documented, reply, name);
  }
});

test('a resize that is prepared is dropped by the address that says so', async () => {
  await guests.create('r', guestConfig.parse({ order: 18, ramBytes: 2 ** 28 }));
  assert.equal((await send('POST', '/v1/guests/r/hpt/resize', { order: 19 })).statusCode, 202);
  assert.equal((await send('DELETE', '/v1/guests/r/hpt/resize')).statusCode, 204);
});

type Reply = Awaited<ReturnType<FastifyInstance['inject']>>;

/** Nothing is missing, nothing is wrong, and nothing is there that is not documented. */
function agrees(what: string, { content }: Answer, reply: Reply, name: string | undefined): void {
  const type = reply.headers['content-type'] ?? '';
  if (content === undefined) return assert.equal(reply.body, '', what);
  if (content.includes('/')) return assert.ok(type.startsWith(content), `${what} is ${type}`);
  assert.match(type, /^application\/json/, what);
  const schema =
    content === 'call' ? CALL_ANSWERS.get(name!)! : ANSWERS[content as keyof typeof ANSWERS];
  const json: unknown = reply.json();
  assert.deepEqual(schema.parse(json), json, what);
}

async function resizeIsReady(): Promise<void> {
  for (;;) {
    const { state } = (await send('GET', '/v1/guests/g/hpt/resize')).json<{ state: string }>();
    if (state !== 'preparing') return;
  }
}

function send(method: Route['method'], url: string, body?: object | string, type?: string) {
  const payload = body === undefined ? {} : { payload: body };
  const isBytes = Buffer.isBuffer(body);
  const given = type ?? (isBytes ? 'application/octet-stream' : undefined);
  return app.inject({
    method,
    url,
    ...payload,
    ...(given === undefined ? {} : { headers: { 'content-type': given } }),
  });
}

/** An address of the route, with something for every parameter. */
function somewhere({ path, each, query = [] }: Route, guest: string): string {
  const name = each === 'operation' ? 'TABLE_COUNT' : 'H_READ';
  const values: Record<string, string> = {
    guest,
    name,
    ptex: '8',
    group: '1',
    number: '1',
    reader: '1',
  };
  const asked = query.filter(({ required }) => required).map((row) => `${row.name}=0`);
  const address = path.replaceAll(/\{(\w+)\}/g, (_whole, key: string) => values[key] ?? 'internal');
  return asked.length === 0 ? address : `${address}?${asked.join('&')}`;
}

/** There again for each request: one of them deletes it. */
async function pausedGuest(): Promise<void> {
  if (guests.get('paused') === undefined)
    await guests.create('paused', guestConfig.parse({ order: 18, state: 'paused' }));
}

const BAD: readonly (readonly [what: string, body: string | Buffer, type: string])[] = [
  ['no JSON', '{', 'application/json'],
  ['an array', '[]', 'application/json'],
  ['an unknown member', '{"strange":1}', 'application/json'],
  ['nothing in it', '{}', 'application/json'],
  ['another media type', 'hello', 'text/csv'],
  ['too much', Buffer.alloc(600_000, '1'), 'application/json'],
];

test('what each route refuses, it refuses with a problem that is documented for it', async () => {
  let refused = 0;
  for (const route of WITHOUT_SOCKET) {
    for (const guest of ['nobody', 'paused']) {
      const url = somewhere(route, guest);
      for (const [what, body, type] of [['no body', '', ''] as const, ...BAD]) {
        if (route.method === 'GET' && type !== '') continue;
        if (route.id === 'createGuest' && type === '') continue;
        await pausedGuest();
        const reply = await send(
          route.method,
          url,
          type === '' ? undefined : body,
          type || undefined,
        );
        if (reply.statusCode < 400) continue;
        refused++;
        const { code } = problemDocument.parse(reply.json());
        assert.ok(isProblemCode(code), code);
        assert.ok(
          [...route.problems, ...ANYWHERE].includes(code) && code !== 'internal',
          `${route.method} ${url} with ${what} answers ${code}, which is not documented for ${route.id}`,
        );
      }
    }
  }
  assert.ok(refused > 200, `only ${refused} refusals were looked at`);
});
