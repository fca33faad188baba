/**
 * The REST interface, as one Fastify plugin: `app.register(httpRoutes, { guests })`. Handlers find
 * the guest, read the request, and hand records to the guest, which runs them on a processor;
 * nothing here blocks the main thread or touches a guest's memory. Register it on the root
 * instance: it answers unknown addresses and all errors too.
 *
 *   http-guests.ts  a guest's life          http-hcalls.ts  hcalls, batches, control operations
 *   http-table.ts   looking at the table    http-memory.ts  bytes of guest memory
 *   http-memslots.ts  memory slots          http-host.ts    what a host does; the walk
 *   http-resize.ts  a resize                http-htab.ts    the table as a stream
 *   http-recordings.ts  recordings          http-state.ts   what outlives the daemon
 *   http-requests.ts  counts of requests
 *   http-documents.ts  what the daemon says of itself, and its problems
 *   bodies.ts       what is wrong with a body
 */
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { HTAB_IDLE_SECONDS_MAX } from '../../schemas/limits.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import { problem } from '../../schemas/problems.ts';
import type { Guests } from '../guests/types.ts';
import { documentRoutes } from './http-documents.ts';
import { guestRoutes } from './http-guests.ts';
import { hcallRoutes } from './http-hcalls.ts';
import { hostRoutes } from './http-host.ts';
import { htabRoutes } from './http-htab.ts';
import { memoryRoutes } from './http-memory.ts';
import { memslotRoutes } from './http-memslots.ts';
import { metricsRoutes } from './http-metrics.ts';
import { countRequests } from './http-requests.ts';
import type { RequestCounts } from './http-requests.ts';
import { recordingRoutes } from './http-recordings.ts';
import { resizeRoutes } from './http-resize.ts';
import { stateRoutes } from './http-state.ts';
import { tableRoutes } from './http-table.ts';
import { answerProblems } from './problems.ts';
import type { Peer } from './stream-peer.ts';

export interface HttpOptions {
  readonly guests: Guests;
  /** False while the daemon drains: /readyz says so, and who balances load sends nothing more. */
  readonly isReady?: () => boolean;
  /** Of streams, for the metrics. */
  readonly peers?: Iterable<Peer>;
  /** Where requests have been counted from the first hook on. */
  readonly requests?: RequestCounts;
  /** For what goes wrong. */
  readonly log?: FastifyBaseLogger;
  /** How long a table stream may stand still, and a reader be left alone. */
  readonly htabIdleMillis?: number;
}

export async function httpRoutes(app: FastifyInstance, options: HttpOptions): Promise<void> {
  const { guests, isReady = () => true, peers = [], log = app.log } = options;
  const htabIdleMillis = options.htabIdleMillis ?? 1000 * HTAB_IDLE_SECONDS_MAX;
  const requests = options.requests ?? countRequests(app);
  answerProblems(app, log);
  // Fastify reads text/plain by itself, and a call is never that.
  app.removeContentTypeParser('text/plain');
  informationRoutes(app, guests, isReady);
  documentRoutes(app);
  guestRoutes(app, guests);
  hcallRoutes(app, guests);
  tableRoutes(app, guests);
  memslotRoutes(app, guests);
  hostRoutes(app, guests);
  resizeRoutes(app, guests);
  stateRoutes(app, guests);
  metricsRoutes(app, guests, peers, requests);
  await app.register(async (scope) => memoryRoutes(scope, guests));
  // Fastify logs what broke an answer that had begun. Other routes answer at once, and with a logger each request is dearer.
  const register = (routes: (scope: FastifyInstance) => void) =>
    app.register(async (scope) => {
      scope.setChildLoggerFactory(() => log);
      routes(scope);
    });
  await register((scope) => recordingRoutes(scope, guests));
  await register((scope) => htabRoutes(scope, guests, htabIdleMillis));
}

// What fastify-plugin does: no context of its own, so that errors elsewhere are answered here too.
Object.assign(httpRoutes, { [Symbol.for('skip-override')]: true });

function informationRoutes(app: FastifyInstance, guests: Guests, isReady: () => boolean): void {
  app.get('/', async () => INDEX);
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', async (_request, reply) => {
    if (!isReady())
      throw problem('shutting-down', 'the daemon finishes what it accepted and takes nothing new');
    const [failing] = guests.state?.status().failing ?? [];
    if (failing !== undefined)
      throw problem(
        'state-failing',
        `what is to outlive the daemon of ${failing[0]} cannot be written: ${failing[1]}`,
      );
    return reply.type('text/plain').send('ready\n');
  });
}

function namesOf(kind: 'hcall' | 'control'): string[] {
  return OPERATIONS.filter((row) => row.kind === kind).map((row) => row.name);
}

const INDEX = {
  name: 'hptd',
  about: 'hashed page tables of POWER guests, and the hypercalls on them',
  links: {
    guests: '/v1/guests',
    guest: '/v1/guests/{guest}',
    hcall: '/v1/guests/{guest}/hcalls/{name}',
    batch: '/v1/guests/{guest}/hcalls',
    control: '/v1/guests/{guest}/control/{name}',
    stream: '/v1/guests/{guest}/stream',
    entry: '/v1/guests/{guest}/hpt/entries/{ptex}',
    group: '/v1/guests/{guest}/hpt/groups/{group}',
    statistics: '/v1/guests/{guest}/hpt/statistics',
    hash: '/v1/guests/{guest}/hpt/hash',
    memory: '/v1/guests/{guest}/memory{?gpa,bytes}',
    memslots: '/v1/guests/{guest}/memslots',
    host: '/v1/guests/{guest}/host/{unmap|read-only|present|age|dirty|page-fault}',
    walk: '/v1/guests/{guest}/hpt/walk',
    resize: '/v1/guests/{guest}/hpt/resize',
    htab: '/v1/guests/{guest}/htab{?bolted,follow}',
    recordings: '/v1/guests/{guest}/recordings',
    recording: '/v1/guests/{guest}/recordings/{id}',
    snapshots: '/v1/guests/{guest}/snapshots',
    state: '/v1/state',
    health: '/healthz',
    readiness: '/readyz',
    metrics: '/metrics',
    problems: '/problems',
    docs: '/docs',
    openapi: '/openapi.json',
    asyncapi: '/asyncapi.json',
  },
  hcalls: namesOf('hcall'),
  control: namesOf('control'),
};
