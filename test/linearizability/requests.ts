/**
 * What threads ask for: the requests that a world is made of, at random, on its few slots, pages and frames.
 *
 * One thread does the work of the host (pages taken away and brought back, ageing, harvesting dirt); that is the rule
 * for a guest's host. Page faults, and hardware that sets R and C, come from all.
 */
import { FLAGS } from '../../schemas/flags.ts';
import type { Request } from './history.ts';
import { below, once, pick } from './random.ts';
import type { Random } from './random.ts';
import { FRAMES } from './slot-states.ts';

/** Orders that a table has in a world with resizes. */
export const ORDERS = [18, 19];

/** What a thread does over and over: the first requests once, the others again and again. */
export interface Routine<T> {
  readonly once: readonly T[];
  readonly again: readonly T[];
}

const VALID = 1n;
const ABSENT = 0x20n;
export const LARGE = 4n;
export const BOLTED = 0x10n;
export const ONE_TERABYTE = 1n << 62n;
const MEMORY = 0x10n;
const LP_64K = 0x1000n;
const RC = [0n, 0x80n, 0x100n, 0x180n];
/** The virtual real mode area, which H_CLEAR_HPT leaves alone. */
export const VRMA = 0x4001_ffff_ff00_0000n;
const MMIO = 1n << 40n;
const PLACES = [...FRAMES, MMIO];
const PROTECTIONS = [0n, 2n, 3n, 1n | (1n << 63n), 6n, 2n | (5n << 9n), 2n | (1n << 60n)];

/** What H_ANDCOND looks for; HVLOCK is always there, and VALID and ABSENT show what the host did. */
const MASKS = [BOLTED, LARGE, BOLTED | LARGE, ONE_TERABYTE, 0x40n, VALID, ABSENT];

export interface Scene {
  readonly random: Random;
  /** First ptex of each group. */
  readonly groups: readonly bigint[];
  /** dword 0 of the pages. */
  readonly pages: readonly bigint[];
}

export type Maker = (scene: Scene) => Request;

const slotOf = ({ random, groups }: Scene): bigint =>
  pick(random, groups) + BigInt(below(random, 8));
const avpnOf = ({ random, pages }: Scene): bigint => pick(random, pages) & ~0x7fn;

function entryWords({ random, pages }: Scene): bigint[] {
  const v = pick(random, pages) | VALID | (once(random, 3) ? BOLTED : 0n);
  const lp = (v & LARGE) === 0n ? 0n : LP_64K;
  const r = pick(random, PLACES) | lp | MEMORY | pick(random, PROTECTIONS) | pick(random, RC);
  return [v, r];
}

/** Flags and operand of a comparison. */
function comparison(scene: Scene): [flags: bigint, operand: bigint] {
  const { random } = scene;
  switch (below(random, 6)) {
    case 0:
    case 1:
      return [0n, 0n];
    case 2:
      return [FLAGS.H_ANDCOND, pick(random, MASKS)];
    case 3:
      return [FLAGS.H_AVPN | FLAGS.H_ANDCOND, avpnOf(scene)];
    default:
      return [FLAGS.H_AVPN, avpnOf(scene)];
  }
}

export function enter(scene: Scene): Request {
  const flags = once(scene.random, 3) ? FLAGS.H_EXACT : 0n;
  return { name: 'H_ENTER', args: [flags, slotOf(scene), ...entryWords(scene)] };
}

function remove(scene: Scene): Request {
  const [flags, operand] = comparison(scene);
  return { name: 'H_REMOVE', args: [flags, slotOf(scene), operand] };
}

function bulkRemove(scene: Scene): Request {
  const { random } = scene;
  const args: bigint[] = [];
  for (let pairs = 1 + below(random, 4); pairs > 0; pairs--) {
    const [flags, operand] = comparison(scene);
    const selector = flags === FLAGS.H_AVPN ? 2n : flags === FLAGS.H_ANDCOND ? 1n : 0n;
    const type = once(random, 30) ? BigInt(below(random, 4)) : 1n;
    const bad = once(random, 60) ? 1n << 40n : 0n;
    args.push((type << 62n) | (selector << 56n) | bad | slotOf(scene), operand);
  }
  return { name: 'H_BULK_REMOVE', args: once(random, 8) ? args.slice(0, -1) : args };
}

function blockRemove(scene: Scene): Request {
  const { random } = scene;
  const words = Array.from({ length: 1 + below(random, 8) }, () => {
    const type = once(random, 40) ? BigInt(below(random, 4)) : 1n;
    return (type << 62n) | (once(random, 3) ? 1n << 56n : 0n) | slotOf(scene);
  });
  return { name: 'H_BLOCK_REMOVE', args: [avpnOf(scene), ...words] };
}

