/**
 * The main thread's ear: calls whoever owns a stream when answers wait in its completion ring.
 *
 * A wake-up between threads costs ten times what a look costs. So while frames come in, the main thread looks
 * once per turn of its event loop; only when a few turns brought nothing does it ask to be woken.
 */
import { ringAfter, ringsOf, takeNews } from '../rings/wakeups.ts';
import type { Bell } from '../rings/wakeups.ts';

/** Turns of the event loop without news before the main thread waits to be woken. */
const IDLE_TURNS = 4;

export interface CompletionListener {
  /** By stream number. */
  readonly onNews: ((() => void) | undefined)[];
  /** A frame was submitted, so answers will come soon. */
  expect(): void;
  stop(): void;
}

export function listenToBell(bell: Bell): CompletionListener {
  const onNews: ((() => void) | undefined)[] = [];
  let idleTurns = 0;
  let looking = false;
  let waiting = false;
  let stopped = false;

  const visit = (stream: number): void => onNews[stream]?.();

  function look(): void {
    looking = false;
    if (stopped) return;
    const seen = ringsOf(bell);
    idleTurns = takeNews(bell, visit) ? 0 : idleTurns + 1;
    if (idleTurns < IDLE_TURNS) lookSoon();
    else if (!waiting) void wait(seen);
  }

  function lookSoon(): void {
    if (looking) return;
    looking = true;
    setImmediate(look);
  }

  async function wait(seen: number): Promise<void> {
    waiting = true;
    await ringAfter(bell, seen);
    waiting = false;
    idleTurns = 0;
    look();
  }

  void wait(ringsOf(bell));
  return {
    onNews,
    expect() {
      idleTurns = 0;
      lookSoon();
    },
    stop() {
      stopped = true;
    },
  };
}
