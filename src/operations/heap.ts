/** What V8 is told about memory by a replay, before its clock runs, and by tests that measure what is held. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Looks for dead objects now, because it will be done anyway, and later is worse. Takes some milliseconds. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
}
