/** Random numbers that come again: the seed is printed, and taken from HPTD_SEED. */
import type { TestContext } from 'node:test';

export interface Random {
  /** 0 to `limit` - 1. */
  below(limit: number): number;
}

export function seededRandom(context: TestContext): Random {
  const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 32));
  context.diagnostic(`HPTD_SEED=${seed}`);
  return randomFrom(seed);
}

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  // mulberry32
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
    },
  };
}
