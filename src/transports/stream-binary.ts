/**
 * The subprotocol hptd.v1 on one socket: frames into the guest's ring, answers back. The hot path of the daemon: a
 * frame is copied once, never looked into.
 *
 * Except for one that comes alone, as from a guest's processor that waits for each answer: it may be executed right here, so
 * that no thread has to be woken. It comes alone if the stream is at rest and no other frame comes with it: a socket's
 * read gives all the messages it has in one turn, and the next tick is behind the last of them. Main thread.
 */
import type { WebSocket } from 'ws';
import { CREDIT_BYTES, FRAME_BYTES_MAX, FRAME_OVERHEAD_BYTES } from '../../schemas/limits.ts';
import { STREAM_PROTOCOL } from '../../schemas/stream.ts';
import type { Guest, Role, StreamEnd } from '../guests/types.ts';
import { opening, takesMore } from './stream-peer.ts';
import type { PeerStream } from './stream-peer.ts';

export function openBinaryStream(
  guest: Guest,
  role: Role,
  socket: WebSocket,
  onEnd: (end: StreamEnd) => void,
): PeerStream {
  const stream = guest.openStream(role, {
    onAnswers(bytes) {
      socket.send(bytes);
      return takesMore(socket);
    },
    onEnd,
  });
  /** Came alone so far. */
  let alone: Buffer | undefined;

  function submit(frame: Buffer): void {
    if (stream.submit(frame) !== 'over-credit') return;
    socket.close(4413, `more than ${CREDIT_BYTES} bytes unanswered`);
    stream.close();
  }

  function submitAlone(): void {
    const frame = alone;
    alone = undefined;
    if (frame !== undefined) submit(frame);
  }

  function executeAlone(): void {
    if (alone !== undefined && stream.execute(alone)) alone = undefined;
    else submitAlone();
  }

  return {
    hello: {
      ...opening(guest, role, stream),
      protocol: STREAM_PROTOCOL,
      limits: {
        frameBytes: FRAME_BYTES_MAX,
        creditBytes: CREDIT_BYTES,
        frameOverheadBytes: FRAME_OVERHEAD_BYTES,
      },
    },
    onMessage(frame, isBinary) {
      if (isBinary && alone === undefined && stream.mayExecute(frame)) {
        alone = frame;
        process.nextTick(executeAlone);
        return;
      }
      submitAlone();
      if (isBinary) submit(frame);
      else stream.refuse(`a text message; the frames of ${STREAM_PROTOCOL} are binary`);
    },
    onDrain: () => stream.resume(),
    onClose() {
      submitAlone();
      stream.close();
    },
  };
}
