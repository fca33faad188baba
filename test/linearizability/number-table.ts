/**
 * A table from numbers below 2^53 to numbers, in flat memory: what the checker remembers of the model's answers is
 * millions of pairs, too many to be objects that the garbage collector looks at.
 */
export interface NumberTable {
  count: number;
  keys: Float64Array;
  values: Int32Array;
}

/** In `values`: no such key. */
export const MISSING = -1;

const FIRST_SIZE = 2 ** 12;

export function openNumberTable(size = FIRST_SIZE): NumberTable {
  return { count: 0, keys: new Float64Array(size), values: new Int32Array(size).fill(MISSING) };
}

export function find({ keys, values }: NumberTable, key: number): number {
  return values[placeOf(keys, values, key)]!;
}

/** Of a key that is not in it yet. */
export function put(table: NumberTable, key: number, value: number): void {
  if (table.count * 2 >= table.keys.length) grow(table);
  const place = placeOf(table.keys, table.values, key);
  table.keys[place] = key;
  table.values[place] = value;
  table.count++;
}

/** Where the key is, or would go. The size is a power of two. */
function placeOf(keys: Float64Array, values: Int32Array, key: number): number {
  const mask = keys.length - 1;
  let hash = Math.imul(key | 0, 0x9e3779b1) ^ Math.imul((key / 2 ** 32) | 0, 0x85ebca6b);
  hash ^= hash >>> 15;
  let place = hash & mask;
  while (values[place] !== MISSING && keys[place] !== key) place = (place + 1) & mask;
  return place;
}

function grow(table: NumberTable): void {
  const { keys, values } = table;
  const larger = openNumberTable(keys.length * 2);
  for (let i = 0; i < keys.length; i++) {
    if (values[i] !== MISSING) put(larger, keys[i]!, values[i]!);
  }
  Object.assign(table, larger);
}
