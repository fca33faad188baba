/**
 * The engine notes every piece that it changes: random sequences of everything that can be asked of a guest's table, and
 * between two epochs nothing differs but what carries the epoch's note. A snapshot copies nothing else.
 *
 * The seed is printed; HPTD_SEED gives it back, HPTD_RUNS asks for more sequences.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { STATUSES } from '../../schemas/statuses.ts';
import { PIECE_BYTES } from '../../src/state/image-format.ts';
import { changedPieces, layoutOf, nextEpoch, rangesOf } from '../../src/state/pieces.ts';
import type { Range } from '../../src/state/pieces.ts';
import { openPair, perform } from '../engine/compare.ts';
import { finishPreparing, openTestGuest } from '../engine/harness.ts';
import type { TestGuest } from '../engine/harness.ts';
import { configs, sequences } from '../engine/sequences.ts';
import { ADDRESSES } from '../engine/worlds.ts';
import { noteEverything } from './images.ts';

const STEPS_MAX = 160;
const EPOCH_STEPS = 8;
const ZEROES = Buffer.alloc(PIECE_BYTES);

interface Shadow {
  readonly layout: string;
  readonly epoch: number;
  readonly ranges: readonly Range[];
  readonly pieces: ReadonlyMap<number, Buffer>;
}

function takeShadow(guest: TestGuest): Shadow {
  const { memory } = guest;
  const { map } = guest.engine;
  const epoch = nextEpoch(memory, map);
  const ranges = rangesOf(memory, map);
  const pieces = new Map(
    looked(guest, ranges).map((address) => [
      address,
      Buffer.from(new Uint8Array(memory.buffer, address, PIECE_BYTES)),
    ]),
  );
  return { layout: layoutOf(memory, map), epoch, ranges, pieces };
}

/** All pieces, but of guest memory that is kept only those that sequences name: to read the rest would take memory. */
function looked(guest: TestGuest, ranges: readonly Range[]): number[] {
  const kept = keptMemory(guest);
  const named = new Set(
    kept.flatMap(({ base, from, end }) =>
      ADDRESSES.map((gpa) => from + Number(gpa - base)).filter((at) => at >= from && at < end),
    ),
  );
  const isLooked = (at: number): boolean =>
    !kept.some(({ from, end }) => at >= from && at < end) ||
    named.has(at) ||
    named.has(at - PIECE_BYTES);
  const pieces: number[] = [];
  for (const { from, end } of ranges)
    for (let at = from; at < end; at += PIECE_BYTES) if (isLooked(at)) pieces.push(at);
  return pieces;
}

function keptMemory(guest: TestGuest) {
  const { exports } = guest;
  return Array.from({ length: exports.MEMSLOTS_MAX! }, (_, i) => {
    const slot = exports.MEMSLOTS! + exports.MEMSLOT_BYTES! * i;
    const [base, bytes] = guest.words(slot + exports.SLOT_BASE!, 2);
    const from = guest.word32(slot + exports.SLOT_MEMORY!);
    return { base: base!, from, end: from === 0 ? 0 : from + Number(bytes) };
  });
}

/** Pieces that changed without a note. Where the ranges are others, all that was ever noted is copied anew. */
function unnoted(guest: TestGuest, shadow: Shadow): string[] {
  const { memory } = guest;
  const { map } = guest.engine;
  if (layoutOf(memory, map) !== shadow.layout) return neverNoted(guest);
  const noted = new Set(
    shadow.ranges.flatMap((range) => [...changedPieces(memory, map, range, shadow.epoch)]),
  );
  return [...shadow.pieces]
    .filter(([address]) => !noted.has(address))
    .filter(
      ([address, bytes]) => !bytes.equals(new Uint8Array(memory.buffer, address, PIECE_BYTES)),
    )
    .map(([address]) => `0x${address.toString(16)}`);
}

/** Pieces that were never noted, and are not zero. */
function neverNoted(guest: TestGuest): string[] {
  const { memory } = guest;
  const { map } = guest.engine;
  const ranges = rangesOf(memory, map);
  const noted = new Set(ranges.flatMap((range) => [...changedPieces(memory, map, range)]));
  return looked(guest, ranges)
    .filter((address) => !noted.has(address))
    .filter((address) => !ZEROES.equals(new Uint8Array(memory.buffer, address, PIECE_BYTES)))
    .map((address) => `0x${address.toString(16)}, never noted`);
}

