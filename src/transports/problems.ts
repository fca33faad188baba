/**
 * Every refusal of the HTTP side as problem+json: what handlers throw, what Fastify refuses before
 * a handler runs (bad JSON, length, media type), unknown addresses, wrong methods. Main thread.
 *
 * `problemServerOptions` belongs into Fastify's own options, because Fastify answers some requests
 * before it has found a route; `answerProblems` is called once on the root instance, before routes
 * are registered.
 *
 * SPEC: RFC 9457; RFC 9110, 15.5.6: a 405 names the methods that the address takes.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BODY_BYTES_MAX, HEADER_BYTES_MAX } from '../../schemas/limits.ts';
import { renderProblem } from '../../schemas/problem-document.ts';
import { ProblemError, problem, shortened } from '../../schemas/problems.ts';
import { traceIdOf } from './trace-id.ts';

const MEDIA_TYPE = 'application/problem+json; charset=utf-8';

export const problemServerOptions = {
  bodyLimit: BODY_BYTES_MAX,
  // Schemas refuse members that they do not know, these among them, and say so; to search every body for them is half a
  // microsecond more.
  onProtoPoisoning: 'ignore',
  onConstructorPoisoning: 'ignore',
  frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    void sendProblem(asProblem(error), request, reply);
  },
  clientErrorHandler: refuseConnection,
  // What arrives while the daemon closes is told so by its guest; Fastify's own 503 is no problem document.
  return503OnClosing: false,
} as const;

/**
 * What Node could not parse as a request, or that came too slowly, so there is none to reply to: writes the answer itself.
 */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  answerRaw(socket, unreadable(error.code ?? 'unknown fault'));
}

function unreadable(code: string): ProblemError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return problem('request-too-slow', 'the request did not arrive in time');
  if (code === 'HPE_HEADER_OVERFLOW')
    return problem('headers-too-large', `the headers are longer than ${HEADER_BYTES_MAX} bytes`);
  return problem('request-malformed', `this is no HTTP request that can be read (${code})`);
}

/** An answer on a connection that has no request, and its end. */
export function answerRaw(socket: Socket, error: ProblemError): void {
  const body = JSON.stringify(renderProblem(error));
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    `content-type: ${MEDIA_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...Object.entries(error.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}

/** Makes every answer that is an error of the HTTP side a problem document. */
export function answerProblems(app: FastifyInstance, log: FastifyBaseLogger): void {
  const routes = methodsByRoute(app);
  app.setErrorHandler((error, request, reply) => {
    const known = asProblem(error);
    if (known.status >= 500) {
      const traceId = traceIdOf(request);
      log.error({ err: error, code: known.code, traceId }, known.detail);
    }
    return sendProblem(known, request, reply);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(unroutable(routes, request), request, reply),
  );
}

export function sendProblem(
  error: ProblemError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (error.headers !== undefined) reply.headers(error.headers);
  return reply
    .code(error.status)
    .type(MEDIA_TYPE)
    .send(JSON.stringify(renderProblem(error, request.url, traceIdOf(request))));
}

/**
 * What was thrown, as a problem. Anything that is not known to be the client's doing is a bug of
 * the daemon.
 */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  const { code, statusCode, message } = error as {
    code?: unknown;
    statusCode?: unknown;
    message?: unknown;
  };
  const said = typeof message === 'string' ? message : '';
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return problem('unsupported-media-type', said);
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problem('body-too-large', `the body is longer than ${BODY_BYTES_MAX} bytes`);
    case 'FST_ERR_BAD_URL':
      return problem('request-malformed', 'the address is not a valid one');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return problem('not-found', 'a part of the address is longer than any name here');
  }
  if (typeof code === 'string' && code.startsWith('FST_ERR_CTP_'))
    return problem('body-invalid', said);
  if (statusCode === 400) return problem('body-invalid', said);
  return problem('internal', 'the daemon was not written for what happened here', { cause: error });
}

function unroutable(routes: RouteMethods, request: FastifyRequest): ProblemError {
  const path = request.url.split('?', 1)[0]!;
  const shown = shortened(path);
  const methods = methodsOf(routes, path);
  if (methods.length === 0) return problem('not-found', `there is nothing at ${shown}`);
  const allow = methods.join(', ');
  const detail = `${shown} does not take ${request.method}; it takes ${allow}`;
  return problem('method-not-allowed', detail, { headers: { allow } });
}

/** Route patterns, as Fastify spells them, and the methods each has. */
type RouteMethods = Map<string, Set<string>>;

/** Filled as routes are registered, by whichever plugin; read only when a request found none. */
function methodsByRoute(app: FastifyInstance): RouteMethods {
  const routes: RouteMethods = new Map();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = routes.get(url) ?? new Set();
    for (const one of Array.isArray(method) ? method : [method]) methods.add(one);
    routes.set(url, methods);
  });
  return routes;
}

function methodsOf(routes: RouteMethods, path: string): string[] {
  const parts = path.split('/');
  const found = new Set<string>();
  for (const [pattern, methods] of routes) {
    if (matches(pattern.split('/'), parts)) for (const method of methods) found.add(method);
  }
  return [...found].sort();
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  if (pattern.length !== parts.length) return false;
  return pattern.every((part, i) => (part.startsWith(':') ? parts[i] !== '' : part === parts[i]));
}
