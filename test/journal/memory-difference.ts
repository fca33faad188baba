/** In what two memories of guests differ, of all that a guest or its host can learn. */
import type { Engine } from '../../src/rings/engine.ts';

interface Guest {
  readonly memory: WebAssembly.Memory;
  readonly map: Engine['map'];
}

/** The first difference, named; undefined: none. */
export function differenceOf(
  { memory, map }: Guest,
  other: WebAssembly.Memory,
): string | undefined {
  const word = (at: number): number => new Uint32Array(memory.buffer, at, 1)[0]!;
  const tables = { from: word(map.TABLE_BASE), bytes: 2 << word(map.TABLE_ORDER) };
  const parts: [name: string, from: number, bytes: number][] = [
    ['table and mode', map.TABLE_BASE, 16],
    ['memory slots', map.MEMSLOTS, map.MEMSLOT_BYTES * map.MEMSLOTS_MAX],
    ['number of slots', map.MEMSLOT_COUNT, 4],
    ['what is kept about slots', map.SLOT_DATA, word(map.SLOT_DATA_USED) - map.SLOT_DATA],
  ];
  if (word(map.MODE) !== 0) parts.push(['table', tables.from, tables.bytes]);
  for (const [name, from, bytes] of parts) {
    if (Buffer.from(memory.buffer, from, bytes).equals(Buffer.from(other.buffer, from, bytes)))
      continue;
    const mine = new BigUint64Array(memory.buffer, from, bytes >> 3);
    const theirs = new BigUint64Array(other.buffer, from, bytes >> 3);
    for (let i = 0; i < mine.length; i++) {
      if (mine[i] === theirs[i]) continue;
      return `${name}: at ${(from + 8 * i).toString(16)} there is ${mine[i]!.toString(16)}, and ${theirs[i]!.toString(16)} after the restart`;
    }
  }
  return undefined;
}
