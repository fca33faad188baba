/** Programs drawn at random: two processors of the guest, one of its host, all on few slots of one group and two frames. */
import {
  age,
  bulk,
  enter,
  exact,
  fault,
  present,
  protect,
  read,
  remove,
  setRc,
  unmap,
} from './programs.ts';
import type { Call, Program } from './programs.ts';
import { numbersFrom } from './random.ts';

const SLOTS = [0n, 1n, 7n];
const CALLS = 3;

type Draw = (slot: bigint, frame: bigint, other: bigint) => Call;

const GUEST: readonly Draw[] = [
  (slot) => enter(slot),
  (slot, frame) => exact(slot, frame),
  (slot) => remove(slot),
  (slot) => remove(slot),
  (slot) => protect(slot),
  (slot) => read(slot),
  (slot) => setRc(slot),
  (slot, _, other) => bulk(slot, other),
];
/** One thread is the host: it is the only writer of host page states. */
const HOST: readonly Draw[] = [
  (_, frame) => unmap(frame),
  (_, frame) => present(frame),
  (slot) => fault(slot),
  (_, frame) => age(frame),
];

/** Group 0 with slots 2 to 6 taken, so that H_ENTER meets the slots that all the others are busy with. */
const BEFORE = [2n, 3n, 4n, 5n, 6n].map((slot) => exact(slot, 3n));

export function randomProgram(seed: number): Program {
  const next = numbersFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[next() % from.length]!;
  const draw = (kinds: readonly Draw[]): Call[] =>
    Array.from({ length: 1 + (next() % CALLS) }, () =>
      pick(kinds)(pick(SLOTS), pick([1n, 2n]), pick(SLOTS)),
    );
  const before = SLOTS.filter(() => next() % 2 === 0).flatMap((slot) => [
    exact(slot, pick([1n, 2n])),
    setRc(slot),
  ]);
  return {
    name: `random ${seed}`,
    before: [...BEFORE, ...before],
    threads: [draw(GUEST), draw(GUEST), draw(HOST)],
  };
}
