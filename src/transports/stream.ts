/**
 * The hcall stream (docs/stream.md), as one Fastify plugin: `app.register(streamRoutes, { guests })`, on the root
 * instance and after httpRoutes, which answers what is thrown here before an upgrade. It has a context of its own, because
 * the hooks of WebSockets cost every request of a context two listeners and a clock. So no other route can end an upgrade, and
 * the server is to begin one only if `isStreamRequest` says so. Main thread.
 *
 * What both subprotocols share is here: the upgrade, the hello, the end, pings. What is inside a message is in
 * stream-binary.ts and stream-json.ts.
 */
import type { IncomingMessage } from 'node:http';
import websocket from '@fastify/websocket';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { FRAME_BYTES_MAX, PING_INTERVAL_MILLIS } from '../../schemas/limits.ts';
import { ProblemError, problem } from '../../schemas/problems.ts';
import { JSON_STREAM_PROTOCOL, STREAM_PROTOCOL } from '../../schemas/stream.ts';
import type { Guest, Guests, Role, StreamEnd } from '../guests/types.ts';
import { openBinaryStream } from './stream-binary.ts';
import { openJsonStream } from './stream-json.ts';
import type { Guard } from './access.ts';
import type { Audit } from './audit.ts';
import { traceIdOf } from './trace-id.ts';
import type { Peer, PeerStream } from './stream-peer.ts';

export interface StreamRouteOptions {
  readonly guests: Guests;
  /** Absent: whoever came in may stay. */
  readonly guard?: Guard;
  /** Absent: there is no audit log. */
  readonly audit?: Audit | undefined;
  /** Who has a stream open is kept here. */
  readonly peers?: Set<Peer>;
  /** Absent: the instance's. */
  readonly log?: FastifyBaseLogger;
  /** For tests. */
  readonly pingIntervalMillis?: number;
}

type StreamRoute = { Params: { guest: string }; Querystring: { role?: string } };

/** How long a peer may take to answer a close before its socket is destroyed. */
const CLOSE_MILLIS = 1000;

const PROTOCOLS: readonly string[] = [STREAM_PROTOCOL, JSON_STREAM_PROTOCOL];

const SERVER_OPTIONS = {
  maxPayload: FRAME_BYTES_MAX,
  perMessageDeflate: false,
  closeTimeout: CLOSE_MILLIS,
  handleProtocols: (offered: Set<string>) =>
    PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
};

/** As the route below has it, with the names that guests may have. */
const STREAM_URL = /^\/v1\/guests\/[A-Za-z0-9][A-Za-z0-9._-]{0,62}\/stream(\?|$)/;

/** May the request become a WebSocket? Any other that asks for an upgrade is answered as if it had not asked. */
export function isStreamRequest({ method, url }: IncomingMessage): boolean {
  return method === 'GET' && STREAM_URL.test(url ?? '');
}

export async function streamRoutes(
  app: FastifyInstance,
  options: StreamRouteOptions,
): Promise<void> {
  const {
    guests,
    guard,
    audit,
    log = app.log,
    pingIntervalMillis = PING_INTERVAL_MILLIS,
    peers = new Set(),
  } = options;
  app.setChildLoggerFactory(() => log);
  await app.register(websocket, {
    options: SERVER_OPTIONS,
    // ws closes the socket itself, with the code that fits (1009, 1002, 1007).
    errorHandler: (error, _socket, request) =>
      request.log.debug({ err: error, traceId: traceIdOf(request) }, 'a stream broke its protocol'),
    preClose(done) {
      for (const client of app.websocketServer.clients) client.close(1012, 'the daemon shuts down');
      app.websocketServer.close();
      done();
    },
  });
  const pings = setInterval(() => pingAll(peers), pingIntervalMillis);
  pings.unref();
  guard?.onChange(() => closeForbidden(peers));
  app.addHook('onClose', async () => clearInterval(pings));
  app.route<StreamRoute>({
    method: 'GET',
    url: '/v1/guests/:guest/stream',
    preValidation: async (request) => checkUpgrade(guests, request),
    handler: async () => {
      throw problem('upgrade-required', 'a stream is a WebSocket', {
        headers: { upgrade: 'websocket' },
      });
    },
    wsHandler: (socket, request) => {
      const mayStay = (): boolean => guard?.mayKeep(request) ?? true;
      const isOpen = openPeer(peers, guests, { socket, answersPings: true, mayStay }, request);
      if (isOpen && roleOf(request) === 'host') audit?.hostStreamOpened(request);
    },
  });
}

