/**
 * A reader of the table stream while the table changes under it: at each step of a read another processor makes a
 * change, and whoever follows the stream must end with the table as it is.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openYieldEngine } from '../failure/mortal.ts';
import { openTestGuest } from './harness.ts';
import { HVLOCK, R, RW, V, enterAt, swapBytes } from './pages.ts';

const PTEX = 8n;

/** What happens to entry 8, which was VALID and changed before the read began, or to the empty slot behind it. */
const CHANGES: readonly (readonly [name: string, ...args: bigint[]])[] = [
  ['H_REMOVE', 0n, PTEX, 0n],
  ['H_PROTECT', 1n, PTEX, 0n],
  ['SET_RC', PTEX, R, 0n],
  ['H_ENTER', 1n << 39n, PTEX + 1n, V, RW],
];

const guest = openTestGuest();
const visit = { at: 0, steps: 0, done: false, change: CHANGES[0]! };
const reader = guest.processor(
  1,
  true,
  openYieldEngine(guest.memory, {
    yieldPoint: () => {
      // A step at which one of the entries is locked: the change would wait for ever.
      const locked = [PTEX, PTEX + 1n].some((ptex) => (guest.entry(ptex)[0]! & HVLOCK) !== 0n);
      if (visit.steps++ < visit.at || visit.done || locked) return;
      visit.done = true;
      const [name, ...args] = visit.change;
      assert.equal(guest.call(name, args).status, 0);
    },
    attemptFails: () => 0,
  }),
);

/** Reads to the end of a pass, into what the reader knows of the table. */
function follow(number: bigint, known: Map<bigint, readonly [bigint, bigint]>): void {
  const { out } = reader.call('HTAB_READ', [number, 65536n]);
  for (let at = 1; at < out.length; ) {
    const header = out[at++]!;
    let ptex = header & 0xffff_ffffn;
    for (let left = (header >> 32n) & 0xffffn; left > 0n; left--) {
      known.set(ptex++, [swapBytes(out[at]!) & ~HVLOCK, swapBytes(out[at + 1]!)]);
      at += 2;
    }
    for (let left = header >> 48n; left > 0n; left--) known.delete(ptex++);
  }
}

/** False: a read had no such step any more. */
function perform(at: number): boolean {
  guest.call('HPT_RESET', [18n]);
  Object.assign(visit, { at: Number.MAX_SAFE_INTEGER, done: false });
  enterAt(guest, PTEX, V, RW);
  const number = guest.call('HTAB_OPEN', [0n, 0n]).out[0]!;
  const known = new Map<bigint, readonly [bigint, bigint]>();
  follow(number, known);
  guest.call('H_PROTECT', [3n, PTEX, 0n]);
  Object.assign(visit, { at, steps: 0 });
  follow(number, known);
  const reached = visit.done;
  for (let pass = 0; pass < 2; pass++) follow(number, known);
  for (const ptex of [PTEX, PTEX + 1n]) {
    const [v = 0n, r = 0n] = guest.call('H_READ', [0n, ptex]).out;
    const expected = (v & V) === 0n ? undefined : [v, r];
    assert.deepEqual(known.get(ptex), expected, `${visit.change[0]} at step ${at}: entry ${ptex}`);
  }
  guest.call('HTAB_CLOSE', [number]);
  return reached;
}

for (const change of CHANGES) {
  test(`${change[0]} at any step of a read is not lost`, () => {
    visit.change = change;
    let at = 0;
    while (perform(at)) at++;
    assert.ok(at > 3, `a read has only ${at} steps`);
  });
}
