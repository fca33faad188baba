/**
 * Who may do what, asked once a request or upgrade, before anything is read of a body: `guard(app, …)` on the root
 * instance, before routes are registered. Streams are asked when they open and when the access file changes, so an hcall
 * on a stream costs nothing. Main thread.
 *
 * Without an access file only web pages and compressed bodies are refused: then everybody who reaches the daemon is its
 * user. With one, each route has a need: GET needs `read`, every other method `admin`; exceptions are in NEEDS.
 *
 * SPEC: RFC 6750 (bearer tokens, WWW-Authenticate); RFC 9110, 15.5.20 (421), 15.5.16 (415 and Accept-Encoding);
 * RFC 6454 (origins); W3C Fetch Metadata (Sec-Fetch-Site).
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { allows, BEARER_PROTOCOL_PREFIX, needText } from '../../schemas/access.ts';
import type { Need } from '../../schemas/access.ts';
import { REFUSALS_MAX } from '../../schemas/limits.ts';
import { problem, shortened } from '../../schemas/problems.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import { holderOfToken, isCurrent } from '../operations/access-file.ts';
import type { Holder } from '../operations/access-file.ts';
import type { Access } from '../operations/access-watch.ts';
import type { Connections, Peer } from './connections.ts';
import { answerPreflight, checkerOfPages } from './origins.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who had to say who he is. */
    holder: Holder | null;
  }
}

export interface GuardOptions {
  readonly connections: Connections;
  /** Undefined: nobody is asked who he is. */
  readonly access: Access | undefined;
  readonly allowedOrigins: readonly string[];
  /** Names of the daemon beside addresses and localhost. */
  readonly hostNames: readonly string[];
  readonly requestsPerSecondMax: number;
}

export interface Guard {
  /** Who sent a request, for limits: a holder's name, or where the connection comes from. */
  clientOf(request: FastifyRequest): string;
  /** False: who opened the stream may not have it any more. */
  mayKeep(request: FastifyRequest): boolean;
  /** When that may have changed. */
  onChange(listener: () => void): void;
}

/** open: everybody may see that a daemon is there, whether it is well, and what its answers mean. */
const NEEDS: ReadonlyMap<string, 'open' | 'hcalls' | 'stream'> = new Map([
  ['/', 'open'],
  ['/healthz', 'open'],
  ['/readyz', 'open'],
  ['/problems', 'open'],
  ['/problems/:code', 'open'],
  ['/docs', 'open'],
  ['/openapi.json', 'open'],
  ['/asyncapi.json', 'open'],
  ['/v1/guests/:guest/hcalls', 'hcalls'],
  ['/v1/guests/:guest/hcalls/:name', 'hcalls'],
  ['/v1/guests/:guest/stream', 'stream'],
]);

function needOf({ method, params, query, routeOptions }: FastifyRequest): Need | undefined {
  const route = routeOptions.url;
  if (route === undefined) return { kind: 'known' };
  const special = NEEDS.get(route);
  if (special === 'open') return undefined;
  const { guest = '' } = params as { guest?: string };
  if (special === 'hcalls') return { kind: 'hcalls', guest };
  // A role that does not exist is refused where roles are known.
  if (special === 'stream' && (query as { role?: unknown }).role !== 'host')
    return { kind: 'hcalls', guest };
  if (special === undefined && (method === 'GET' || method === 'HEAD')) return { kind: 'read' };
  return { kind: 'admin' };
}

/** Requests that a holder may send at once; refilled by the second. */
interface Allowance {
  left: number;
  atMillis: number;
}