const ZERO_PAGE = 1n << 15n;
const COPY_PAGE = 1n << 14n;

/** What random sequences seldom do so that it shows. Each changes something that was noted in an epoch before only. */
const BY_HAND: readonly (readonly [
  name: string,
  calls: readonly (readonly [string, bigint[]])[],
])[] = [
  ['H_PAGE_INIT, zeroes', [['H_PAGE_INIT', [ZERO_PAGE, 0x10000n, 0n]]]],
  ['H_PAGE_INIT, a copy', [['H_PAGE_INIT', [COPY_PAGE, 0x20000n, 0x10000n]]]],
  ['H_ENTER with H_ZERO_PAGE', [['H_ENTER', [ZERO_PAGE, 0x800n, 0x5001n, 0x10190n]]]],
  [
    'a resize to and fro',
    [19n, 18n].flatMap((order) => [
      ['H_RESIZE_HPT_PREPARE', [0n, order]],
      ['H_RESIZE_HPT_COMMIT', [0n, order]],
    ]),
  ],
  ['HPT_RESET', [['HPT_RESET', [18n]]]],
];

for (const [name, calls] of BY_HAND) {
  test(`${name} is noted`, () => {
    const guest = openTestGuest({ memory: 'backed' });
    noteEverything(guest.memory, guest.engine.map);
    for (const gpa of [0x10000n, 0x10800n])
      guest.call('MEMORY_WRITE', [gpa, ...Array(64).fill(7n)]);
    for (let i = 0n; i < 8n; i++)
      guest.call('H_ENTER', [0n, i * 0x100n, ((i + 1n) << 12n) | 1n, (i << 16n) | 0x190n]);
    // Of no memory, so that nobody locks it when a table is left.
    guest.call('H_ENTER', [0n, 0x2000n, 0x9001n, 0x7000_0000_0190n]);
    const shadow = takeShadow(guest);
    for (const [call, args] of calls) {
      const { status } = guest.call(call, args);
      finishPreparing(guest);
      assert.ok(
        status === STATUSES.H_SUCCESS || status === STATUSES.H_LONG_BUSY_ORDER_100_MSEC,
        `${call}: ${status}`,
      );
    }
    const changed = [...shadow.pieces].filter(
      ([address, bytes]) =>
        !bytes.equals(new Uint8Array(guest.memory.buffer, address, PIECE_BYTES)),
    );
    assert.ok(changed.length > 0, 'nothing changed, so that nothing is shown');
    assert.equal(layoutOf(guest.memory, guest.engine.map), shadow.layout);
    assert.deepEqual(unnoted(guest, shadow), []);
  });
}

test('what is kept about a memory slot that is added is noted', () => {
  const guest = openTestGuest();
  noteEverything(guest.memory, guest.engine.map);
  const shadow = takeShadow(guest);
  assert.equal(
    guest.call('MEMSLOT_ADD', [1n, 1n << 32n, 1n << 24n, 1n, 16n]).status,
    STATUSES.H_SUCCESS,
  );
  assert.notEqual(layoutOf(guest.memory, guest.engine.map), shadow.layout);
  assert.deepEqual(unnoted(guest, shadow), []);
});

test('whatever changes is noted', { timeout: 10 * 60_000 }, (context) => {
  const seed = Number(process.env['HPTD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const numRuns = Number(process.env['HPTD_RUNS'] ?? 25);
  context.diagnostic(`HPTD_SEED=${seed} HPTD_RUNS=${numRuns}`);
  let changed = 0;
  const property = fc.property(configs, sequences(STEPS_MAX), (config, sequence) => {
    const pair = openPair(config);
    noteEverything(pair.guest.memory, pair.guest.engine.map);
    let shadow = takeShadow(pair.guest);
    for (const [i, step] of sequence.entries()) {
      perform(pair, step);
      if (i % EPOCH_STEPS !== EPOCH_STEPS - 1) continue;
      assert.deepEqual(unnoted(pair.guest, shadow), [], `step ${i}, ${step.name}`);
      changed++;
      shadow = takeShadow(pair.guest);
    }
  });
  fc.assert(property, { seed, numRuns });
  context.diagnostic(`${changed} epochs`);
});
