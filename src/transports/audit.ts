/**
 * The audit log: who administered what, as lines of level info with `audit: true`, refused attempts too. Only routes that
 * administer have the hook, so hcalls cost nothing. On the root instance, before routes are registered. Main thread.
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
  ['PUT /v1/guests/:guest/memory', 'write guest memory'],
  ['PUT /v1/guests/:guest/htab', 'load a table'],
  ['DELETE /v1/guests/:guest/htab/readers/:reader', 'close a reader of the table stream'],
  ['POST /v1/guests/:guest/recordings', 'start a recording'],
  ['PATCH /v1/guests/:guest/recordings/:id', 'end a recording'],
  ['GET /v1/guests/:guest/recordings/:id', 'download a recording'],
  ['DELETE /v1/guests/:guest/recordings/:id', 'delete a recording'],
]);

export function auditAdministration(app: FastifyInstance, { log, clientOf }: AuditOptions): void {
  if (!log.isLevelEnabled('info')) return;
  app.addHook('onRoute', (route) => {
    const action = ACTIONS.get(`${String(route.method)} ${route.url}`);
    if (action === undefined) return;
    route.onResponse = (request, reply, done) => {
      const who = clientOf(request);
      const { statusCode: status } = reply;
      log.info(
        { audit: true, action, ...placeOf(request), who, status, traceId: traceIdOf(request) },
        status < 400 ? action : `refused: ${action}`,
      );
      done();
    };
  });
}

/** The parts of the address that a route names, and the state that was asked for. */
function placeOf({ params, body }: FastifyRequest): Record<string, unknown> {
  const state = (body as { state?: unknown } | null | undefined)?.state;
  return {
    ...(params as Record<string, string>),
    ...(typeof state === 'string' ? { state: state.slice(0, 20) } : {}),
  };
}
