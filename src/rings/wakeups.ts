/**
 * How a side that may sleep learns that there is work: a bell, in a small shared memory of its own.
 *
 * Each processor has one (the main thread rings it) and the main thread has one (all processors ring it). A bell is
 *
 *     word 0     RINGS     counts rings; the sleeper waits for it to change
 *     word 16    ASLEEP    1 while the sleeper waits, or is about to
 *     word 32    MAIL      counts control messages posted (a processor's bell only)
 *     word 48    STALLED   streams that wait for room in their completion ring (a processor's bell only)
 *     word 64…   WHERE     one bit for each word of NEWS: a bit of it may be set
 *     word 80…   NEWS      one bit a stream: something waits in its ring
 *
 * RACE: none is lost. The ringer stores the news, then where it is, then counts a ring, then looks at ASLEEP; the sleeper
 * notes RINGS, then takes where there is news, and then the news, then sets ASLEEP and sleeps only if RINGS is still what
 * it noted. All of it is sequentially consistent, so either the ringer sees a sleeper to wake, or the sleeper sees the
 * ring and does not sleep.
 * A thread that does not sleep costs its ringer no system call.
 */
import { GUESTS_MAX, STREAMS_PER_GUEST_MAX } from '../../schemas/limits.ts';

const RINGS = 0;
const ASLEEP = 16;
const MAIL = 32;
const STALLED = 48;
const WHERE = 64;
const NEWS = 80;
const NEWS_WORDS = (GUESTS_MAX * STREAMS_PER_GUEST_MAX) / 32;
const WHERE_WORDS = NEWS_WORDS / 32;

/**
 * How often a sleeper looks at its bell before it sleeps. To sleep and be woken costs 50 to 100 microseconds, so it pays
 * to look for longer (a look takes some 0.07) while rings come that fast, as they do when a peer asks one thing
 * at a time; when they do not, it is a waste, and harm to whoever shares the core. So patience is won slowly
 * and lost fast.
 */
const LOOKS_MAX = 3000;
const LOOKS_MIN = 50;
const LOOKS_WON = 100;
/** A ring within this time of falling asleep would have been worth looking for. */
const SOON_MILLIS = 0.3;
/** Who has looked for longer than all looks take was not alone on the core. */
const ALONE_MILLIS = 0.5;

export type Bell = Int32Array<SharedArrayBuffer>;

/** A stream's number in the whole daemon: its bit in every bell. */
export function streamNumber(guest: number, slot: number): number {
  return guest * STREAMS_PER_GUEST_MAX + slot;
}

export function newBell(): Bell {
  return new Int32Array(new SharedArrayBuffer(4 * (NEWS + NEWS_WORDS)));
}

export function ringsOf(bell: Bell): number {
  return Atomics.load(bell, RINGS);
}

/** Wakes the sleeper if it sleeps. Any thread. */
export function ring(bell: Bell): void {
  Atomics.add(bell, RINGS, 1);
  if (Atomics.load(bell, ASLEEP) === 1 && Atomics.exchange(bell, ASLEEP, 0) === 1)
    Atomics.notify(bell, RINGS, 1);
}

/** Something waits in this stream's ring. */
export function ringFor(bell: Bell, stream: number): void {
  const word = stream >> 5;
  Atomics.or(bell, NEWS + word, 1 << (stream & 31));
  Atomics.or(bell, WHERE + (word >> 5), 1 << (word & 31));
  ring(bell);
}

/** Takes all news: calls `visit` with each stream's number. False: there was none. */
export function takeNews(bell: Bell, visit: (stream: number) => void): boolean {
  let any = false;
  for (let i = 0; i < WHERE_WORDS; i++) {
    if (Atomics.load(bell, WHERE + i) === 0) continue;
    for (let where = Atomics.exchange(bell, WHERE + i, 0); where !== 0; where &= where - 1) {
      const word = (i << 5) + lowestBit(where);
      // None is left if the news was taken together with some that came before it.
      for (let news = Atomics.exchange(bell, NEWS + word, 0); news !== 0; news &= news - 1) {
        any = true;
        visit((word << 5) + lowestBit(news));
      }
    }
  }
  return any;
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** How long a sleeper looks before it sleeps: its own, and adapted to how soon rings come. */
export interface Patience {
  looks: number;
}

export function newPatience(): Patience {
  return { looks: LOOKS_MAX };
}

/** Sleeps until a ring after `seen`. Processors only: the main thread must never block. */
export function sleepUntilRing(bell: Bell, seen: number, patience: Patience): void {
  const begun = performance.now();
  for (let looks = 0; looks < patience.looks; looks++) {
    if (Atomics.load(bell, RINGS) !== seen) return;
    Atomics.pause();
  }
  const slept = performance.now();
  Atomics.store(bell, ASLEEP, 1);
  Atomics.wait(bell, RINGS, seen);
  Atomics.store(bell, ASLEEP, 0);
  const worthIt = slept - begun < ALONE_MILLIS && performance.now() - slept < SOON_MILLIS;
  patience.looks = worthIt
    ? Math.min(LOOKS_MAX, patience.looks + LOOKS_WON)
    : Math.max(LOOKS_MIN, patience.looks >> 1);
}

/** Asks to be woken by the next ring after `seen`. False: it came already, look again. Main thread only. */
export function wantWaking(bell: Bell, seen: number): boolean {
  Atomics.store(bell, ASLEEP, 1);
  if (Atomics.load(bell, RINGS) === seen) return true;
  Atomics.store(bell, ASLEEP, 0);
  return false;
}

/** The main thread looks by itself from now on. */
export function wantNoWaking(bell: Bell): void {
  Atomics.store(bell, ASLEEP, 0);
}

/**
 * Resolves when the main thread is woken, or at once if the bell rang after `seen`. One at a time; it stays good
 * while waking is not wanted. It does not keep the event loop alive: the processors' threads do.
 */
export async function waking(bell: Bell, seen: number): Promise<void> {
  const wait = Atomics.waitAsync(bell, RINGS, seen);
  if (wait.async) await wait.value;
}

/** Makes a dead sleeper's bell good for its successor, who looks at everything first. Main thread only. */
export function resetBell(bell: Bell): void {
  Atomics.store(bell, ASLEEP, 0);
  Atomics.store(bell, STALLED, 0);
}

export function mailOf(bell: Bell): number {
  return Atomics.load(bell, MAIL);
}

/** Says that a control message was posted. Main thread only. */
export function ringForMail(bell: Bell): void {
  Atomics.add(bell, MAIL, 1);
  ring(bell);
}

/** A stream of this processor waits for room (1), or does so no longer (-1). */
export function countStalled(bell: Bell, change: 1 | -1): void {
  Atomics.add(bell, STALLED, change);
}

/** Rings if a stream of the processor may have waited for the room that was just made. Main thread only. */
export function ringForRoom(bell: Bell): void {
  if (Atomics.load(bell, STALLED) !== 0) ring(bell);
}
