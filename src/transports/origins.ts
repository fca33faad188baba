/**
 * Web pages: any that a user has open can send requests to his loopback addresses. So a request of a page is served only
 * if its origin is the daemon's own or allowed, and only under a name that means the daemon: a page whose own name leads
 * here (DNS rebinding) would have the same origin. Used by access.ts; main thread.
 */
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { problem, shortened } from '../../schemas/problems.ts';
import type { Peer } from './connections.ts';

export interface OriginOptions {
  readonly allowedOrigins: readonly string[];
  /** Names of the daemon beside addresses and localhost. */
  readonly hostNames: readonly string[];
}

type Check = (request: FastifyRequest, reply: FastifyReply, peer: Peer | undefined) => void;

/** Throws the problem with which a request of a page is refused. */
export function checkerOfPages(options: OriginOptions): Check {
  const hostNames = new Set(options.hostNames);
  const origins = new Set(options.allowedOrigins);
  return ({ raw: { headers }, method }, reply, peer) => {
    const { host, origin } = headers;
    const site = headers['sec-fetch-site'];
    if (host !== undefined && host !== peer?.hostSeen) {
      if (!isOurs(host, hostNames))
        throw problem('host-unknown', `${shortened(host)} is not a name of this daemon`);
      if (peer !== undefined) peer.hostSeen = host;
    }
    if (origin === undefined && site === undefined) return;
    if (origin !== undefined && origins.has(origin)) return allowPage(reply, origin);
    const isOwn = origin === undefined || isSameHost(origin, host);
    // A link that a user follows comes from another site and asks for a page of ours: that page is not the other's to read.
    const isLink = method === 'GET' && headers['sec-fetch-mode'] === 'navigate';
    const isForeign = site === 'cross-site' || site === 'same-site';
    if (!isOwn || (isForeign && !isLink))
      throw problem(
        'origin-forbidden',
        `pages of ${shortened(origin ?? 'other sites')} may not use this daemon`,
      );
  };
}

/** No name can be made to lead to an address that is written out. */
function isOurs(host: string, names: ReadonlySet<string>): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const address = name.startsWith('[') ? name.slice(1, -1) : name;
  return isIP(address) !== 0 || name === 'localhost' || names.has(name);
}

function isSameHost(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

/** The page's browser lets it read what it got. SPEC: the Fetch standard, "CORS protocol". */
function allowPage(reply: FastifyReply, origin: string): void {
  reply.header('access-control-allow-origin', origin).header('vary', 'origin');
}

/** A browser asks before it sends what no form could; it cannot say who it is then. True: it was answered. */
export function answerPreflight({ raw, method }: FastifyRequest, reply: FastifyReply): boolean {
  if (method !== 'OPTIONS' || reply.getHeader('access-control-allow-origin') === undefined)
    return false;
  if (raw.headers['access-control-request-method'] === undefined) return false;
  void reply
    .code(204)
    .header('access-control-allow-methods', 'GET, PUT, POST, PATCH, DELETE')
    .header('access-control-allow-headers', 'authorization, content-type')
    .send();
  return true;
}