export function guard(app: FastifyInstance, options: GuardOptions): Guard {
  const { access, connections } = options;
  const allowances = new WeakMap<Holder, Allowance>();
  const checkPage = checkerOfPages(options);
  app.decorateRequest('holder', null);

  function authorize(asked: Access, request: FastifyRequest, peer: Peer | undefined): void {
    const need = needOf(request);
    if (need === undefined) return;
    const holder = holderOf(asked, request);
    if (holder === undefined) throw unauthenticated(request, peer);
    // Before the rest is asked: the audit log names who was refused.
    request.holder = holder;
    spend(allowances, holder, options.requestsPerSecondMax);
    if (!allows(holder.scopes, need)) throw forbidden(holder, need);
  }

  app.addHook('onRequest', (request, reply, done) => {
    const peer = connections.requestFrom(request.raw.socket);
    try {
      if (peer?.isUnix !== true) {
        checkPage(request, reply, peer);
        if (answerPreflight(request, reply)) return;
        if (access !== undefined) authorize(access, request, peer);
      }
      const encoding = request.raw.headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity') throw encoded(encoding);
      done();
    } catch (error) {
      done(error as ProblemError);
    }
  });
  return {
    clientOf: ({ holder, raw }) =>
      holder?.name ?? connections.requestFrom(raw.socket)?.client.name ?? '',
    mayKeep: ({ holder }) => access === undefined || holder === null || access.isInForce(holder),
    onChange: (listener) => access?.onChange(listener),
  };
}

/** A certificate speaks for its connection; a token, if there is one, is what this request is for. */
function holderOf(access: Access, { raw }: FastifyRequest): Holder | undefined {
  const list = access.list();
  const token = tokenOf(raw.headers.authorization, raw.headers['sec-websocket-protocol']);
  if (token !== undefined) return holderOfToken(list, token);
  const commonName = commonNameOf(raw.socket);
  const holder = commonName === undefined ? undefined : list.byCommonName.get(commonName);
  return holder !== undefined && isCurrent(holder) ? holder : undefined;
}

function tokenOf(authorization: string | undefined, protocols = ''): string | undefined {
  if (authorization !== undefined) return /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '';
  return protocols
    .split(',')
    .map((name) => name.trim())
    .find((name) => name.startsWith(BEARER_PROTOCOL_PREFIX))
    ?.slice(BEARER_PROTOCOL_PREFIX.length);
}

/** Of a certificate that a known authority signed. */
function commonNameOf(socket: Socket): string | undefined {
  const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>;
  if (authorized !== true || getPeerCertificate === undefined) return undefined;
  const name: unknown = (socket as TLSSocket).getPeerCertificate().subject?.CN;
  return typeof name === 'string' ? name : undefined;
}

function spend(allowances: WeakMap<Holder, Allowance>, holder: Holder, perSecond: number): void {
  const now = performance.now();
  const allowance = allowances.get(holder) ?? { left: perSecond, atMillis: now };
  const refilled = allowance.left + ((now - allowance.atMillis) * perSecond) / 1000;
  allowance.left = Math.min(perSecond, refilled) - 1;
  allowance.atMillis = now;
  allowances.set(holder, allowance);
  if (allowance.left >= 0) return;
  allowance.left = Math.max(allowance.left, -1);
  throw problem('too-many-requests', `${holder.name} may send ${perSecond} requests a second`, {
    headers: { 'retry-after': '1' },
  });
}

/** Nobody guesses a token; but who tries costs time, so each connection has only so many tries. */
function unauthenticated({ raw }: FastifyRequest, peer: Peer | undefined): ProblemError {
  const isBare = raw.headers.authorization === undefined;
  const isLast = peer !== undefined && ++peer.refusals >= REFUSALS_MAX;
  return problem(
    'unauthenticated',
    isBare ? 'the request has no token' : 'the token is not one that is valid here',
    {
      headers: {
        'www-authenticate': `Bearer realm="hptd"${isBare ? '' : ', error="invalid_token"'}`,
        ...(isLast ? { connection: 'close' } : {}),
      },
    },
  );
}

function forbidden({ name, scopes }: Holder, need: Need): ProblemError {
  const wanted = needText(need);
  return problem('forbidden', `${name} has ${scopes.join(', ')}; this needs ${shortened(wanted)}`, {
    headers: { 'www-authenticate': `Bearer realm="hptd", error="insufficient_scope"` },
  });
}

function encoded(encoding: string): ProblemError {
  return problem('content-encoding-unsupported', `the body is in ${shortened(encoding)}`, {
    headers: { 'accept-encoding': 'identity' },
  });
}
