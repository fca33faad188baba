/** Numbers that look random and are the same in every run: xorshift, as the yardstick has it. */
export interface Random {
  state: number;
}

export function openRandom(seed: number): Random {
  return { state: (2463534242 + Math.imul(seed, 7919)) | 1 };
}

/** Any 32-bit number but 0, unsigned. */
export function next(random: Random): number {
  let x = random.state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  random.state = x;
  return x >>> 0;
}

/** A whole number from 0 up to but not `limit`. The high bits decide: xorshift's low bits follow each other. */
export function below(random: Random, limit: number): number {
  return Math.floor((Math.imul(next(random), 0x9e3779b1) >>> 0) * 2 ** -32 * limit);
}
