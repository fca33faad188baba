/**
 * The table as a stream: records byte by byte, passes that follow changes and lose none, and the way back into a
 * table.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HTAB_READERS_MAX } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import {
  ALL_ONES,
  BOLTED,
  C,
  HVLOCK,
  ONE_TERABYTE,
  R,
  RW,
  V,
  enterAt,
  swapBytes,
} from './pages.ts';

interface Row {
  index: number;
  valid: (readonly [v: bigint, r: bigint])[];
  invalid: number;
}

/** One read; the records in it. */
function read(guest: TestGuest, reader: bigint, bytes: bigint): Row[] {
  const { status, out } = guest.call('HTAB_READ', [reader, bytes]);
  assert.equal(status, 0);
  const rows: Row[] = [];
  for (let at = 1; at < out.length; ) {
    const header = out[at++]!;
    const count = Number((header >> 32n) & 0xffffn);
    const words = out.slice(at, at + 2 * count).map(swapBytes);
    const valid = Array.from(
      { length: count },
      (_, i) => [words[2 * i]!, words[2 * i + 1]!] as const,
    );
    rows.push({ index: Number(header & 0xffff_ffffn), valid, invalid: Number(header >> 48n) });
    at += 2 * count;
  }
  assert.equal(out[0], BigInt((out.length - 1) * 8));
  return rows;
}

const open = (guest: TestGuest, start = 0n, flags = 0n) =>
  guest.call('HTAB_OPEN', [start, flags]).out[0]!;
/** The first pass, read away. */
function opened(guest: TestGuest): bigint {
  const reader = open(guest);
  read(guest, reader, 65536n);
  return reader;
}

