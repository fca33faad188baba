/**
 * Listening, with errors that say what to do. A Unix socket that a crashed daemon left behind is taken over.
 */
import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { ListenAddress } from './config.ts';

/** The address as clients take it. */
export async function listen(app: FastifyInstance, address: ListenAddress): Promise<string> {
  try {
    if ('path' in address) {
      await unlinkStale(address.path);
      await app.listen({ path: address.path });
      return `unix:${address.path}`;
    }
    await app.listen(address);
  } catch (error) {
    throw explained(error as NodeJS.ErrnoException, address);
  }
  const { port } = app.server.address() as AddressInfo;
  return `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`;
}

function explained(error: NodeJS.ErrnoException, address: ListenAddress): NodeJS.ErrnoException {
  const place = 'path' in address ? `unix:${address.path}` : `${address.host}:${address.port}`;
  const what = WHAT_TO_DO[error.code ?? ''];
  if (what === undefined) return error;
  return Object.assign(new Error(`cannot listen on ${place}: ${what}`, { cause: error }), {
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
