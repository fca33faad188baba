/** A thread for wakeups.test.ts: answers each piece of news on one bell with the same news on another, until 0. */
import { workerData } from 'node:worker_threads';
import { ringFor, ringsOf, sleepUntilRing, takeNews } from '../../src/rings/wakeups.ts';
import type { Bell } from '../../src/rings/wakeups.ts';

const { bell, mainBell } = workerData as { bell: Bell; mainBell: Bell };
let stopped = false;
while (!stopped) {
  const seen = ringsOf(bell);
  takeNews(bell, (stream) => {
    if (stream === 0) stopped = true;
    else ringFor(mainBell, stream);
  });
  if (!stopped) sleepUntilRing(bell, seen);
}
