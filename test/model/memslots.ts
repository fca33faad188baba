/**
 * Memory slots that come and go: what the engine does in pieces is one step here.
 *
 * SPEC: KVM HV: the entries of a removed slot become ABSENT; a new slot starts with every page present.
 */
import { GPA_LIMIT, MEMSLOTS_MAX } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { unmapEntry } from './host.ts';
import { zeroMemory } from './memory.ts';
import { type Answer, type State, fail, ok } from './table.ts';

const ADDED = 0n;
const NUMBER_TAKEN = 1n;
const OVERLAPS = 2n;
const [RAM, CACHE_INHIBITED, KEPT_RAM] = [1n, 2n, 5n];

/** There is always room here. */
export function memslotAdd(state: State, args: readonly bigint[]): Answer {
  const [number = 0n, base = 0n, bytes = 0n, kind = 0n, backingShift = 0n] = args;
  const page = 1n << state.hostPageShift;
  const wrong =
    number >= BigInt(MEMSLOTS_MAX) ||
    base % page !== 0n ||
    base >= GPA_LIMIT ||
    bytes % page !== 0n ||
    bytes === 0n ||
    base + bytes > GPA_LIMIT ||
    ![RAM, CACHE_INHIBITED, KEPT_RAM].includes(kind) ||
    backingShift < state.hostPageShift ||
    backingShift > 34n;
  if (wrong) return fail(STATUSES.H_PARAMETER);
  if (state.memslots.some((slot) => slot.number === Number(number))) return ok(NUMBER_TAKEN);
  const overlaps = state.memslots.some(
    (slot) => base < slot.base + slot.bytes && slot.base < base + bytes,
  );
  if (overlaps) return ok(OVERLAPS);
  state.memslots.push({
    number: Number(number),
    base,
    bytes,
    cacheInhibited: kind === CACHE_INHIBITED,
    backed: kind === KEPT_RAM,
    hostPages: new Map(),
  });
  return ok(ADDED);
}

export function memslotRemove(state: State, args: readonly bigint[]): Answer {
  const slot = state.memslots.find(({ number }) => BigInt(number) === args[0]);
  if (slot === undefined) return fail(STATUSES.H_PARAMETER);
  state.invalidateSeq++;
  const inside = (gfn: bigint): boolean => {
    const gpa = gfn << state.hostPageShift;
    return gpa >= slot.base && gpa < slot.base + slot.bytes;
  };
  for (const [gfn, frame] of state.frames) {
    if (!inside(gfn)) continue;
    for (const ptex of frame.chain) unmapEntry(state, ptex);
    state.frames.delete(gfn);
  }
  for (const gfn of state.dirty) if (inside(gfn)) state.dirty.delete(gfn);
  zeroMemory(state, slot.base, slot.bytes);
  state.memslots.splice(state.memslots.indexOf(slot), 1);
  return ok(0n);
}
