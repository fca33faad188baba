/**
 * The limits of hptd with their reasons, for people. schemas/limits.ts is the table: each constant with its reason in the
 * comment above it. Programs import the constants; for the reasons the file itself is read, so that none is written twice.
 */
import { readFileSync } from 'node:fs';
import * as LIMITS from '../../schemas/limits.ts';

export interface Limit {
  readonly name: string;
  readonly value: string;
  readonly reason: string;
}

const SOURCE = new URL('../../schemas/limits.ts', import.meta.url);

export function limits(): Limit[] {
  const text = readFileSync(SOURCE, 'utf8');
  const reasons = new Map(
    [...text.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport const (\w+)/g)].map(
      ([, comment, name]) => [name!, comment!.replaceAll(/\s*\n\s*\*\s*/g, ' ').trim()],
    ),
  );
  return Object.entries(LIMITS).map(([name, value]) => ({
    name,
    value: typeof value === 'bigint' ? `0x${value.toString(16)}` : value.toLocaleString('en-US'),
    reason: reasons.get(name) ?? '',
  }));
}
