/**
 * A world: a guest, the few slots on which everything in it happens, and the requests that its threads choose from.
 * All of it follows from a seed.
 */
import { FLAGS } from '../../schemas/flags.ts';
import type { ModelConfig } from '../model/table.ts';
import type { Request } from './history.ts';
import {
  BOLTED,
  COMMON,
  HOST,
  LARGE,
  ONE_TERABYTE,
  ORDERS,
  VRMA,
  enter,
  pageFault,
  resizeRequests,
  setRc,
  shuttle,
} from './requests.ts';
import type { Maker, Routine } from './requests.ts';
import { below, once, openRandom, pick } from './random.ts';
import type { Random } from './random.ts';
import { emptyTable, openSlotStates, perform } from './slot-states.ts';
import { universeOf } from './plan.ts';
import type { Checked } from './checker.ts';

export interface World extends Checked {
  readonly config: ModelConfig & { readonly ramBytes: number };
  readonly requests: readonly Request[];
  /** Requests of the common kind, rare ones, and what the host's thread does besides: indexes. */
  readonly common: readonly number[];
  readonly rare: readonly number[];
  readonly host: readonly number[];
  /** By thread, what it does instead of anything at random: the first requests once, the others over and over. */
  readonly routines: readonly Routine<number>[];
  /** One rare request in so many. */
  readonly rareness: number;
  readonly threads: number;
  /** Threads run the engine's test build, and stumble in the middle of hcalls. */
  readonly stumbling: boolean;
  readonly text: string;
}

const MIB = 2 ** 20;
const RAM_BYTES = 64 * MIB;
const ORDER = 18;
const COMMON_REQUESTS = 400;
const HOST_REQUESTS = 40;
/** The thread that does the host's work, and how often: once in so many calls. */
const HOST_THREAD = 0;
const HOST_RARENESS = 6;

/** Groups of one block, so that H_BLOCK_REMOVE finds its pages in several; the last lies in another. */
function groupsOf(random: Random): bigint[] {
  const first = BigInt(below(random, 2048) & ~9);
  const count = pick(random, [1, 1, 2, 3]);
  return [first, first ^ 1n, first ^ 8n].slice(0, count).map((group) => group * 8n);
}

function pagesOf(random: Random, isa300: boolean): bigint[] {
  const high = isa300 ? 1n << 55n : 0n;
  const pages = [
    0x123_4567_8000n,
    (0x123_4567_8000n ^ 0x80n) | LARGE,
    0x77_0000_0000n | high | LARGE,
    ONE_TERABYTE | 0x55_0000_0000n,
    VRMA,
  ];
  return once(random, 2) ? pages : pages.slice(0, 2);
}

export function makeWorld(seed: number): World {
  const random = openRandom(seed);
  const isa300 = once(random, 4);
  // Neighbouring seeds make all kinds.
  const kind = seed & 3;
  const stumbling = (seed & 4) === 0;
  const shuttles = kind === 2 && (seed & 8) !== 0;
  const [resizes, hardware] = [kind === 0, kind === 1];
  const hosted = kind === 3 || (resizes && once(random, 2));
  // While the host goes along a chain every call may have to do with every other: the search grows with the threads.
  const threads = shuttles ? 2 : hosted ? 2 + ((seed >> 3) & 1) : 2 + (seed % 3);
  const apart = hosted || resizes;
  const scene = {
    random,
    groups: groupsOf(random),
    pages: pagesOf(random, isa300),
  };
  const fullness = pick(random, [25, 45, 80]);
  const table = [
    [fullness, enter] as const,
    ...COMMON,
    [hardware || apart ? 8 : 0, setRc] as const,
    [apart ? 5 : 0, pageFault] as const,
  ];
  const common = Array.from({ length: COMMON_REQUESTS }, () => weighted(random, table)(scene));
  const rare = [{ name: 'H_CLEAR_HPT', args: [] }, ...(resizes ? resizeRequests() : [])];
  const host = hosted ? Array.from({ length: HOST_REQUESTS }, () => pick(random, HOST)(scene)) : [];
  const config = {
    order: ORDER,
    ramBytes: RAM_BYTES,
    hostPageBytes: 65536,
    backingPageBytes: 65536,
    isa300,
  };
  const states = openSlotStates(config, apart);
  const places = scene.groups.flatMap((group) =>
    Array.from({ length: 8 }, (_, slot) => Number(group) + slot),
  );
  const routines = shuttles ? shuttle(scene) : [];
  const routine = routines.flatMap(({ once: first, again }) => [...first, ...again]);
  const behind = common.length + rare.length + routine.length;
  return {
    config,
    states,
    universe: universeOf(resizes ? reachable(states, common, places) : places),
    plans: [],
    threads,
    stumbling,
    requests: [...common, ...rare, ...routine, ...host],
    common: [...common.keys()],
    rare: rare.map((_, i) => common.length + i),
    host: host.map((_, i) => behind + i),
    routines: numbered(routines, common.length + rare.length),
    rareness: resizes ? 120 : 2000,
    text: textOf({ threads, stumbling, isa300, resizes, hardware, shuttles, hosted }, scene),
  };
}

