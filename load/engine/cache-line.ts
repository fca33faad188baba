/**
 * What two threads pay for writing the same words in turns: how long a cache line takes from one core to the other. On one
 * machine it may be four times as long a minute later, when the cores that a virtual machine was given lie elsewhere, and
 * whatever threads share is bound by it.
 */

export type Ball = Int32Array<SharedArrayBuffer>;

/** The ball shares its line with nothing. */
const LINE_BYTES = 128;
/** Passes of each player: first some while V8 compiles and the other comes, then those that count. */
const WARM_UP_PASSES = 20_000;
const PASSES = 10_000;
/** Then the other did not come. */
const GAME_MILLIS_MAX = 1000;
const LOOKS_BETWEEN_CLOCKS = 100_000;

export function newBall(): Ball {
  return new Int32Array(new SharedArrayBuffer(LINE_BYTES));
}

/** Player 0 or 1: passes the ball to the other and back. Nanoseconds of one way; undefined: the other did not play. */
export function passBall(ball: Ball, player: number): number | undefined {
  const latest = performance.now() + GAME_MILLIS_MAX;
  if (!pass(ball, player, WARM_UP_PASSES, latest)) return undefined;
  const begun = performance.now();
  if (!pass(ball, player, PASSES, latest)) return undefined;
  return ((performance.now() - begun) * 1e6) / (2 * PASSES);
}

function pass(ball: Ball, player: number, passes: number, latest: number): boolean {
  let looks = 0;
  for (let passed = 0; passed < passes; ) {
    const at = Atomics.load(ball, 0);
    if ((at & 1) === player) {
      Atomics.store(ball, 0, at + 1);
      passed++;
    } else if (++looks % LOOKS_BETWEEN_CLOCKS === 0 && performance.now() > latest) return false;
  }
  return true;
}
