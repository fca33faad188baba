/**
 * R and C that the hardware sets until the very invalidation are not lost, neither for the guest nor for the host (KVM
 * HV lost C in H_REMOVE until 2014, both in H_PROTECT until 2015).
 *
 * The engine's test build calls back at each step of an operation. Here the table walk sets a bit at one of them, with
 * the translation still alive, and after the operation the bit must be known to both sides.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openYieldEngine } from '../failure/mortal.ts';
import { openTestGuest } from './harness.ts';
import { BOLTED, C, R, RW, V, enterAt } from './pages.ts';

const PTEX = 8n;
const REQUEST = 1n << 62n;

interface Case {
  readonly name: string;
  readonly args: readonly bigint[];
  /** Where the answer shows a bit that the guest will not find in the entry any more. */
  readonly inAnswer?: (out: readonly bigint[], bit: bigint) => boolean;
  /** The host has it from the answer. */
  readonly hostHas?: bigint;
}

const CASES: readonly Case[] = [
  { name: 'H_REMOVE', args: [0n, PTEX, 0n], inAnswer: (out, bit) => (out[1]! & bit) !== 0n },
  {
    name: 'H_BULK_REMOVE',
    args: [REQUEST | PTEX, 0n],
    inAnswer: (out, bit) => (out[0]! & (bit << 51n)) !== 0n,
  },
  {
    name: 'H_BLOCK_REMOVE',
    args: [0n, REQUEST | PTEX],
    inAnswer: (out, bit) => (out[0]! & (bit << 50n)) !== 0n,
  },
  { name: 'H_PROTECT', args: [6n, PTEX, 0n] },
  {
    name: 'H_CLEAR_REF',
    args: [0n, PTEX],
    inAnswer: (out, bit) => bit === R && (out[0]! & R) !== 0n,
  },
  {
    name: 'H_CLEAR_MOD',
    args: [0n, PTEX],
    inAnswer: (out, bit) => bit === C && (out[0]! & C) !== 0n,
  },
  { name: 'HOST_UNMAP', args: [0n] },
  { name: 'HOST_AGE', args: [0n], hostHas: R },
  { name: 'HOST_DIRTY', args: [0n, 1n], hostHas: C },
  { name: 'HOST_PAGE_FAULT', args: [PTEX, 1n] },
  { name: 'HPT_RESIZE', args: [18n] },
];

const guest = openTestGuest();
/** The step at which the table walk comes, and what it sets. */
const visit = { at: 0, bit: 0n, steps: 0, tlbies: 0n, done: false };
const calls = openYieldEngine(guest.memory, {
  yieldPoint: () => {
    // What is invalidated, or gone, the hardware does not touch any more.
    const alive = on.counter('COUNT_TLBIE') === visit.tlbies && guest.entry(PTEX)[0] !== 0n;
    if (visit.steps++ !== visit.at || !alive) return;
    guest.entry(PTEX)[1]! |= visit.bit;
    visit.done = true;
  },
  attemptFails: () => 0,
});
const on = guest.processor(1, true, calls);

/** One operation on a new table; the bit is set at step `at`. False: the operation had no such step. */
function perform({ name, args, inAnswer, hostHas }: Case, bit: bigint, at: number): boolean {
  guest.call('HPT_RESET', [18n]);
  guest.call('HOST_SET_PTE', [0n, 3n]);
  guest.call('HOST_DIRTY', [0n, 1n]);
  // A resize keeps bolted entries only, H_BLOCK_REMOVE takes only others.
  enterAt(guest, PTEX, V | (name === 'HPT_RESIZE' ? BOLTED : 0n), RW);
  // The other bit is there already, so that operations on it have something to do.
  guest.entry(PTEX)[1]! |= bit === R ? C : R;
  Object.assign(visit, { at, bit, steps: 0, tlbies: on.counter('COUNT_TLBIE'), done: false });
  const { out } = on.call(name, args);
  if (visit.done) {
    const what = `${name}, ${bit === R ? 'R' : 'C'} at step ${at}`;
    const answered = hostHas === bit && out[0] === 1n;
    assert.ok(guestHas(bit) || inAnswer?.(out, bit) === true, `${what}: lost for the guest`);
    assert.ok(answered || hostFinds(bit), `${what}: lost for the host`);
    met++;
  }
  return visit.steps > at;
}

let met = 0;

/** In the entry, wherever that is now. */
function guestHas(bit: bigint): boolean {
  for (const ptex of [PTEX, PTEX % 8n]) {
    const [v = 0n, r = 0n] = guest.call('H_READ', [0n, ptex]).out;
    if ((v & V) !== 0n && (r & bit) !== 0n) return true;
  }
  return false;
}

function hostFinds(bit: bigint): boolean {
  return (
    guest.call(bit === R ? 'HOST_AGE' : 'HOST_DIRTY', bit === R ? [0n] : [0n, 1n]).out[0] === 1n
  );
}

for (const one of CASES) {
  for (const bit of [R, C]) {
    test(`${one.name}: ${bit === R ? 'R' : 'C'} at any step before the invalidation`, () => {
      met = 0;
      for (let at = 0; perform(one, bit, at); at++);
      assert.ok(met > 0, 'the bit was never set');
    });
  }
}
