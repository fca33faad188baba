/**
 * What the daemon says of itself: OpenAPI, AsyncAPI, the page for people, and the problems, as a page for who asks with a
 * browser and as JSON for everybody else. Main thread; each text is made when it is first asked for, and kept.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  PROBLEMS,
  PROBLEM_CODES,
  isProblemCode,
  problem,
  type ProblemCode,
} from '../../schemas/problems.ts';
import { asyncApi } from '../documents/asyncapi.ts';
import { docsPage, problemPage, problemsPage } from '../documents/docs-page.ts';
import { openApi } from '../documents/openapi.ts';
import { VERSION } from '../operations/version.ts';

/** The pages load nothing and run nothing, and a browser need not take our word for it. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

export function documentRoutes(app: FastifyInstance): void {
  app.get(
    '/openapi.json',
    kept('application/json', () => JSON.stringify(openApi(VERSION))),
  );
  app.get(
    '/asyncapi.json',
    kept('application/json', () => JSON.stringify(asyncApi(VERSION))),
  );
  app.get('/docs', async (_request, reply) => sendPage(reply, docs()));

  app.get('/problems', async (request, reply) => {
    reply.header('vary', 'accept');
    if (wantsPage(request)) return sendPage(reply, problemsPage());
    return { problems: PROBLEM_CODES.map(problemRow) };
  });
  app.get<{ Params: { code: string } }>('/problems/:code', async (request, reply) => {
    const { code } = request.params;
    if (!isProblemCode(code))
      throw problem('not-found', 'there is no problem of this code; see /problems');
    reply.header('vary', 'accept');
    return wantsPage(request) ? sendPage(reply, problemPage(code)) : problemRow(code);
  });
}

const docs = once(() => docsPage(VERSION));

function once(make: () => string): () => string {
  let text: string | undefined;
  return () => (text ??= make());
}

function kept(type: string, make: () => string) {
  const text = once(make);
  return async (_request: FastifyRequest, reply: FastifyReply) => reply.type(type).send(text());
}

function sendPage(reply: FastifyReply, text: string): FastifyReply {
  return reply
    .type('text/html; charset=utf-8')
    .headers({ 'content-security-policy': PAGE_POLICY, 'x-content-type-options': 'nosniff' })
    .send(text);
}

/** Browsers name text/html; curl and programs name JSON, anything, or nothing. */
function wantsPage({ headers }: FastifyRequest): boolean {
  return /(^|[,\s])text\/html($|[\s,;])/i.test(headers.accept ?? '');
}

function problemRow(code: ProblemCode) {
  return { code, type: `/problems/${code}`, ...PROBLEMS[code] };
}
