/**
 * The doors: every address that the daemon listens on, TCP, Unix sockets and what systemd hands over. A door takes
 * connections and hands them on, to a TLS server and an HTTP server that never listen themselves: so all doors have the
 * same limits, and a Unix socket can be plain beside a port that speaks TLS. Errors say what to do. Main thread.
 *
 * SPEC: sd_listen_fds(3): sockets are descriptors from 3 on, LISTEN_FDS counts them, LISTEN_PID says whose they are.
 */
import { once } from 'node:events';
import { lstatSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, ListenOptions, Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { TLS_HANDSHAKE_MILLIS } from '../../schemas/limits.ts';
import type { ListenAddress } from './config.ts';
import { ConfigurationError } from './configuration.ts';
import { makeFolder } from './folders.ts';
import { isLoopback, refuseOpenDoor, userSocket } from './reach.ts';
import type { TlsFiles } from './reach.ts';

export interface DoorOptions {
  readonly addresses: readonly ListenAddress[];
  /** TCP speaks TLS with these. */
  readonly tls: TlsFiles | undefined;
  /** Other machines may come in, because everybody is asked who he is. */
  readonly asksWho: boolean;
  /** False: there are too many, and the connection was refused. Before a TLS handshake. */
  readonly admit: (socket: Socket, isUnix: boolean) => boolean;
  /** For each admitted connection, in TLS when the handshake is done. */
  readonly serve: (socket: Socket) => void;
}

export interface Doors {
  /** As clients take them. */
  readonly urls: readonly string[];
  /** For new connections; those that are open keep theirs. */
  renewTls(tls: TlsFiles): void;
  /** Takes no more connections; resolves when the last one ended. */
  close(): Promise<void>;
}

type Place =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  | { readonly fd: number };

export async function openDoors(options: DoorOptions): Promise<Doors> {
  const { tls } = options;
  const tlsServer =
    tls === undefined
      ? undefined
      : createTlsServer({
          ...tls,
          // A client without a certificate may have a token.
          requestCert: tls.ca !== undefined,
          rejectUnauthorized: false,
          handshakeTimeout: TLS_HANDSHAKE_MILLIS,
        }).on('secureConnection', options.serve);
  // The socket is destroyed already; without a listener nothing else happens either.
  tlsServer?.on('tlsClientError', () => {});
  const servers: Server[] = [];
  const urls: string[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  };
  try {
    for (const place of options.addresses.flatMap(placesOf)) {
      // As an HTTP server has it for connections of its own.
      const server = createServer({ allowHalfOpen: true, noDelay: true });
      await listenAt(server, place);
      servers.push(server);
      const bound = server.address();
      const isTcp = typeof bound === 'object' && bound !== null;
      if (isTcp && !options.asksWho && !isLoopback(bound.address)) refuseOpenDoor(hostPort(bound));
      const serve =
        isTcp && tlsServer !== undefined
          ? (socket: Socket): boolean => tlsServer.emit('connection', socket)
          : options.serve;
      server.on('connection', (socket) => {
        if (options.admit(socket, !isTcp)) serve(socket);
      });
      urls.push(urlOf(place, isTcp ? bound : undefined, tls !== undefined));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { urls, renewTls: (renewed) => tlsServer?.setSecureContext(renewed), close };
}

/** A host is shown as it was given: a certificate is for a name. */
function urlOf(place: Place, bound: AddressInfo | undefined, isTls: boolean): string {
  if ('path' in place) return `unix:${place.path}`;
  if (bound === undefined) return `unix:descriptor-${(place as { fd: number }).fd}`;
  const address = 'host' in place ? { ...bound, address: place.host } : bound;
  return `${isTls ? 'https' : 'http'}://${hostPort(address)}`;
}

function hostPort({ address, port }: Pick<AddressInfo, 'address' | 'port'>): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

const FIRST_DESCRIPTOR = 3;

/** `systemd` becomes the sockets that were handed over; all else stays. */
function placesOf(address: ListenAddress): Place[] {
  if (!('systemd' in address)) return [address];
  const { LISTEN_PID: pid, LISTEN_FDS: count } = process.env;
  // A program that we start must not take them for its own.
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete process.env[name];
  if (pid !== String(process.pid) || !/^[1-9]\d?$/.test(count ?? '')) {
    throw new ConfigurationError(
      'listen: systemd handed over no socket (LISTEN_PID, LISTEN_FDS)',
      'start hptd by its socket unit (docs/systemd/), or listen on HOST:PORT',
      { member: 'listen' },
    );
  }
  return Array.from({ length: Number(count) }, (_, i) => ({ fd: FIRST_DESCRIPTOR + i }));
}

/** What nobody but the owner may reach. */
const OWNER_ONLY_UMASK = 0o177;

async function listenAt(server: Server, place: Place): Promise<void> {
  try {
    if ('path' in place) {
      if (place.path === userSocket()) makeSocketFolder(dirname(place.path));
      await unlinkStale(place.path);
    }
    await listening(server, place);
  } catch (error) {
    throw explained(error as NodeJS.ErrnoException, place);
  }
}

/** The file is made within `listen`, so it never exists with another mode. */
async function listening(
  server: Server,
  place: ListenOptions | { readonly fd: number },
): Promise<void> {
  const mask = process.umask(OWNER_ONLY_UMASK);
  try {
    server.listen(place);
  } finally {
    process.umask(mask);
  }
  await once(server, 'listening');
}

/** Somebody else may have made one of this name, to stand between the daemon and its clients. */
function makeSocketFolder(path: string): void {
  makeFolder(path);
  const found = lstatSync(path);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return;
  throw new ConfigurationError(
    `socket: ${path} is not a directory of yours alone`,
    'choose another place with --socket PATH, or --socket none',
    { member: 'socket' },
  );
}

function explained(error: NodeJS.ErrnoException, place: Place): Error {
  const what = WHAT_TO_DO[error.code ?? ''];
  if (what === undefined) return error;
  const at =
    'path' in place
      ? `unix:${place.path}`
      : 'fd' in place
        ? `descriptor ${place.fd}`
        : `${place.host}:${place.port}`;
  return Object.assign(new Error(`cannot listen on ${at}: ${what}`, { cause: error }), {
    code: error.code,
  });
}

const WHAT_TO_DO: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'another program listens there, perhaps another hptd; stop it, or choose another place with --listen',
  EACCES:
    'permission denied; choose a port above 1023, or a directory that you may write to, with --listen',
  EADDRNOTAVAIL: 'this machine has no such address; 127.0.0.1 is always there',
  ENOENT: 'there is no such directory',
  ENOTFOUND: 'the name of the host is not known',
};

/** A socket file at which nobody answers was left by a daemon that crashed. */
async function unlinkStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isSocket()) return;
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') await unlink(path);
  } finally {
    socket.destroy();
  }
}
