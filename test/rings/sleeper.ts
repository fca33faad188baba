/** A thread for wakeups.test.ts: answers each piece of news on one bell with the same news on another, until 0. */
import { workerData } from 'node:worker_threads';
import {
  newPatience,
  ringFor,
  ringsOf,
  sleepUntilRing,
  takeNews,
} from '../../src/rings/wakeups.ts';
import type { Bell } from '../../src/rings/wakeups.ts';

const { bell, mainBell } = workerData as { bell: Bell; mainBell: Bell };
const patience = newPatience();
const life = { stopped: false };
while (!life.stopped) {
  const seen = ringsOf(bell);
  takeNews(bell, (stream) => {
    if (stream === 0) life.stopped = true;
    else ringFor(mainBell, stream);
  });
  if (!life.stopped) sleepUntilRing(bell, seen, patience);
}
