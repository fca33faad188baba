/**
 * Makes V8 look for dead memory outside its heap when V8 would not, or would at a bad time. Any thread, for itself.
 *
 * A deleted guest's memory is freed when no thread's heap has an object on it, dead objects included, and a thread with
 * little to allocate may not look for dead objects for hours. So each thread that had the guest looks once.
 *
 * A stream's frames are buffers outside the heap, dead as soon as they are copied or sent. V8 holds them against the
 * limit of a heap that is small, and marks all of it after each 10 MB of them, which cost half of the daemon's time. All of them
 * are young, so a look at the young objects, which is short, finds them first. (V8's flag
 * external-memory-accounted-in-global-limit is no way out: after a guest was created or deleted that limit stays so low
 * that V8 marks without end.)
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'minor' }) => void;

/** Bytes of frames between looks: well below what makes V8 mark. */
const FRAME_BYTES_DEAD_MAX = 4 * 1024 * 1024;

let collect: Collect | undefined;
let frameBytesDead = 0;

function collector(): Collect {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as Collect;
  }
  return collect;
}

/** Some milliseconds of this thread: a guest's deletion is rare enough. */
export function releaseDeadMemory(): void {
  collector()();
}

/** A frame of so many bytes was taken or made, and will be dead soon. */
export function noteFrame(bytes: number): void {
  frameBytesDead += bytes;
  if (frameBytesDead < FRAME_BYTES_DEAD_MAX) return;
  frameBytesDead = 0;
  collector()({ type: 'minor' });
}