function protect(scene: Scene): Request {
  const { random } = scene;
  const bits = pick(random, [0n, 2n, 3n, 0x103n, 6n, 0x202n, 0x3000n]);
  const byAvpn = once(random, 2);
  const flags = bits | (byAvpn ? FLAGS.H_AVPN : 0n);
  return { name: 'H_PROTECT', args: [flags, slotOf(scene), byAvpn ? avpnOf(scene) : 0n] };
}

const beyond: Maker = ({ random }) => ({
  name: pick(random, ['H_READ', 'H_CLEAR_REF', 'H_CLEAR_MOD']),
  // In a table of order 19, but not of order 18; and in none.
  args: [0n, pick(random, [1n << 15n, 1n << 55n])],
});

const pageInit: Maker = ({ random }) => ({
  name: 'H_PAGE_INIT',
  args: [pick(random, [FLAGS.H_ZERO_PAGE, FLAGS.H_COPY_PAGE, 1n]), pick(random, PLACES), 0x4_0000n],
});

const onSlot =
  (name: string, flags = 0n): Maker =>
  (scene) => ({ name, args: [flags, slotOf(scene)] });

/** What hardware does to an entry; not to one that is ABSENT, but what then is a hash miss may set its R and C too. */
export const setRc: Maker = (scene) => ({
  name: 'SET_RC',
  args: [slotOf(scene), pick(scene.random, RC), BigInt(below(scene.random, 2))],
});

export const pageFault: Maker = (scene) => ({
  name: 'HOST_PAGE_FAULT',
  args: [slotOf(scene), BigInt(below(scene.random, 2))],
});

export const COMMON: readonly (readonly [weight: number, make: Maker])[] = [
  [22, remove],
  [8, bulkRemove],
  [6, blockRemove],
  [8, protect],
  [10, onSlot('H_READ')],
  [4, onSlot('H_READ', FLAGS.H_READ_4)],
  [5, onSlot('H_CLEAR_REF')],
  [5, onSlot('H_CLEAR_MOD')],
  [1, pageInit],
  [1, beyond],
];

export const HOST: readonly Maker[] = [
  ({ random }) => ({ name: 'HOST_UNMAP', args: [pick(random, FRAMES)] }),
  ({ random }) => ({ name: 'HOST_SET_PTE', args: [pick(random, FRAMES), pick(random, [1n, 3n])] }),
  ({ random }) => ({ name: 'HOST_AGE', args: [pick(random, FRAMES)] }),
  ({ random }) => ({ name: 'HOST_DIRTY', args: [pick(random, FRAMES), 1n] }),
];

export function resizeRequests(): Request[] {
  const shifts = [...ORDERS.map(BigInt), ...ORDERS.map(BigInt)];
  return [
    ...shifts.flatMap((shift) => [
      { name: 'H_RESIZE_HPT_PREPARE', args: [0n, shift] },
      { name: 'H_RESIZE_HPT_PREPARE', args: [0n, shift] },
      { name: 'H_RESIZE_HPT_COMMIT', args: [0n, shift] },
    ]),
    { name: 'H_RESIZE_HPT_PREPARE', args: [0n, 0n] },
    { name: 'H_RESIZE_HPT_PREPARE', args: [0n, 30n] },
    { name: 'H_RESIZE_HPT_COMMIT', args: [1n, 18n] },
    ...ORDERS.flatMap((order) => [
      { name: 'HPT_RESET', args: [BigInt(order)] },
      { name: 'HPT_RESIZE', args: [BigInt(order)] },
    ]),
  ];
}

/**
 * An entry that hops between the first and the last slot of a group, the slots between taken, and somebody who wants a
 * slot: at every instant one of the two is free.
 */
export function shuttle({ groups, pages }: Scene): Routine<Request>[] {
  const [first, last] = [groups[0]!, groups[0]! + 7n];
  const [hopping, wanting] = [pages[0]!, pages[1]!];
  const enterAt = (ptex: bigint, page = hopping): Request => ({
    name: 'H_ENTER',
    args: [FLAGS.H_EXACT, ptex, page | VALID, FRAMES[0]! | MEMORY],
  });
  const between = [1n, 2n, 3n, 4n, 5n, 6n].map((slot) => enterAt(first + slot, hopping << 1n));
  const removeAt = (ptex: bigint, page: bigint): Request => ({
    name: 'H_REMOVE',
    args: [FLAGS.H_AVPN, ptex, page & ~0x7fn],
  });
  const r = FRAMES[1]! | ((wanting & LARGE) === 0n ? 0n : LP_64K) | MEMORY;
  const enterAnywhere = { name: 'H_ENTER', args: [0n, first, wanting | VALID, r] };
  return [
    {
      once: [],
      again: [removeAt(first, hopping), enterAt(last), removeAt(last, hopping), enterAt(first)],
    },
    {
      once: between,
      again: [enterAnywhere, removeAt(first, wanting), removeAt(last, wanting)],
    },
  ];
}
