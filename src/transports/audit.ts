/**
 * The audit log: who administered what, as lines of level info with `audit: true`, refused attempts too. Only routes that
 * administer have the hook, so hcalls cost nothing. On the root instance, before routes are registered. Main thread.
 *
 * What a guest's host does is administration, by whatever route: it takes pages away, and what it harvests nobody else
 * gets any more. The walk is not: it is what a guest's processor does. Of a stream of the role host only the opening is told.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { traceIdOf } from './trace-id.ts';

export interface AuditOptions {
  readonly log: Logger;
  /** Who sent a request: a holder's name, or where the connection comes from. */
  readonly clientOf: (request: FastifyRequest) => string;
}

const ACTIONS: ReadonlyMap<string, string> = new Map([
  ['PUT /v1/guests/:guest', 'create a guest'],
  ['PATCH /v1/guests/:guest', 'change the state of a guest'],
  ['DELETE /v1/guests/:guest', 'delete a guest'],
  ['PUT /v1/guests/:guest/memslots/:number', 'add a memory slot'],
  ['DELETE /v1/guests/:guest/memslots/:number', 'remove a memory slot'],
  ['POST /v1/guests/:guest/hpt/resize', 'prepare a resize'],
  ['POST /v1/guests/:guest/hpt/resize/commit', 'commit a resize'],
  ['DELETE /v1/guests/:guest/hpt/resize', 'cancel a resize'],
  ['POST /v1/guests/:guest/control/:name', 'a control operation'],
  ['POST /v1/guests/:guest/host/unmap', 'take a host page away'],
  ['POST /v1/guests/:guest/host/read-only', 'make a host page read-only'],
  ['POST /v1/guests/:guest/host/present', 'bring a host page back'],
  ['POST /v1/guests/:guest/host/age', 'age a host page'],
  ['POST /v1/guests/:guest/host/dirty', 'harvest dirty pages'],
  ['POST /v1/guests/:guest/host/page-fault', 'resolve a page fault'],
  ['PUT /v1/guests/:guest/memory', 'write guest memory'],
  ['PUT /v1/guests/:guest/htab', 'load a table'],
  ['DELETE /v1/guests/:guest/htab/readers/:reader', 'close a reader of the table stream'],
  ['POST /v1/guests/:guest/recordings', 'start a recording'],
  ['PATCH /v1/guests/:guest/recordings/:id', 'end a recording'],
  ['GET /v1/guests/:guest/recordings/:id', 'download a recording'],
  ['DELETE /v1/guests/:guest/recordings/:id', 'delete a recording'],
  ['POST /v1/guests/:guest/snapshots', 'take a snapshot'],
]);

const STREAM_ROUTE = 'GET /v1/guests/:guest/stream';
const HOST_STREAM = 'open a stream of the role host';
const SWITCHING_PROTOCOLS = 101;

export interface Audit {
  /** A stream of the role host was opened: no response tells of that. */
  hostStreamOpened(request: FastifyRequest): void;
}

export function auditAdministration(
  app: FastifyInstance,
  { log, clientOf }: AuditOptions,
): Audit | undefined {
  if (!log.isLevelEnabled('info')) return undefined;
  const write = (request: FastifyRequest, action: string, status: number): void => {
    const who = clientOf(request);
    log.info(
      { audit: true, action, ...placeOf(request), who, status, traceId: traceIdOf(request) },
      status < 400 ? action : `refused: ${action}`,
    );
  };
  app.addHook('onRoute', (route) => {
    const name = `${String(route.method)} ${route.url}`;
    const action = ACTIONS.get(name);
    if (action === undefined && name !== STREAM_ROUTE) return;
    route.onResponse = (request, { statusCode }, done) => {
      if (action !== undefined) write(request, action, statusCode);
      else if (asksForHost(request) && statusCode >= 400) write(request, HOST_STREAM, statusCode);
      done();
    };
  });
  return {
    hostStreamOpened: (request) => write(request, HOST_STREAM, SWITCHING_PROTOCOLS),
  };
}

function asksForHost({ query }: FastifyRequest): boolean {
  return (query as { role?: unknown }).role === 'host';
}

/** The parts of the address that a route names, and the state that was asked for. */
function placeOf({ params, body }: FastifyRequest): Record<string, unknown> {
  const state = (body as { state?: unknown } | null | undefined)?.state;
  return {
    ...(params as Record<string, string>),
    ...(typeof state === 'string' ? { state: state.slice(0, 20) } : {}),
  };
}
