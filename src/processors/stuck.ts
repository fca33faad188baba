/**
 * Who waits for a lock for so long that somebody should look, and who holds it. Read from the guests' memories by the
 * main thread, now and then; RACE: plain reads of other threads' words, for people: a report may be out of date.
 */
import type { MemoryMap } from '../rings/engine.ts';

/** Looks in a row at which a processor waits for the same lock, having done nothing else, before it is reported. */
const LOOKS = 3;
const ENTRY_RECORDS = 8;
const ENTRY_RECORD_BYTES = 32;

export interface WatchedGuest {
  readonly name: string;
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  /** By processor: what it was seen waiting for. */
  readonly seen: Map<number, { readonly what: string; looks: number }>;
}

export interface Stuck {
  readonly guest: string;
  readonly processor: number;
  /** The entry whose lock it waits for. */
  readonly ptex: number;
  /** Processors whose journal names that entry. */
  readonly heldBy: readonly number[];
}

/** Processors that have waited for one lock over several looks. Each wait is reported once. */
export function findStuck(guest: WatchedGuest, processors: number): Stuck[] {
  const { memory, map, seen } = guest;
  const stuck: Stuck[] = [];
  for (let processor = 0; processor < processors; processor++) {
    const block = map.PROCESSORS + map.PROCESSOR_BYTES * processor;
    const words = new BigUint64Array(memory.buffer, block, map.JOURNAL / 8);
    const address = Number(words[map.WAITING_FOR / 8]);
    const what = `${address} ${words[map.COUNT_RECORDS / 8]}`;
    const last = seen.get(processor);
    const looks = address !== 0 && last?.what === what ? last.looks + 1 : 1;
    seen.set(processor, { what, looks });
    if (looks !== LOOKS) continue;
    const table = new Uint32Array(memory.buffer, map.TABLE_BASE, 1)[0]!;
    const heldBy = holders(guest, processors, address);
    stuck.push({ guest: guest.name, processor, ptex: (address - table) / 16, heldBy });
  }
  return stuck;
}

function holders({ memory, map }: WatchedGuest, processors: number, address: number): number[] {
  const found: number[] = [];
  for (let processor = 0; processor < processors; processor++) {
    const journal = map.PROCESSORS + map.PROCESSOR_BYTES * processor + map.JOURNAL;
    const words = new Uint32Array(memory.buffer, journal, (ENTRY_RECORDS * ENTRY_RECORD_BYTES) / 4);
    for (let record = 0; record < ENTRY_RECORDS; record++) {
      // The low half of a record's first word is the address, 0 when it is not in use.
      const at = (record * ENTRY_RECORD_BYTES) / 4;
      if (words[at] === address) found.push(processor);
    }
  }
  return found;
}
