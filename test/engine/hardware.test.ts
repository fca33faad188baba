/**
 * R and C that the hardware sets until the very invalidation are not lost (KVM HV lost them twice, in 2014 and 2015).
 * Another thread plays the table walk, and remembers which invalidation must have found its C.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { AnswerRecord } from '../../schemas/records.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { operationByName } from '../../schemas/operations.ts';
import { openTestGuest } from './harness.ts';
import type { TestGuest } from './harness.ts';
import { C, EXACT, RW, V } from './pages.ts';

export interface Walking {
  readonly memory: WebAssembly.Memory;
  readonly entry: number;
  readonly tlbieCount: number;
  readonly control: SharedArrayBuffer;
}

/** So many times C is to be in time, unless this long is not enough for it. */
const MET_WANTED = 4000;
const MILLIS_MAX = 2000;
const PTEX = 8n;
/** Enough that one C lies in the few nanoseconds that matter, and few enough for a frame. */
const ROUNDS = 200;

type Call = readonly [name: string, ...args: bigint[]];

/** Gives the other thread time to set C between two calls on the entry. */
const PASTIME: Call = ['TABLE_COUNT', 1024n, 512n];

/** Runs `round` over and over beside the walk; gives all answers in order, and the invalidations that must show C. */
async function besideWalk(
  guest: TestGuest,
  round: readonly Call[],
): Promise<[AnswerRecord[], ReadonlySet<number>]> {
  const control = new Int32Array(new SharedArrayBuffer(8));
  const walking: Walking = {
    memory: guest.memory,
    entry: guest.entry(PTEX).byteOffset,
    tlbieCount: guest.exports.PROCESSORS! + guest.exports.COUNT_TLBIE!,
    control: control.buffer,
  };
  const worker = new Worker(new URL('./hardware-walker.ts', import.meta.url), {
    workerData: walking,
  });
  after(() => worker.terminate());
  await once(worker, 'message');
  const calls = round.flatMap((call) => [call, PASTIME]);
  const records = calls.map(([name, ...words]) => ({
    opcode: operationByName(name)!.opcode,
    tag: 0,
    words,
  }));
  const frame = encodeRequests(Array.from({ length: ROUNDS }, () => records).flat());
  const answers: AnswerRecord[] = [];
  const end = performance.now() + MILLIS_MAX;
  while (Atomics.load(control, 1) < MET_WANTED && performance.now() < end) {
    const more = guest.frame(frame);
    assert.ok(Array.isArray(more));
    answers.push(...more.filter((_, i) => i % 2 === 0));
  }
  const finished = once(worker, 'message');
  Atomics.store(control, 0, 1);
  const [inTime] = (await finished) as [number[]];
  return [answers, new Set(inTime)];
}

const enter: Call = ['H_ENTER', EXACT, PTEX, V, RW];

test('H_REMOVE gives back every C that came in time', async (context) => {
  const [answers, inTime] = await besideWalk(openTestGuest(), [enter, ['H_REMOVE', 0n, PTEX, 0n]]);
  const removals = answers.filter((_, i) => i % 2 === 1);
  // Each removal is one invalidation, counted from 1.
  const lost = removals.filter(({ words }, i) => inTime.has(i + 1) && (words[1]! & C) === 0n);
  context.diagnostic(`${inTime.size} of ${removals.length} removals met C`);
  assert.equal(lost.length, 0);
});

test('H_BULK_REMOVE does', async (context) => {
  const request = (1n << 62n) | PTEX;
  const [answers, inTime] = await besideWalk(openTestGuest(), [
    enter,
    ['H_BULK_REMOVE', request, 0n],
  ]);
  const removals = answers.filter((_, i) => i % 2 === 1);
  const lost = removals.filter(
    ({ words }, i) => inTime.has(i + 1) && (words[0]! & (1n << 58n)) === 0n,
  );
  context.diagnostic(`${inTime.size} of ${removals.length} removals met C`);
  assert.equal(lost.length, 0);
});

test('H_PROTECT leaves it in the entry', async (context) => {
  // Invalidations: the protection, then H_CLEAR_MOD, which gives back C and clears it for the next round.
  const guest = openTestGuest();
  guest.call('H_ENTER', enter.slice(1) as bigint[]);
  const round: Call[] = [
    ['H_PROTECT', 6n, PTEX, 0n],
    ['H_CLEAR_MOD', 0n, PTEX],
    ['H_PROTECT', 2n, PTEX, 0n],
    ['H_CLEAR_MOD', 0n, PTEX],
  ];
  const [answers, inTime] = await besideWalk(guest, round);
  let met = 0;
  let lost = 0;
  for (let i = 1; i < answers.length; i += 2) {
    // Invalidation i is the protection's, i + 1 that of the H_CLEAR_MOD behind it.
    if (!inTime.has(i)) continue;
    met++;
    if ((answers[i]!.words[0]! & C) === 0n) lost++;
  }
  context.diagnostic(`${met} of ${answers.length / 2} protections met C`);
  assert.equal(lost, 0);
});
