/** The engine's yield points by name, and what a thread that stands at one holds, for reports. */
import type { TestGuest } from '../engine/harness.ts';
import { FINISHED, POINT, THREADS } from './stage.ts';
import type { Stage } from './stage.ts';

/** By number: src/engine/yield-point.ts. */
export const NAMES: readonly string[] = [
  'NOT_BEGUN',
  'AT_LOCK',
  'AT_LOCKED',
  'AT_UNLOCK',
  'AT_UNLOCKED',
  'AT_WAIT',
  'AT_CHAIN_LOCK',
  'AT_CHAIN_LOCKED',
  'AT_CHAIN_LINK',
  'AT_CHAIN_UNLOCK',
  'AT_CHAIN_UNLOCKED',
  'AT_GUEST_VIEW',
  'AT_REAL',
  'AT_TLBIE',
  'AT_SLOT',
  'AT_DIRTY',
  'AT_HOST',
  'AT_GATE',
  'AT_TABLE',
  'AT_ANSWER',
  'AT_FRAME',
  'AT_READER',
  'AT_READ',
];

/** As src/engine/journal.ts lays them out, from JOURNAL on. */
const RECORDS = 8;
const RECORD_WORDS = 4;
const CHAIN_WORD = 32;
const HVLOCK = 0x40n;
const CHAIN_LOCK = 1n << 43n;

/** A line for each thread: where it stood when the schedule was given up, and which locks its journal names. */
export function describeStanding(stage: Stage, guest: TestGuest): string {
  const lines: string[] = [];
  for (let thread = 0; thread < stage.words[THREADS]!; thread++) {
    const point = stage.words[POINT + thread]!;
    const where = point === FINISHED ? 'finished' : NAMES[point]!;
    const held = locksOf(guest, thread);
    lines.push(`thread ${thread}: ${where}${held.length === 0 ? '' : `, has ${held.join(', ')}`}`);
  }
  return lines.join('\n');
}

function locksOf(guest: TestGuest, thread: number): string[] {
  const { PROCESSORS, PROCESSOR_BYTES, JOURNAL, TABLE_BASE, MEMSLOTS, SLOT_RMAP } = guest.exports;
  const journal = guest.words(PROCESSORS! + PROCESSOR_BYTES! * (thread + 1) + JOURNAL!, 40);
  const locks: string[] = [];
  for (let i = 0; i < RECORDS; i++) {
    const entry = Number(journal[i * RECORD_WORDS]! & 0xffff_ffffn);
    if (entry === 0 || (guest.words(entry, 1)[0]! & HVLOCK) === 0n) continue;
    locks.push(`entry 0x${((entry - guest.word32(TABLE_BASE!)) / 16).toString(16)}`);
  }
  const rmap = Number(journal[CHAIN_WORD]! & 0xffff_ffffn);
  const free = journal[CHAIN_WORD]! >> 32n === 0n;
  if (!free && rmap !== 0 && (guest.words(rmap, 1)[0]! & CHAIN_LOCK) !== 0n)
    locks.push(`or wants the chain of frame ${(rmap - guest.word32(MEMSLOTS! + SLOT_RMAP!)) / 8}`);
  return locks;
}
