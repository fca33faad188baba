/**
 * The one table of what the daemon answers over HTTP: method, address, parameters, body, answers, problems. Documents are
 * made from it; a test compares it with the routes that the daemon really has, and their answers with what it says here.
 */
import type { ProblemCode } from './problems.ts';
import {
  calling,
  done,
  guest,
  named,
  ok,
  reading,
  roleQuery,
  running,
  unread,
  type Route,
} from './route.ts';
import { HOST, MEMORY, TABLE } from './routes-resources.ts';

/** Any address may answer these, so no row names them. */
export const ANYWHERE: readonly ProblemCode[] = [
  'request-malformed',
  'not-found',
  'method-not-allowed',
  'internal',
];

const GUESTS: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/guests',
    id: 'listGuests',
    tag: 'guests',
    summary: 'all guests',
    answers: ok('GuestList', 'the guests'),
    problems: [],
  },
  {
    method: 'PUT',
    path: guest,
    id: 'createGuest',
    tag: 'guests',
    summary: 'create a guest',
    body: 'GuestConfig',
    answers: { 201: { meaning: 'the guest is there', content: 'Guest' } },
    problems: [
      ...unread,
      'guest-config-invalid',
      'guest-exists',
      'guest-limit',
      'processor-busy',
      'shutting-down',
    ],
  },
  {
    method: 'GET',
    path: guest,
    id: 'getGuest',
    tag: 'guests',
    summary: 'one guest',
    answers: ok('Guest', 'the guest'),
    problems: named,
  },
  {
    method: 'PATCH',
    path: guest,
    id: 'changeGuest',
    tag: 'guests',
    summary: 'pause a guest or let it run',
    body: 'GuestPatch',
    answers: ok('Guest', 'the guest is in the state that was asked for'),
    problems: [...running, ...reading],
  },
  {
    method: 'DELETE',
    path: guest,
    id: 'deleteGuest',
    tag: 'guests',
    summary: 'delete a guest and its table',
    answers: done('it is gone'),
    problems: [...running, ...unread],
  },
  {
    method: 'GET',
    path: `${guest}/stream`,
    id: 'openStream',
    tag: 'hcalls',
    summary: 'a WebSocket of hcalls; /asyncapi.json describes what goes over it',
    query: [roleQuery],
    answers: { 101: { meaning: 'the connection is a WebSocket from here on' } },
    problems: [
      ...running,
      'query-invalid',
      'stream-limit',
      'subprotocol-missing',
      'upgrade-required',
    ],
  },
];

const CALLS: readonly Route[] = [
  {
    method: 'POST',
    path: `${guest}/hcalls/{name}`,
    id: 'call',
    tag: 'hcalls',
    summary: 'one hcall',
    each: 'hcall',
    body: 'call',
    answers: ok('call', 'the hcall was executed; whether it succeeded is its status'),
    problems: [...calling, 'guest-paused'],
  },
  {
    method: 'POST',
    path: `${guest}/hcalls`,
    id: 'callBatch',
    tag: 'hcalls',
    summary: 'many hcalls, in order',
    body: 'Batch',
    answers: ok('BatchAnswer', 'the hcalls were executed'),
    problems: [...calling, 'guest-paused', 'batch-too-large'],
  },
  {
    method: 'POST',
    path: `${guest}/control/{name}`,
    id: 'control',
    tag: 'hcalls',
    summary: 'one control operation of the host',
    each: 'operation',
    body: 'call',
    answers: ok('call', 'the operation was executed; whether it succeeded is its status'),
    problems: calling,
  },
];

const DAEMON: readonly Route[] = [
  {
    method: 'GET',
    path: '/',
    id: 'index',
    tag: 'daemon',
    summary: 'what there is',
    answers: ok('Index', 'addresses and names'),
    problems: [],
  },
  {
    method: 'GET',
    path: '/healthz',
    id: 'health',
    tag: 'daemon',
    summary: 'the process is alive',
    answers: ok('text/plain', 'ok'),
    problems: [],
  },
  {
    method: 'GET',
    path: '/readyz',
    id: 'readiness',
    tag: 'daemon',
    summary: 'the daemon takes work',
    answers: ok('text/plain', 'ready'),
    problems: ['shutting-down'],
  },
  {
    method: 'GET',
    path: '/problems',
    id: 'listProblems',
    tag: 'daemon',
    summary: 'every problem; a page for browsers',
    answers: ok('ProblemList', 'the problems'),
    problems: [],
  },
  {
    method: 'GET',
    path: '/problems/{code}',
    id: 'getProblem',
    tag: 'daemon',
    summary: 'one problem, where its `type` leads; a page for browsers',
    answers: ok('ProblemRow', 'the problem'),
    problems: [],
  },
  {
    method: 'GET',
    path: '/openapi.json',
    id: 'openApi',
    tag: 'daemon',
    summary: 'this document',
    answers: ok('application/json', 'OpenAPI 3.1'),
    problems: [],
  },
  {
    method: 'GET',
    path: '/asyncapi.json',
    id: 'asyncApi',
    tag: 'daemon',
    summary: 'the stream, described',
    answers: ok('application/json', 'AsyncAPI 3'),
    problems: [],
  },
  {
    method: 'GET',
    path: '/docs',
    id: 'docs',
    tag: 'daemon',
    summary: 'all of it as a page for people',
    answers: ok('text/html', 'a page'),
    problems: [],
  },
];

export const ROUTES: readonly Route[] = [
  ...GUESTS,
  ...CALLS,
  ...TABLE,
  ...MEMORY,
  ...HOST,
  ...DAEMON,
];
