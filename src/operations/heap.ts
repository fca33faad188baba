/**
 * How V8 counts what streams leave behind. Called once, before the daemon serves.
 *
 * Every frame is a buffer outside V8's heap, dead as soon as it is sent. V8 holds such buffers against the limit of
 * a heap that is small and hardly grows, so it would mark the whole heap after each 10 MB of frames, which cost half
 * of the daemon's time under load. With this flag the buffers have a limit of their own that follows their number.
 */
import { setFlagsFromString } from 'node:v8';

export function countBuffersApart(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
