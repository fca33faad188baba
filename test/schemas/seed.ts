/** The seed of a fast-check property: printed, and taken from HPTD_SEED. */
import type { TestContext } from 'node:test';

export function seedOf(context: TestContext): { seed: number } {
  const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 31));
  context.diagnostic(`HPTD_SEED=${seed}`);
  return { seed };
}
