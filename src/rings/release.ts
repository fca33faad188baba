/**
 * Gives the memory of deleted guests back to the machine. Any thread, for itself.
 *
 * A guest's memory is freed when no thread's heap has an object on it, dead objects included, and a thread with
 * little to allocate may not look for dead objects for hours. So each thread that had the guest looks once.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/** Some milliseconds of this thread: a guest's deletion is rare enough. */
export function releaseDeadMemory(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
