/**
 * A table that can be behind what was seen so far, and how far each running call is in it. A plain array of small
 * numbers, because the search copies and compares nothing else:
 *
 *   what each slot of the universe holds | order | order in preparation | told ready | is there an R that the host has
 *   not been told of, for each frame | a C | steps of each thread's running call, or DONE | what each thread's running
 *   call has to remember
 */
import { EMPTY, FRAMES } from './slot-states.ts';

export type Configuration = number[];

/** Where things are: behind the slots. */
export interface Layout {
  readonly order: number;
  /** The order in preparation; 0: none. */
  readonly pending: number;
  /** 1: somebody was told that it is ready. */
  readonly ready: number;
  /** R, then C, of each frame: NOT, PERHAPS or SURELY. */
  readonly referenced: number;
  readonly changed: number;
  readonly progress: number;
  /** What the anchor of its H_BLOCK_REMOVE held; whether HOST_AGE or HOST_DIRTY met something. */
  readonly noted: number;
}

export const NOT = 0;
export const PERHAPS = 1;
export const SURELY = 2;

/** A call that has taken place and has not responded yet. */
export const DONE = -1;

export function layoutOf(slots: number, threads: number): Layout {
  const referenced = slots + 3;
  const changed = referenced + FRAMES.length;
  const progress = changed + FRAMES.length;
  return {
    order: slots,
    pending: slots + 1,
    ready: slots + 2,
    referenced,
    changed,
    progress,
    noted: progress + threads,
  };
}

/** An empty table. */
export function emptyConfiguration(slots: number, threads: number, order: number): Configuration {
  const { progress } = layoutOf(slots, threads);
  const configuration = Array.from({ length: progress + 2 * threads }, () => EMPTY);
  configuration[slots] = order;
  return configuration;
}

/** Configurations that were met: mostly very few, so that comparing them all is the quickest. */
export interface Seen {
  readonly all: Configuration[];
  readonly byHash: Map<number, Configuration[]>;
}

const FEW = 8;

export const openSeen = (): Seen => ({ all: [], byHash: new Map() });

/** False if it was met before; else it has been now. */
export function isNew({ all, byHash }: Seen, at: Configuration): boolean {
  if (all.length < FEW) {
    if (all.some((other) => areEqual(other, at))) return false;
    all.push(at);
    if (all.length === FEW) for (const one of all) remember(byHash, one);
    return true;
  }
  if (byHash.get(hashOf(at))?.some((other) => areEqual(other, at))) return false;
  all.push(at);
  remember(byHash, at);
  return true;
}

function remember(byHash: Map<number, Configuration[]>, at: Configuration): void {
  const hash = hashOf(at);
  const same = byHash.get(hash);
  if (same === undefined) byHash.set(hash, [at]);
  else same.push(at);
}

export function distinct(all: Configuration[]): Configuration[] {
  if (all.length < 2) return all;
  const seen = openSeen();
  return all.filter((one) => isNew(seen, one));
}

function hashOf(at: Configuration): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < at.length; i++) hash = Math.imul(hash ^ at[i]!, 0x01000193);
  return hash;
}

function areEqual(a: Configuration, b: Configuration): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
