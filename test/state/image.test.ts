/**
 * The image of a guest as a file: it gives back what went in, and whatever else is done to it is noticed: cut off at any
 * place, a bit turned over, parts that are missing or in another order. The seed is printed; HPTD_SEED gives it back.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { DamagedImageError, ForeignImageError } from '../../src/state/image-format.ts';
import { readImage } from '../../src/state/image-reader.ts';
import { openTestGuest } from '../engine/harness.ts';
import { directoryFor, FACTS, HEADER, noteEverything, writeImage } from './images.ts';
import { randomFrom } from '../rings/random.ts';

const HEAD = 16;
const PREFIX = 24;
const CHUNK = 0x4b_4e_48_43;

const guest = openTestGuest();
let whole: Buffer;
let path: string;

before((context) => {
  noteEverything(guest.memory, guest.engine.map);
  for (let i = 0n; i < 40n; i++)
    guest.call('H_ENTER', [0n, i * 40n, ((0x100n + i) << 12n) | 1n, (i << 16n) | 0x190n]);
  path = join(directoryFor(context as never), 'image');
  writeImage(guest, path);
  whole = readFileSync(path);
});

/** What reading these bytes ends with; what is there, unless they are given. */
function outcome(bytes?: Uint8Array): unknown {
  if (bytes !== undefined) writeFileSync(path, bytes);
  try {
    readImage(path, guest.engine.map.MEMORY_MAP_VERSION);
    return 'read';
  } catch (error) {
    return error instanceof DamagedImageError ? 'damaged' : error;
  }
}

/** Where each chunk begins, and where the end does. */
function parts(): number[] {
  const starts = [PREFIX + whole.readUInt32LE(16)];
  while (whole.readUInt32LE(starts.at(-1)) === CHUNK)
    starts.push(starts.at(-1)! + HEAD + whole.readUInt32LE(starts.at(-1)! + 8));
  return starts;
}

test('an image gives back what it was made of', () => {
  const memory = new Map<number, Buffer>();
  writeFileSync(path, whole);
  const found = readImage(path, guest.engine.map.MEMORY_MAP_VERSION, (address, bytes) =>
    memory.set(address, Buffer.from(bytes)),
  );
  assert.deepEqual(found.header, HEADER);
  assert.deepEqual(found.facts, FACTS);
  assert.equal(found.bytes, whole.length);
  assert.equal(found.chunks, memory.size);
  assert.ok(memory.size > 3);
  for (const [address, bytes] of memory)
    assert.ok(bytes.equals(new Uint8Array(guest.memory.buffer, address, bytes.length)));
});

test('cut off at any place, it is damaged', (context) => {
  const starts = parts();
  const lengths = new Set<number>();
  for (let at = 0; at < starts[0]! + 2 * HEAD; at++) lengths.add(at);
  for (const start of starts)
    for (const near of [-1, 0, 1, 4, 8, 12, 15, 16, 17]) lengths.add(start + near);
  for (let at = starts.at(-1)!; at < whole.length; at++) lengths.add(at);
  const kinds = [...lengths].filter((length) => outcome(whole.subarray(0, length)) !== 'damaged');
  assert.deepEqual(kinds, []);
  context.diagnostic(`${lengths.size} lengths of ${whole.length}`);
});

test('with any bit turned over, it is damaged', (context) => {
  const seed = Number(process.env['HPTD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const starts = parts();
  const bits: number[] = [];
  const all = (from: number, to: number): void => {
    for (let bit = from * 8; bit < to * 8; bit++) bits.push(bit);
  };
  all(0, starts[0]! + HEAD);
  for (const start of starts.slice(1, 4)) all(start, start + HEAD);
  all(starts.at(-1)!, whole.length);
  const random = randomFrom(seed);
  for (let i = 0; i < 1500; i++) bits.push(random.below(whole.length * 8));
  writeFileSync(path, whole);
  const file = openSync(path, 'r+');
  const missed = bits.filter((bit) => {
    const byte = whole[bit >> 3]!;
    writeSync(file, Buffer.of(byte ^ (1 << (bit & 7))), 0, 1, bit >> 3);
    const found = outcome();
    writeSync(file, Buffer.of(byte), 0, 1, bit >> 3);
    return found !== 'damaged';
  });
  closeSync(file);
  assert.equal(outcome(), 'read');
  assert.deepEqual(missed, [], `HPTD_SEED=${seed}`);
  context.diagnostic(`HPTD_SEED=${seed}: ${bits.length} bits`);
});

test('parts that are missing, doubled, in another order or too many are noticed', () => {
  const starts = parts();
  const chunk = (i: number): Buffer => whole.subarray(starts[i], starts[i + 1]);
  const front = whole.subarray(0, starts[0]);
  const rest = whole.subarray(starts[2]);
  assert.equal(outcome(Buffer.concat([front, chunk(0), chunk(1), rest])), 'read');
  assert.equal(outcome(Buffer.concat([front, chunk(0), rest])), 'damaged');
  assert.equal(outcome(Buffer.concat([front, chunk(0), chunk(0), rest])), 'damaged');
  assert.equal(outcome(Buffer.concat([front, chunk(1), chunk(0), rest])), 'damaged');
  assert.equal(outcome(Buffer.concat([whole, Buffer.alloc(1)])), 'damaged');
  assert.equal(outcome(Buffer.concat([whole, whole])), 'damaged');
});

test('an image of another format or memory map is whole, and refused as what it is', () => {
  for (const [at, name] of [
    [8, /format 9/],
    [12, /memory map 9/],
  ] as const) {
    const other = Buffer.from(whole);
    other.writeUInt32LE(9, at);
    const header = other.subarray(PREFIX, parts()[0]);
    other.writeUInt32LE(crc32(header, crc32(other.subarray(0, 20))), 20);
    const found = outcome(other);
    assert.ok(found instanceof ForeignImageError);
    assert.match(found.message, name);
  }
});
