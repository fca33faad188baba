/** H_PAGE_INIT and what reads and writes the guest's memory; H_CLEAR_HPT, which empties the table piece by piece. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { STATUSES } from '../../schemas/statuses.ts';
import { MIB, finishPreparing, openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { checkTable } from './invariants.ts';
import { BOLTED, COPY, ONE_TERABYTE, RW, V, ZERO, enterAt } from './pages.ts';

const M = BigInt(MIB);

describe('H_PAGE_INIT', () => {
  const init = (guest: TestGuest, ...args: bigint[]) => guest.explain('H_PAGE_INIT', args);
  const words = (guest: TestGuest, gpa: bigint, count = 1n) =>
    guest.call('MEMORY_READ', [gpa, count]).out;
  const filled = () => {
    const guest = openTestGuest({ memory: 'backed' });
    for (const gpa of [0x1000n, 0x1ff8n, 0x2000n, 0xff8n]) guest.call('MEMORY_WRITE', [gpa, gpa]);
    return guest;
  };

  test('zeroes 4096 bytes, and no more', () => {
    const guest = filled();
    const answer = init(guest, ZERO, 0x1000n, 1n);
    assert.deepEqual(
      [answer.status, answer.out, ...ruleOf(answer)],
      [0, [], 'PAGE_INIT_DONE', 0x1000n, 4096n],
    );
    assert.deepEqual(
      [0xff8n, 0x1000n, 0x1ff8n, 0x2000n].map((gpa) => words(guest, gpa)[0]),
      [0xff8n, 0n, 0n, 0x2000n],
    );
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 64n]).out, [1n, 1n]);
  });

  test('copies, and copying wins over zeroing', () => {
    const guest = filled();
    assert.equal(init(guest, ZERO | COPY, 0x2_5000n, 0x1000n).status, 0);
    assert.deepEqual(
      [0x2_5000n, 0x2_5ff8n, 0x2_6000n].map((gpa) => words(guest, gpa)[0]),
      [0x1000n, 0x1ff8n, 0n],
    );
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 64n]).out, [1n, 4n]);
  });

  test('neither flag: only the alignment of the destination is looked at', () => {
    const guest = filled();
    assert.deepEqual(ruleOf(init(guest, 0xf00000000n | (1n << 23n) | (1n << 22n), 1n << 50n, 1n)), [
      'PAGE_INIT_DONE',
      1n << 50n,
      0n,
    ]);
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 64n]).out, [0n, 0n]);
  });

  const REFUSED: readonly (readonly [args: bigint[], rule: string, detail: bigint])[] = [
    [[ZERO | 2n | (1n << 36n), 1n, 1n], 'PAGE_INIT_FLAGS', 2n | (1n << 36n)],
    [[ZERO, 0x1800n, 0n], 'PAGE_INIT_DESTINATION', 0x1800n],
    [[0n, 1n, 0n], 'PAGE_INIT_DESTINATION', 1n],
    [[COPY, 0x1000n, 0x801n], 'PAGE_INIT_SOURCE', 0x801n],
    [[ZERO, 64n * M, 0n], 'PAGE_INIT_NOT_RAM', 64n * M],
    [[COPY, 0x1000n, 64n * M], 'PAGE_INIT_NOT_RAM', 64n * M],
  ];
  for (const [args, ...why] of REFUSED) {
    test(`refused: ${why.join(' ')}`, () => {
      const guest = filled();
      const answer = init(guest, ...args);
      assert.deepEqual([answer.status, ...ruleOf(answer)], [STATUSES.H_PARAMETER, ...why]);
      assert.deepEqual(words(guest, 0x1000n), [0x1000n]);
      assert.deepEqual(guest.call('HOST_DIRTY', [0n, 64n]).out, [0n, 0n]);
    });
  }

  test('a radix guest has it too; where no memory is kept only the dirt shows', () => {
    const guest = openTestGuest({ order: 0 });
    assert.equal(init(guest, ZERO, 0x1_0000n, 0n).status, 0);
    assert.deepEqual(guest.call('HOST_DIRTY', [0n, 64n]).out, [1n, 2n]);
  });
});

describe('MEMORY_READ and MEMORY_WRITE', () => {
  test('whole words inside one slot that is kept', () => {
    const guest = openTestGuest({
      memory: 'backed',
      memslots: [
        { base: 0n, bytes: MIB, kind: 'ram' },
        { base: M, bytes: MIB, kind: 'ram' },
        { base: 4n * M, bytes: MIB, kind: 'ci' },
      ],
    });
    assert.deepEqual(guest.call('MEMORY_WRITE', [M - 16n, 1n, 2n]), {
      status: 0,
      out: [],
      why: [],
    });
    assert.deepEqual(guest.call('MEMORY_READ', [M - 16n, 2n]).out, [1n, 2n]);
    assert.deepEqual(guest.call('MEMORY_READ', [M, 1n]).out, [0n]);
    const refused: readonly (readonly [name: string, args: bigint[], ...why: unknown[]])[] = [
      ['MEMORY_READ', [4n, 1n], 'CONTROL_ARGUMENT', 0n, 4n],
      ['MEMORY_READ', [0n, 4097n], 'CONTROL_ARGUMENT', 1n, 4097n],
      ['MEMORY_READ', [M - 8n, 2n], 'NO_MEMORY', M - 8n],
      ['MEMORY_WRITE', [M - 8n, 2n, 3n], 'NO_MEMORY', M - 8n],
      ['MEMORY_READ', [4n * M, 1n], 'NO_MEMORY', 4n * M],
      ['MEMORY_WRITE', [3n * M, 1n], 'NO_MEMORY', 3n * M],
    ];
    for (const [name, args, ...why] of refused) {
      const answer = guest.explain(name, args);
      assert.deepEqual([answer.status, ...ruleOf(answer)], [STATUSES.H_PARAMETER, ...why]);
    }
    assert.deepEqual(guest.call('MEMORY_READ', [M - 8n, 1n]).out, [2n]);
  });
});

describe('H_CLEAR_HPT', () => {
  const VRMA = 0x4001_ffff_ff00_0000n;
  const clear = (guest: TestGuest) => guest.explain('H_CLEAR_HPT', []);

  test('everything but the virtual real mode area goes, bolted or absent too', () => {
    const guest = openTestGuest();
    enterAt(guest, 0n, VRMA | BOLTED | V, RW);
    enterAt(guest, 1n, VRMA | 0x80n | V, RW);
    enterAt(guest, 2n, ONE_TERABYTE | 0xfff000000n | V, RW);
    enterAt(guest, 3n, BOLTED | V, RW);
    enterAt(guest, 16383n, V, 1n << 40n);
    const answer = clear(guest);
    assert.deepEqual([answer.status, answer.out, ...ruleOf(answer)], [0, [], 'CLEAR_HPT', 0n, 3n]);
    assert.deepEqual(
      [0, 1, 2, 3, 16383].map((ptex) => guest.entry(ptex)[0]! & V),
      [V, V, 0n, 0n, 0n],
    );
    assert.deepEqual([...checkTable(guest)], [[0n, [0, 1]]]);
    assert.equal(guest.counter('COUNT_TLBIE'), 2n);
  });

  test('a table of order 21 takes two calls', () => {
    const guest = openTestGuest({ order: 21 });
    const ptexes = [0n, 65535n, 65536n, 131071n];
    for (let turn = 0; turn < 2; turn++) {
      for (const ptex of ptexes) enterAt(guest, ptex, V, RW);
      const first = clear(guest);
      assert.deepEqual(
        [first.status, ...ruleOf(first)],
        [STATUSES.H_CONTINUE, 'CLEAR_HPT', 65536n, 2n],
      );
      const second = clear(guest);
      assert.deepEqual([second.status, ...ruleOf(second)], [0, 'CLEAR_HPT', 0n, 2n]);
      assert.deepEqual(
        ptexes.map((ptex) => guest.entry(ptex)[0]),
        [0n, 0n, 0n, 0n],
      );
    }
  });

  test('it starts over in a new table, wherever it stopped in the old one', () => {
    const guest = openTestGuest({ order: 21, ramBytes: 2 ** 28 });
    const renew: readonly (() => void)[] = [
      () => guest.call('HPT_RESET', [21n]),
      () => guest.call('HPT_RESIZE', [21n]),
      () => {
        guest.call('H_RESIZE_HPT_PREPARE', [0n, 20n]);
        finishPreparing(guest);
        assert.equal(guest.call('H_RESIZE_HPT_COMMIT', [0n, 20n]).status, 0);
      },
    ];
    for (const another of renew) {
      assert.equal(clear(guest).status, STATUSES.H_CONTINUE);
      another();
      enterAt(guest, 3n, V, RW);
      clear(guest);
      assert.equal(guest.entry(3)[0], 0n);
      while (clear(guest).status === STATUSES.H_CONTINUE);
    }
  });

  test('a radix guest has no table to clear', () => {
    const answer = clear(openTestGuest({ order: 0 }));
    assert.deepEqual([answer.status, ...ruleOf(answer)], [STATUSES.H_FUNCTION, 'NO_TABLE']);
  });
});