/** Refuses before the upgrade what can be refused, because only then there is a body to say why. */
function checkUpgrade(guests: Guests, request: FastifyRequest<StreamRoute>): void {
  guestOf(guests, request).checkStream();
  roleOf(request);
  if (!request.ws) return;
  const offered = (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim());
  if (!offered.some((name) => PROTOCOLS.includes(name))) {
    throw problem(
      'subprotocol-missing',
      `a stream speaks ${PROTOCOLS.join(' or ')}; none of them was offered`,
    );
  }
}

function guestOf(guests: Guests, { params }: FastifyRequest<StreamRoute>): Guest {
  const guest = guests.get(params.guest);
  if (guest === undefined)
    throw problem('guest-not-found', `there is no guest ${JSON.stringify(params.guest)}`);
  return guest;
}

function roleOf({ query }: FastifyRequest<StreamRoute>): Role {
  const { role = 'guest' } = query;
  if (role === 'guest' || role === 'host') return role;
  const message = 'is neither guest nor host';
  throw problem('query-invalid', `role ${message}`, { errors: [{ path: 'role', message }] });
}

/** False: it was closed. Nothing is awaited before the listeners are attached: a message that comes earlier would be lost. */
function openPeer(
  peers: Set<Peer>,
  guests: Guests,
  peer: Peer,
  request: FastifyRequest<StreamRoute>,
): boolean {
  const { socket } = peer;
  const traceId = traceIdOf(request);
  const { guest: name } = request.params;
  let stream: PeerStream;
  try {
    const guest = guestOf(guests, request);
    const open = socket.protocol === JSON_STREAM_PROTOCOL ? openJsonStream : openBinaryStream;
    stream = open(guest, roleOf(request), socket, (end) => closeFor(socket, end));
    socket.send(JSON.stringify({ ...stream.hello, traceId }));
  } catch (error) {
    // The last stream, or the guest, was taken between the check and the upgrade.
    const known = error instanceof ProblemError ? error : undefined;
    if (known === undefined)
      request.log.error({ err: error, traceId }, 'a stream could not be opened');
    socket.close(known === undefined ? 1011 : 1013, known?.detail ?? 'internal');
    return false;
  }
  peers.add(peer);
  request.log.debug({ guest: name, traceId }, 'a stream was opened');
  socket.on('message', (data: Buffer, isBinary) => stream.onMessage(data, isBinary));
  socket.on('pong', () => {
    peer.answersPings = true;
  });
  request.raw.socket.on('drain', () => stream.onDrain());
  socket.on('close', (code) => {
    request.log.debug({ guest: name, traceId, code }, 'a stream was closed');
    peers.delete(peer);
    stream.onClose();
  });
  return true;
}

function closeFor(socket: WebSocket, end: StreamEnd): void {
  switch (end.kind) {
    case 'malformed':
      return socket.close(4400, end.reason);
    case 'deleted':
      return socket.close(4410, 'the guest was deleted');
    case 'shutdown':
      return socket.close(1012, 'the daemon shuts down');
    case 'failed':
      return socket.close(4500, 'the guest failed');
  }
}

function closeForbidden(peers: Set<Peer>): void {
  for (const { socket, mayStay } of peers) {
    if (!mayStay()) socket.close(4403, 'the token or certificate is not valid any more');
  }
}

/** A peer that did not answer the last ping is gone, or might as well be. */
function pingAll(peers: Set<Peer>): void {
  closeForbidden(peers);
  for (const peer of peers) {
    if (!peer.answersPings) peer.socket.close(4408, 'pings were not answered');
    else peer.socket.ping();
    peer.answersPings = false;
  }
}