describe('reading', () => {
  test('the first pass: runs of entries with the empty slots behind them; dword 0 with HVLOCK, as KVM HV', () => {
    const guest = openTestGuest();
    enterAt(guest, 1n, 0x5000n | V, RW);
    enterAt(guest, 2n, 0x6000n | BOLTED | V, RW | C);
    enterAt(guest, 9n, 0x7000n | V, 1n << 40n);
    guest.call('SET_RC', [1n, R, 0n]);
    assert.deepEqual(read(guest, open(guest), 65536n), [
      { index: 0, valid: [], invalid: 1 },
      {
        index: 1,
        valid: [
          [0x5000n | V | HVLOCK, RW | R],
          [0x6000n | BOLTED | V | HVLOCK, RW | C],
        ],
        invalid: 6,
      },
      { index: 9, valid: [[0x7000n | V | HVLOCK, 1n << 40n]], invalid: 16384 - 10 },
    ]);
  });

  test('a record counts 65535 at most', () => {
    const guest = openTestGuest({ order: 21 });
    assert.deepEqual(read(guest, open(guest), 65536n), [
      { index: 0, valid: [], invalid: 65535 },
      { index: 65535, valid: [], invalid: 65535 },
      { index: 131070, valid: [], invalid: 2 },
    ]);
  });

  test('bolted only: the others count as empty', () => {
    const guest = openTestGuest();
    enterAt(guest, 1n, V, RW);
    enterAt(guest, 2n, BOLTED | V, RW);
    assert.deepEqual(read(guest, open(guest, 0n, 1n), 65536n), [
      { index: 0, valid: [], invalid: 2 },
      { index: 2, valid: [[BOLTED | V | HVLOCK, RW]], invalid: 16381 },
    ]);
  });

  test('24 bytes are too few for a record, 25 are enough', () => {
    const guest = openTestGuest();
    enterAt(guest, 0n, V, RW);
    const reader = open(guest);
    assert.deepEqual(read(guest, reader, 24n), []);
    assert.deepEqual(read(guest, reader, 25n), [
      { index: 0, valid: [[V | HVLOCK, RW]], invalid: 16383 },
    ]);
  });

  test('later passes give what changed, nothing when nothing did', () => {
    const guest = openTestGuest();
    for (const ptex of [1n, 2n, 3n]) enterAt(guest, ptex, V, RW);
    const reader = opened(guest);
    assert.deepEqual(read(guest, reader, 65536n), []);
    guest.call('H_REMOVE', [0n, 1n, 0n]);
    guest.call('H_PROTECT', [2n, 2n, 0n]);
    guest.call('SET_RC', [3n, R, 0n]);
    enterAt(guest, 9n, V, RW);
    assert.deepEqual(read(guest, reader, 65536n), [
      { index: 1, valid: [], invalid: 1 },
      {
        index: 2,
        valid: [
          [V | HVLOCK, RW],
          [V | HVLOCK, RW | R],
        ],
        invalid: 0,
      },
      { index: 9, valid: [[V | HVLOCK, RW]], invalid: 0 },
    ]);
    assert.deepEqual(read(guest, reader, 65536n), []);
  });

  test('every kind of change is met by a later pass', () => {
    const guest = openTestGuest();
    enterAt(guest, 8n, V, RW | R | C);
    const reader = opened(guest);
    const changes: readonly (readonly [string, bigint[]])[] = [
      ['H_CLEAR_REF', [0n, 8n]],
      ['H_CLEAR_MOD', [0n, 8n]],
      ['SET_RC', [8n, R, 0n]],
      ['SET_RC', [8n, C, 0n]],
      ['H_PROTECT', [1n, 8n, 0n]],
      ['H_BULK_REMOVE', [(1n << 62n) | 8n, 0n]],
      ['H_ENTER', [1n << 39n, 8n, V, RW]],
      ['H_BLOCK_REMOVE', [0n, (1n << 62n) | 8n]],
      ['H_ENTER', [1n << 39n, 8n, V, RW]],
      ['H_CLEAR_HPT', []],
    ];
    for (const [name, args] of changes) {
      guest.call(name, args);
      assert.deepEqual(
        read(guest, reader, 65536n).map(({ index }) => index),
        [8],
        `${name} ${args.join()}`,
      );
    }
    enterAt(guest, 8n, V, RW);
    for (const [name, bits] of [
      ['HOST_AGE', R],
      ['HOST_DIRTY', C],
      ['HOST_UNMAP', R | C],
    ] as const) {
      guest.call('HTAB_CLOSE', [reader]);
      guest.call('H_REMOVE', [0n, 8n, 0n]);
      enterAt(guest, 8n, V, RW);
      const again = opened(guest);
      read(guest, again, 65536n);
      guest.call('SET_RC', [8n, bits, 0n]);
      guest.call(name, [0n, 1n].slice(0, name === 'HOST_DIRTY' ? 2 : 1));
      assert.deepEqual(
        read(guest, again, 65536n),
        [{ index: 8, valid: [[V | HVLOCK, RW | bits]], invalid: 0 }],
        name,
      );
      guest.call('HTAB_CLOSE', [again]);
    }
  });

  test('a buffer that is full loses no change, in whatever pieces it is read', () => {
    for (const bytes of [25n, 40n, 41n, 56n, 57n]) {
      const guest = openTestGuest();
      const reader = opened(guest);
      const changed = [3n, 4n, 5n, 6n, 100n, 101n, 300n];
      for (const ptex of changed) enterAt(guest, ptex, (ptex << 12n) | V, RW);
      guest.call('H_REMOVE', [0n, 5n, 0n]);
      const met = new Map<number, boolean>();
      for (let turn = 0; turn < 20; turn++) {
        for (const { index, valid, invalid } of read(guest, reader, bytes)) {
          valid.forEach(([v], i) => {
            met.set(index + i, true);
            assert.equal(v, (BigInt(index + i) << 12n) | V | HVLOCK);
          });
          for (let i = 0; i < invalid; i++) met.set(index + valid.length + i, false);
        }
      }
      assert.deepEqual(
        [...met].sort(([a], [b]) => a - b),
        changed.map((ptex) => [Number(ptex), ptex !== 5n]),
        `${bytes} bytes`,
      );
    }
  });

  test('a start beyond the table is taken: the first pass ends at once', () => {
    const guest = openTestGuest();
    enterAt(guest, 1n, V, RW);
    for (const start of [16384n, ALL_ONES]) {
      const reader = open(guest, start);
      assert.deepEqual(read(guest, reader, 65536n), []);
      guest.call('H_PROTECT', [1n, 1n, 0n]);
      assert.deepEqual(
        read(guest, reader, 65536n).map(({ index }) => index),
        [1],
      );
      guest.call('HTAB_CLOSE', [reader]);
    }
  });

  test('a reader that stops gives nothing behind the end of a pass until a read of 0 bytes', () => {
    const guest = openTestGuest();
    for (const ptex of [1n, 700n]) enterAt(guest, ptex, V, RW);
    const reader = open(guest, 0n, 2n);
    const pass = () => {
      const rows: Row[] = [];
      for (let more = read(guest, reader, 41n); more.length > 0; more = read(guest, reader, 41n))
        rows.push(...more);
      return rows.map(({ index }) => index);
    };
    assert.deepEqual(pass(), [0, 1, 700]);
    guest.call('H_PROTECT', [1n, 700n, 0n]);
    assert.deepEqual(pass(), [], 'a change waits for the next pass');
    assert.deepEqual(read(guest, reader, 0n), []);
    assert.deepEqual(pass(), [700]);
    assert.deepEqual(pass(), []);
    assert.deepEqual(read(guest, reader, 0n), []);
    assert.deepEqual(pass(), []);
  });

  test('readers are numbered, bounded, and closed once; unknown flags are refused', () => {
    const guest = openTestGuest();
    const numbers = Array.from({ length: HTAB_READERS_MAX }, () => open(guest));
    assert.deepEqual(
      numbers,
      numbers.map((_, i) => BigInt(i)),
    );
    assert.equal(guest.call('HTAB_OPEN', [0n, 0n]).status, STATUSES.H_RESOURCE);
    assert.equal(guest.word32(guest.exports.MOD_INTEREST!), HTAB_READERS_MAX);
    for (const number of numbers) assert.deepEqual(guest.call('HTAB_CLOSE', [number]).out, [0n]);
    assert.equal(guest.word32(guest.exports.MOD_INTEREST!), 0);
    for (const [name, args] of [
      ['HTAB_CLOSE', [0n]],
      ['HTAB_READ', [0n, 99n]],
      ['HTAB_READ', [ALL_ONES, 99n]],
    ] as const) {
      const answer = guest.explain(name, args);
      assert.deepEqual(
        [answer.status, ...ruleOf(answer)],
        [STATUSES.H_PARAMETER, 'CONTROL_ARGUMENT', 0n, args[0]],
      );
    }
    assert.equal(guest.call('HTAB_OPEN', [0n, 4n]).status, STATUSES.H_PARAMETER);
  });
});

