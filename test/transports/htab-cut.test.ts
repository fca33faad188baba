/**
 * Cutting a table stream into HTAB_WRITE records: nothing is lost or moved, wherever chunks and records end.
 * HPTD_SEED=n repeats a run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DATA_WORDS_MAX, PIECE_ENTRIES_MAX } from '../../schemas/limits.ts';
import { openCutter } from '../../src/transports/htab-cut.ts';
import { seedOf } from '../schemas/seed.ts';
import { chunksOf, entriesOf, recordsOf, type HtabRecord } from './htab-support.ts';

const SLOTS = 2 ** 18;

interface Shape {
  readonly index: number;
  readonly valid: number;
  readonly invalid: number;
}

function bytesOf(shapes: readonly Shape[]): Buffer {
  return Buffer.concat(
    shapes.map(({ index, valid, invalid }) => {
      const record = Buffer.alloc(8 + 16 * valid);
      record.writeUInt32LE(index, 0);
      record.writeUInt16LE(valid, 4);
      record.writeUInt16LE(invalid, 6);
      for (let i = 0; i < valid; i++) {
        record.writeBigUInt64BE(BigInt(index + i), 8 + 16 * i);
        record.writeBigUInt64BE(BigInt(valid), 16 + 16 * i);
      }
      return record;
    }),
  );
}

/** The data of all pieces as one stream again, each held to its limits. */
function cutAll(bytes: Uint8Array, lengths: readonly number[]): HtabRecord[] {
  const cutter = openCutter(SLOTS);
  const records: HtabRecord[] = [];
  const take = (frame: Uint8Array): void => {
    const words = Buffer.from(frame).readUInt16LE(2) & 0xfff;
    assert.equal(frame.length, 8 + 8 * words);
    assert.ok(words - 1 <= DATA_WORDS_MAX);
    assert.equal(Buffer.from(frame).readBigUInt64LE(8), BigInt(frame.length - 16));
    const found = recordsOf(frame.subarray(16));
    const covers = found.reduce((sum, { entries, invalid }) => sum + entries.length + invalid, 0);
    assert.ok(covers <= PIECE_ENTRIES_MAX + 2 * 0xffff);
    records.push(...found);
  };
  for (const chunk of chunksOf(bytes, lengths)) {
    for (const { frame } of cutter.cut(chunk)) take(frame);
  }
  const last = cutter.end();
  if (last !== undefined) take(last.frame);
  assert.equal(cutter.totals.bytes, bytes.length);
  return records;
}

const shape = fc
  .tuple(
    fc.nat(100_000),
    fc.oneof({ arbitrary: fc.nat(20), weight: 4 }, { arbitrary: fc.nat(9000), weight: 1 }),
    fc.oneof(fc.nat(3), fc.nat(0xffff)),
  )
  .map(([index, valid, invalid]) => ({ index, valid, invalid }));
const lengths = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70_000 })),
  { minLength: 1, maxLength: 5 },
);

test('pieces say what the stream says, whatever chunks it comes in', (context) => {
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 40 }), lengths, (shapes, cuts) => {
      const bytes = bytesOf(shapes);
      const records = cutAll(bytes, cuts);
      assert.deepEqual(entriesOf(records), entriesOf(recordsOf(bytes)));
      const covered = (of: readonly HtabRecord[]) =>
        of.flatMap(({ index, entries, invalid }) => [index, index + entries.length + invalid]);
      assert.equal(Math.max(0, ...covered(records)), Math.max(0, ...covered(recordsOf(bytes))));
    }),
    { ...seedOf(context), numRuns: 150 },
  );
});

test('a record beyond the table, and an end inside a record, are told with number and byte', () => {
  const good = bytesOf([
    { index: 3, valid: 2, invalid: 9 },
    { index: 100, valid: 0, invalid: 1 },
  ]);
  const beyond = bytesOf([{ index: SLOTS - 1, valid: 1, invalid: 1 }]);
  assert.throws(() => cutAll(Buffer.concat([good, beyond]), [7]), {
    code: 'htab-invalid',
    detail: `record 2 at byte 48 covers entries ${SLOTS - 1} to ${SLOTS}, and the table has ${SLOTS}`,
  });
  const cut = good.subarray(0, 30);
  assert.throws(() => cutAll(cut, [11]), {
    code: 'htab-invalid',
    detail: 'the stream ends at byte 30, inside record 0, which began at byte 0',
  });
  assert.deepEqual(cutAll(Buffer.alloc(0), [1]), []);
});
