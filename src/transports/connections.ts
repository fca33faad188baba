/**
 * The connections of the daemon's HTTP server: how many there are, whose they are, and who has to go when there are too
 * many. Costs something per connection and next to nothing per request. Main thread.
 *
 * A connection that never sent a request makes room for a new one, oldest first; next those that wait for their client's
 * next request; only then is the new one refused. So whoever opens connections for their number's sake keeps nobody out.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { problem } from '../../schemas/problems.ts';
import { answerRaw } from './problems.ts';

/** Everybody at one address, or at the Unix sockets. */
export interface Client {
  /** The address; `unix` for Unix sockets. */
  readonly name: string;
  connections: number;
  /** Connections that never sent a request, oldest first. */
  readonly silent: Set<Peer>;
}

/** One connection. */
export interface Peer {
  readonly client: Client;
  readonly isUnix: boolean;
  /** As it was accepted; in TLS the HTTP server has another one, around it. */
  readonly accepted: Socket;
  isSilent: boolean;
  /** The last Host header that was found to mean this daemon. */
  hostSeen: string | undefined;
  /** Wrong tokens. */
  refusals: number;
}

export interface ConnectionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerClientMax: number;
}

export interface Connections {
  /** Counts a new connection; false: it was refused. */
  readonly admit: (socket: Socket, isUnix: boolean) => boolean;
  /** Gives it to the HTTP server. */
  readonly serve: (socket: Socket) => void;
  /** Whose request this is. Undefined: no connection that was admitted. */
  requestFrom(socket: Socket): Peer | undefined;
  /** Waits for the doors to close, and does not wait long: then ends every connection. */
  endWith(closed: Promise<void> | undefined): Promise<void>;
}

interface State {
  readonly server: Server;
  readonly limits: ConnectionLimits;
  readonly clients: Map<string, Client>;
  readonly open: Set<Peer>;
  readonly silent: Set<Peer>;
  readonly bySocket: WeakMap<Socket, Peer>;
  /** Finds the accepted socket behind one of TLS; empty without TLS. */
  readonly byEnds: Map<string, Peer>;
}

const RETRY_SECONDS = 5;
/** Longer than a stream's peer has to answer a close. */
const END_MILLIS = 1500;
const UNIX = 'unix';

export function countConnections(
  server: Server,
  limits: ConnectionLimits,
  isTls: boolean,
): Connections {
  const state: State = {
    server,
    limits,
    clients: new Map(),
    open: new Set(),
    silent: new Set(),
    bySocket: new WeakMap(),
    byEnds: new Map(),
  };
  return {
    admit: (socket, isUnix) => admit(state, socket, isUnix, isTls && !isUnix),
    serve(socket) {
      if (!state.bySocket.has(socket)) {
        const peer = state.byEnds.get(endsOf(socket));
        // Ended while it shook hands.
        if (peer === undefined) socket.destroy();
        else state.bySocket.set(socket, peer);
      }
      if (!socket.destroyed) server.emit('connection', socket);
    },
    requestFrom(socket) {
      const peer = state.bySocket.get(socket);
      if (peer?.isSilent === true) {
        peer.isSilent = false;
        state.silent.delete(peer);
        peer.client.silent.delete(peer);
      }
      return peer;
    },
    async endWith(closed) {
      // What has its answer and waits for more would hold its door open.
      server.closeIdleConnections();
      const timer = setTimeout(() => {
        for (const { accepted } of state.open) accepted.destroy();
      }, END_MILLIS);
      await closed;
      clearTimeout(timer);
    },
  };
}

function admit(state: State, socket: Socket, isUnix: boolean, isTls: boolean): boolean {
  const name = isUnix ? UNIX : networkOf(socket.remoteAddress ?? '');
  const client = state.clients.get(name) ?? { name, connections: 0, silent: new Set<Peer>() };
  if (!makeRoom(state, client)) {
    refuse(state, socket, isTls);
    return false;
  }
  const peer: Peer = {
    client,
    isUnix,
    accepted: socket,
    isSilent: true,
    hostSeen: undefined,
    refusals: 0,
  };
  client.connections++;
  state.clients.set(name, client);
  for (const set of [state.open, state.silent, client.silent]) set.add(peer);
  state.bySocket.set(socket, peer);
  const ends = isTls ? endsOf(socket) : undefined;
  if (ends !== undefined) state.byEnds.set(ends, peer);
  socket.once('close', () => {
    leave(state, peer);
    if (ends !== undefined) state.byEnds.delete(ends);
  });
  // Until it has its HTTP or TLS listener: a reset must not end the process.
  socket.on('error', () => {});
  return true;
}

/** One customer has a network of IPv6, not an address. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::')) return address;
  return address.split(':', 4).join(':');
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

/** Once for each peer, whoever comes first: the close event, or who makes room. */
function leave({ open, silent, clients }: State, peer: Peer): void {
  if (!open.delete(peer)) return;
  const { client } = peer;
  silent.delete(peer);
  client.silent.delete(peer);
  client.connections--;
  if (client.connections === 0) clients.delete(client.name);
}

/** True: there is room for one more connection of this client. */
function makeRoom(state: State, client: Client): boolean {
  const { limits, open, silent, server } = state;
  const isOwnFault = (): boolean => client.connections >= limits.connectionsPerClientMax;
  const isFull = (): boolean => isOwnFault() || open.size >= limits.connectionsMax;
  if (!isFull()) return true;
  const [oldest] = isOwnFault() ? client.silent : silent;
  if (oldest !== undefined) {
    oldest.accepted.destroy();
    leave(state, oldest);
    return true;
  }
  server.closeIdleConnections();
  // Their close events come in a later turn.
  for (const peer of open) if (peer.accepted.destroyed) leave(state, peer);
  return !isFull();
}

/** In words, where the other end could read them. */
function refuse({ limits }: State, socket: Socket, isTls: boolean): void {
  socket.on('error', () => {});
  if (isTls) return void socket.destroy();
  const detail = `the daemon takes ${limits.connectionsMax} connections, ${limits.connectionsPerClientMax} from one client`;
  answerRaw(
    socket,
    problem('too-many-connections', detail, { headers: { 'retry-after': `${RETRY_SECONDS}` } }),
  );
}
