/** What V8 is told about memory: by the daemon before it serves, and by a replay before its clock runs. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Every frame is a buffer outside V8's heap, dead as soon as it is sent. V8 holds such buffers against the limit of
 * a heap that is small and hardly grows, so it would mark the whole heap after each 10 MB of frames, which cost half
 * of the daemon's time under load. With this flag the buffers have a limit of their own that follows their number.
 */
export function countBuffersApart(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}

/** Looks for dead objects now, because it will be done anyway, and later is worse. Takes some milliseconds. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
}
