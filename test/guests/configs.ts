/** Guests for tests. */
import { guestConfig } from '../../schemas/guests.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { z } from 'zod';

const MEBIBYTE = 2 ** 20;

export function config(changes: Partial<z.input<typeof guestConfig>> = {}): GuestConfig {
  return guestConfig.parse({ order: 18, ramBytes: 256 * MEBIBYTE, ...changes });
}

/** H_READ of entry 0: an answer of two words whatever the table holds. */
export function reads(count: number, firstTag = 0, explain = false): RequestRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    opcode: 0x0c,
    tag: firstTag + i,
    words: [0n, 0n],
    explain,
  }));
}

export function enter(tag: number, ptex: bigint): RequestRecord {
  const H_EXACT = 1n << 39n;
  return { opcode: 0x08, tag, words: [H_EXACT, ptex, 0x4000_0000_0000_1001n, 0x0190n] };
}
