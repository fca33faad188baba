/** Random numbers from a seed: what HPTD_SEED fixes. (Which thread is faster it cannot.) */
export interface Random {
  state: number;
}

export function openRandom(seed: number): Random {
  return { state: seed >>> 0 };
}

/** 0 to `limit` - 1. mulberry32. */
export function below(random: Random, limit: number): number {
  random.state = (random.state + 0x6d2b79f5) >>> 0;
  const { state } = random;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[below(random, from.length)]!;
}

/** True once in `often`. */
export const once = (random: Random, often: number): boolean => below(random, often) === 0;
