/**
 * H_ENTER, and the rules by which a guest's dword 1 becomes the real one.
 *
 * SPEC: KVM HV; PAPR "H_ENTER". Flags other than H_EXACT are ignored, as KVM HV ignores them; but
 * where guest memory is kept H_ZERO_PAGE zeroes the page, as PAPR asks.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import {
  HPTE_R_G,
  HPTE_R_I,
  HPTE_R_KEY,
  HPTE_R_M,
  HPTE_R_PP0,
  HPTE_R_RC,
  HPTE_R_TS,
  HPTE_R_W,
  HPTE_R_WIMG,
  HPTE_V_ABSENT,
  HPTE_V_HVLOCK,
  HPTE_V_VALID,
  isValid,
  isWritable,
  makeReadonly,
  not,
  pageAddress,
  pageSize,
} from './hpte.ts';
import { zeroMemory } from './memory.ts';
import {
  type Answer,
  HOST_CACHE_INHIBITED,
  HOST_PRESENT,
  HOST_WRITABLE,
  type Memslot,
  type State,
  chain,
  entryAt,
  fail,
  frameAt,
  hostPageAt,
  isPresentEntry,
  isPtex,
  markDirty,
  noteModification,
  ok,
  setDwords,
  slotAt,
} from './table.ts';

/**
 * Host memory stands this far above the guest's own addresses: never 0, never the guest's number.
 */
export const HOST_ADDRESS_BIAS = 1n << 44n;

/** Pages up to 64 KiB are zeroed in a call. */
const ZEROED_SHIFT_MAX = 16n;

interface RealEntry {
  v: bigint;
  r: bigint;
}

export function hEnter(state: State, args: readonly bigint[]): Answer {
  const [flags = 0n, ptex = 0n, pteh = 0n, ptel = 0n] = args;
  if (pteh >> 63n === 1n) return fail(STATUSES.H_PARAMETER);
  const size = pageSize(pteh, ptel);
  if (size === undefined) return fail(STATUSES.H_PARAMETER);

  const v = pteh & not(HPTE_V_HVLOCK | HPTE_V_ABSENT | HPTE_V_VALID);
  const guestView = ptel & not(HPTE_R_TS);
  const gpa = pageAddress(guestView, size.actual);
  const real = realEntry(state, v, guestView, gpa, size.actual);
  if (real === undefined) return fail(STATUSES.H_PARAMETER);
  const zeroes = (flags & FLAGS.H_ZERO_PAGE) !== 0n && slotAt(state, gpa)?.backed === true;
  if (zeroes && size.actual > ZEROED_SHIFT_MAX) return fail(STATUSES.H_TOO_BIG);

  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const slot = freeSlot(state, Number(ptex), (flags & FLAGS.H_EXACT) !== 0n);
  if (slot === undefined) return fail(STATUSES.H_PTEG_FULL);

  if (zeroes) {
    zeroMemory(state, gpa, 1n << size.actual);
    markDirty(state, gpa, 1n << size.actual);
  }
  const entry = entryAt(state, slot);
  entry.guestRpte = guestView;
  noteModification(state, entry);
  let { r } = real;
  if (isValid(real.v)) {
    r = limitRc(state, r, gpa);
    chain(state, slot, gpa);
  }
  setDwords(state, entry, real.v, r);
  return ok(BigInt(slot));
}

/** What the hardware will see, or undefined where KVM HV answers H_PARAMETER. */
function realEntry(
  state: State,
  v: bigint,
  guestView: bigint,
  gpa: bigint,
  actual: bigint,
): RealEntry | undefined {
  const slot = slotAt(state, gpa);
  if (slot === undefined) return { v: v | HPTE_V_ABSENT, r: guestView | HPTE_R_KEY };
  if (!isSlotAligned(state, slot, actual)) return undefined;
  if (state.backingPageBytes < 1n << actual) return undefined;

  const host = hostPageAt(state, gpa);
  let r = guestView & (HPTE_R_KEY | HPTE_R_PP0 | ((1n << actual) - 1n));
  if ((host & HOST_PRESENT) === 0) {
    const absent = r & not(HPTE_R_KEY);
    return { v: v | HPTE_V_ABSENT, r: realWimg(absent, false) ?? absent };
  }
  if ((host & HOST_WRITABLE) === 0 && isWritable(guestView)) r = makeReadonly(r);
  const wimgChecked = realWimg(r, (host & HOST_CACHE_INHIBITED) !== 0);
  if (wimgChecked === undefined) return undefined;
  return { v: v | HPTE_V_VALID, r: wimgChecked | (gpa + HOST_ADDRESS_BIAS) };
}

/** It is the slot that must be aligned to the page size, even where this page would fit. */
function isSlotAligned(state: State, slot: Memslot, actual: bigint): boolean {
  if (actual <= state.hostPageShift) return true;
  const below = (1n << actual) - 1n;
  return (slot.base & below) === 0n && (slot.bytes & below) === 0n;
}

/** The real dword 1 with WIMG as this host page allows it; undefined: it does not. */
export function realWimg(r: bigint, cacheInhibited: boolean): bigint | undefined {
  const strongAccessOrder = (r & HPTE_R_WIMG) === (HPTE_R_W | HPTE_R_I | HPTE_R_M);
  const wimg = strongAccessOrder ? HPTE_R_M : r & HPTE_R_WIMG;
  if (!cacheInhibited) return wimg === HPTE_R_M ? r : forceCacheable(r);
  return (wimg & HPTE_R_W) === 0n && (wimg & HPTE_R_I) !== 0n ? r : undefined;
}

function forceCacheable(r: bigint): bigint {
  return (r & not(HPTE_R_W | HPTE_R_I | HPTE_R_G)) | HPTE_R_M;
}

/**
 * A real entry starts with the R and C that guest and host agree on, so that the next access shows.
 */
export function limitRc(state: State, r: bigint, gpa: bigint): bigint {
  return r & (not(HPTE_R_RC) | frameAt(state, gpa).rc);
}

function freeSlot(state: State, ptex: number, exact: boolean): number | undefined {
  if (exact) return isPresentEntry(state, ptex) ? undefined : ptex;
  const group = ptex - (ptex % 8);
  for (let slot = group; slot < group + 8; slot++) {
    if (!isPresentEntry(state, slot)) return slot;
  }
  return undefined;
}
