/** What stream.ts and the two subprotocols agree on. */
import type { WebSocket } from 'ws';
import { SOCKET_HIGH_WATER_BYTES } from '../../schemas/limits.ts';
import type { Hello } from '../../schemas/stream.ts';
import type { Guest, GuestStream, Role } from '../guests/types.ts';
import { VERSION } from '../operations/version.ts';

export interface Peer {
  readonly socket: WebSocket;
  answersPings: boolean;
  /** False: who opened it may not have it any more. */
  readonly mayStay: () => boolean;
}

/** A subprotocol's side of a socket. Nothing of it may throw: that would end the process. */
export interface PeerStream {
  readonly hello: Hello;
  onMessage(data: Buffer, isBinary: boolean): void;
  /** The socket has handed everything to the kernel. */
  onDrain(): void;
  onClose(): void;
}

/** What every hello says. */
export function opening(guest: Guest, role: Role, stream: GuestStream) {
  return {
    type: 'hello',
    version: VERSION,
    guest: guest.name,
    role,
    processor: stream.processor,
    order: guest.status().order,
    createdAt: guest.createdAt.toISOString(),
  } as const;
}

/** A socket takes any amount, and keeps what its peer does not read: so ask before giving it more. */
export function takesMore(socket: WebSocket): boolean {
  return socket.bufferedAmount < SOCKET_HIGH_WATER_BYTES;
}
