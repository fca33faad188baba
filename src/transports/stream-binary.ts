/**
 * The subprotocol hptd.v1 on one socket: frames into the guest's ring, answers back. The hot path of the daemon: a
 * frame is copied once, never looked into. Main thread.
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
      if (!isBinary)
        return stream.refuse(`a text message; the frames of ${STREAM_PROTOCOL} are binary`);
      if (stream.submit(frame) !== 'over-credit') return;
      socket.close(4413, `more than ${CREDIT_BYTES} bytes unanswered`);
      stream.close();
    },
    onDrain: () => stream.resume(),
    onClose: () => stream.close(),
  };
}
