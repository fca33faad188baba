/**
 * The main thread's ear: calls whoever owns a stream when answers wait in its completion ring.
 *
 * A wake-up between threads costs ten times what a look costs. So while answers are expected, the main thread looks
 * once per turn of its event loop; it asks to be woken when none are, or when a number of turns brought nothing.
 */
import { ringsOf, takeNews, wantNoWaking, wantWaking, waking } from '../rings/wakeups.ts';
import type { Bell } from '../rings/wakeups.ts';

/** Turns of the event loop, a few microseconds each, for which answers are looked for. */
const IDLE_TURNS = 16;

export interface CompletionListener {
  /** By stream number. True: the stream has more in flight. */
  readonly onNews: ((() => boolean) | undefined)[];
  /** A frame was submitted, so answers will come soon. */
  expect(): void;
  stop(): void;
}

export function listenToBell(bell: Bell): CompletionListener {
  const onNews: ((() => boolean) | undefined)[] = [];
  let turnsLeft = 0;
  let lookComes = false;
  let hasWaking = false;
  let stopped = false;

  function visit(stream: number): void {
    if (onNews[stream]?.() === true) turnsLeft = IDLE_TURNS;
  }

  function look(): void {
    lookComes = false;
    if (stopped) return;
    const seen = ringsOf(bell);
    // What was expected has come, or it takes one turn more; `visit` and `expect` say if there is more to expect.
    const turns = turnsLeft;
    turnsLeft = 0;
    if (!takeNews(bell, visit)) turnsLeft = Math.max(turnsLeft, turns - 1);
    if (turnsLeft > 0 || !restUntilRing(seen)) lookSoon();
  }

  function restUntilRing(seen: number): boolean {
    if (!hasWaking) void awaitWaking(seen);
    return wantWaking(bell, seen);
  }

  async function awaitWaking(seen: number): Promise<void> {
    hasWaking = true;
    await waking(bell, seen);
    hasWaking = false;
    look();
  }

  function lookSoon(): void {
    if (lookComes) return;
    lookComes = true;
    wantNoWaking(bell);
    setImmediate(look);
  }

  restUntilRing(ringsOf(bell));
  return {
    onNews,
    expect() {
      turnsLeft = IDLE_TURNS;
      lookSoon();
    },
    stop() {
      stopped = true;
    },
  };
}