describe('writing', () => {
  const header = (index: bigint, valid: bigint, invalid: bigint) =>
    index | (valid << 32n) | (invalid << 48n);
  const write = (guest: TestGuest, bytes: bigint, ...words: bigint[]) =>
    guest.explain('HTAB_WRITE', [bytes, ...words]);

  test('a stream that is read loads as the same table, many records in one piece', () => {
    const [from, to] = [openTestGuest(), openTestGuest({ isa300: true })];
    for (let ptex = 0n; ptex < 3000n; ptex += 7n)
      enterAt(from, ptex, ONE_TERABYTE | (ptex << 12n) | V, (ptex << 12n) | RW | R);
    enterAt(to, 5n, V, RW);
    const reader = open(from);
    const same = () =>
      assert.deepEqual(
        ...([from, to].map((on) => on.call('TABLE_HASH', [0n, 65536n, 0n, 0n]).out) as [
          bigint[],
          bigint[],
        ]),
      );
    for (let turn = 0; turn < 2; turn++) {
      for (;;) {
        const [bytes = 0n, ...words] = from.call('HTAB_READ', [reader, 4000n]).out;
        if (bytes === 0n) break;
        assert.deepEqual(to.call('HTAB_WRITE', [bytes, ...words]), {
          status: 0,
          out: [bytes],
          why: [],
        });
      }
      same();
      checkTable(to);
      for (let ptex = 0n; ptex < 3000n; ptex += 21n) from.call('H_REMOVE', [0n, ptex, 0n]);
      enterAt(from, BigInt(turn) + 2n, V, RW);
    }
  });

  test('a record that is not all there is left for the next call', () => {
    const guest = openTestGuest();
    const record = [header(0n, 1n, 0n), swapBytes(V), swapBytes(RW)];
    assert.deepEqual(write(guest, 47n, ...record, ...record).out, [24n]);
    assert.deepEqual(write(guest, 7n, ...record).out, [0n]);
    assert.deepEqual(write(guest, 8n, header(0n, 0n, 1n)).out, [8n]);
    assert.equal(guest.entry(0)[0], 0n);
    assert.equal(write(guest, 25n, ...record).status, STATUSES.H_PARAMETER, 'more bytes than came');
  });

  test('a bad record: how far it came, and where', () => {
    const guest = openTestGuest();
    const good = [header(0n, 1n, 0n), swapBytes(V), swapBytes(RW)];
    const BAD: readonly (readonly [status: number, ptex: bigint, ...words: bigint[]])[] = [
      [STATUSES.H_PARAMETER, 5n, header(5n, 1n, 0n), swapBytes(BOLTED), swapBytes(RW)],
      [STATUSES.H_PARAMETER, 5n, header(5n, 1n, 0n), swapBytes(V | 4n), swapBytes(0xff000n)],
      [STATUSES.H_PARAMETER, 16384n, header(16384n, 0n, 0n)],
      [STATUSES.H_PARAMETER, 16380n, header(16380n, 0n, 5n)],
      [STATUSES.H_HARDWARE, 5n, header(5n, 1n, 0n), swapBytes((2n << 62n) | V), swapBytes(RW)],
    ];
    for (const [status, ptex, ...words] of BAD) {
      const answer = write(guest, BigInt((good.length + words.length) * 8), ...good, ...words);
      assert.deepEqual([answer.status, answer.out], [status, [24n]]);
      assert.deepEqual(ruleOf(answer), ['HTAB_RECORD', 24n, ptex]);
    }
    assert.equal(guest.entry(0)[0], V);
  });
});