interface Kind {
  readonly threads: number;
  readonly stumbling: boolean;
  readonly isa300: boolean;
  readonly resizes: boolean;
  readonly hardware: boolean;
  readonly shuttles: boolean;
  readonly hosted: boolean;
}

function textOf(kind: Kind, { groups }: { groups: readonly bigint[] }): string {
  return [
    `${kind.threads} threads${kind.stumbling ? ' that stumble' : ''}`,
    `${groups.length} group(s)`,
    ...(kind.isa300 ? ['ISA 3.0'] : []),
    ...(kind.resizes ? ['resizes'] : []),
    ...(kind.hardware ? ['R and C set'] : []),
    ...(kind.shuttles ? ['an entry that hops'] : []),
    ...(kind.hosted ? ['the host at work'] : []),
  ].join(', ');
}

function numbered(routines: readonly Routine<Request>[], first: number): Routine<number>[] {
  let next = first;
  return routines.map(({ once: prelude, again }) => ({
    once: prelude.map(() => next++),
    again: again.map(() => next++),
  }));
}

function weighted(random: Random, table: readonly (readonly [number, Maker])[]): Maker {
  let left = below(
    random,
    table.reduce((sum, [weight]) => sum + weight, 0),
  );
  for (const [weight, make] of table) {
    if (left < weight) return make;
    left -= weight;
  }
  throw new Error('weights that do not add up');
}

/** Where bolted entries can come to by resizing, from where they can be entered. */
function reachable(
  states: World['states'],
  requests: readonly Request[],
  places: readonly number[],
): Set<number> {
  const bolted = requests.filter(
    ({ name, args }) => name === 'H_ENTER' && (args[2]! & BOLTED) !== 0n,
  );
  const found = new Set(places);
  const bySlot = new Map(bolted.map((request) => [request.args.slice(2).join(), request]));
  for (const ptex of found) {
    for (const { args } of bySlot.values()) {
      for (const from of ORDERS) {
        for (const to of ORDERS) {
          const table = emptyTable(states, from);
          perform(table, {
            name: 'H_ENTER',
            args: [FLAGS.H_EXACT, BigInt(ptex), ...args.slice(2)],
          });
          perform(table, { name: 'HPT_RESIZE', args: [BigInt(to)] });
          for (const moved of table.entries.keys()) found.add(moved);
        }
      }
    }
  }
  // H_ENTER looks at whole groups, H_READ_4 at half ones.
  return new Set(
    [...found].flatMap((ptex) => Array.from({ length: 8 }, (_, i) => ptex - (ptex % 8) + i)),
  );
}

/** A thread's program: indexes into the world's requests. */
export function makeProgram(
  world: World,
  random: Random,
  thread: number,
  length: number,
): Uint16Array {
  const routine = world.routines[thread];
  if (routine !== undefined) {
    const { once: prelude, again } = routine;
    return Uint16Array.from(
      { length },
      (_, i) => prelude[i] ?? again[(i - prelude.length) % again.length]!,
    );
  }
  return Uint16Array.from({ length }, () => {
    if (once(random, world.rareness)) return pick(random, world.rare);
    const isHost = thread === HOST_THREAD && world.host.length > 0 && once(random, HOST_RARENESS);
    return pick(random, isHost ? world.host : world.common);
  });
}
