/** How long a request may wait for processors. Main thread only. */
import { REST_WAIT_MILLIS } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';

/** What `answer` becomes; or the problem processor-busy with `detail` when that takes too long. */
export async function inTime<T>(answer: Promise<T>, detail: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(problem('processor-busy', `not done within ${REST_WAIT_MILLIS} ms; ${detail}`));
  }, REST_WAIT_MILLIS);
  try {
    return await Promise.race([answer, promise]);
  } finally {
    clearTimeout(timer);
  }
}
