/**
 * What the host does to the table: pages taken away and brought back, ageing, harvesting dirt, and
 * the R and C that a processor's table walk sets.
 *
 * SPEC: KVM HV (MMU notifiers, HPTE-not-found faults, dirty log).
 */
import { DIRTY_FRAMES_MAX } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { HOST_ADDRESS_BIAS, limitRc, realWimg } from './enter.ts';
import {
  HPTE_R_C,
  HPTE_R_KEY,
  HPTE_R_PP0,
  HPTE_R_R,
  HPTE_R_RC,
  HPTE_V_ABSENT,
  HPTE_V_VALID,
  isAbsent,
  isMmio,
  isOccupied,
  isValid,
  isWritable,
  makeReadonly,
  not,
} from './hpte.ts';
import {
  type Answer,
  type Entry,
  type Frame,
  type Memslot,
  HOST_CACHE_INHIBITED,
  HOST_PRESENT,
  HOST_WRITABLE,
  type State,
  chain,
  dword0Of,
  entryAt,
  fail,
  guestPage,
  harvestForHost,
  hostPageAt,
  isPtex,
  makeAbsent,
  markDirty,
  noteModification,
  ok,
  setDwords,
  slotAt,
  unchain,
} from './table.ts';

/** The frames of a slot that one backing page holds, those without a record left out. */
function framesOfBackingPage(state: State, slot: Memslot, gpa: bigint): Frame[] {
  const backing = gpa / state.backingPageBytes;
  return [...state.frames]
    .filter(([gfn]) => {
      const address = gfn << state.hostPageShift;
      return address / state.backingPageBytes === backing && slotAt(state, address) === slot;
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, frame]) => frame);
}

/** Puts what hardware noted into the guest's view, where it was not known yet. */
function harvestForGuest(state: State, entry: Entry, rc: bigint): void {
  if ((rc & not(entry.guestRpte)) === 0n) return;
  entry.guestRpte |= rc;
  noteModification(state, entry);
}

/**
 * A VALID entry becomes ABSENT with key 0 (its real R and C stay visible to H_READ) and leaves its
 * chain.
 */
export function unmapEntry(state: State, ptex: number): void {
  const entry = entryAt(state, ptex);
  const { gpa, actual } = guestPage(state, entry);
  unchain(state, ptex, gpa);
  makeAbsent(state, entry);
  entry.dword1 &= not(HPTE_R_KEY);
  const rc = entry.dword1 & HPTE_R_RC;
  harvestForHost(state, gpa, actual, rc);
  harvestForGuest(state, entry, rc);
}

export function hostUnmap(state: State, args: readonly bigint[]): Answer {
  const gpa = args[0] ?? 0n;
  const slot = slotAt(state, gpa);
  if (slot === undefined) return fail(STATUSES.H_PARAMETER);
  state.invalidateSeq++;
  slot.hostPages.set(gpa / state.backingPageBytes, 0);
  for (const frame of framesOfBackingPage(state, slot, gpa)) {
    for (const ptex of frame.chain) unmapEntry(state, ptex);
  }
  return ok(0n);
}

/** Entries made before keep what they have: without an unmap nobody told the table. */
export function hostSetPte(state: State, args: readonly bigint[]): Answer {
  const [gpa = 0n, page = 0n] = args;
  const slot = slotAt(state, gpa);
  if (slot === undefined || page > 7n) return fail(STATUSES.H_PARAMETER);
  slot.hostPages.set(gpa / state.backingPageBytes, Number(page));
  return ok(0n);
}

export function hostAge(state: State, args: readonly bigint[]): Answer {
  const gpa = args[0] ?? 0n;
  const slot = slotAt(state, gpa);
  if (slot === undefined) return fail(STATUSES.H_PARAMETER);
  let referenced = false;
  for (const frame of framesOfBackingPage(state, slot, gpa)) {
    referenced = ageFrame(frame) || referenced;
    for (const ptex of frame.chain) referenced = ageEntry(state, ptex) || referenced;
  }
  return ok(referenced ? 1n : 0n);
}

/** What entries that are gone had noted. */
export function ageFrame(frame: Frame): boolean {
  const referenced = (frame.rc & HPTE_R_R) !== 0n;
  frame.rc &= not(HPTE_R_R);
  return referenced;
}

export function ageEntry(state: State, ptex: number): boolean {
  const entry = entryAt(state, ptex);
  if ((entry.dword1 & HPTE_R_R) === 0n) return false;
  entry.dword1 &= not(HPTE_R_R);
  state.tlbieCount++;
  harvestForGuest(state, entry, HPTE_R_R);
  return true;
}

const FAULT_NOW_VALID = 0n;
const FAULT_EMPTY = 1n;
const FAULT_MMIO = 2n;
const FAULT_HOST_ABSENT = 3n;
const FAULT_TOO_BIG = 4n;
const FAULT_BAD_WIMG = 5n;

/** Pages in. An entry that is VALID is built anew too: that is how it becomes writable again. */
export function hostPageFault(state: State, args: readonly bigint[]): Answer {
  const ptex = args[0] ?? 0n;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const entry = entryAt(state, Number(ptex));
  if (!isOccupied(entry.dword0)) return ok(FAULT_EMPTY);
  const { gpa, actual } = guestPage(state, entry);
  if (slotAt(state, gpa) === undefined) return ok(FAULT_MMIO);
  const host = hostPageAt(state, gpa);
  if ((host & HOST_PRESENT) === 0) return ok(FAULT_HOST_ABSENT);
  if (state.backingPageBytes < 1n << actual) return ok(FAULT_TOO_BIG);
  const withWimg = realWimg(entry.guestRpte, (host & HOST_CACHE_INHIBITED) !== 0);
  if (withWimg === undefined) return ok(FAULT_BAD_WIMG);

  const kept = HPTE_R_KEY | HPTE_R_PP0 | ((1n << actual) - 1n);
  let r = (withWimg & kept) | (gpa + HOST_ADDRESS_BIAS);
  if ((host & HOST_WRITABLE) === 0 && isWritable(r)) r = makeReadonly(r);
  r = limitRc(state, r, gpa);
  const v = dword0Of(state, entry);
  // Entered as MMIO, before a slot was added there.
  if (isMmio(entry.dword0, entry.dword1)) state.mmioUpdate++;
  if (isValid(v)) {
    state.tlbieCount++;
    r |= entry.dword1 & HPTE_R_RC;
  } else {
    chain(state, Number(ptex), gpa);
  }
  setDwords(state, entry, (v & not(HPTE_V_ABSENT)) | HPTE_V_VALID, r);
  return ok(FAULT_NOW_VALID);
}

export function setRc(state: State, args: readonly bigint[]): Answer {
  const [ptex = 0n, bits = 0n, absentToo = 0n] = args;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const entry = entryAt(state, Number(ptex));
  const rc = bits & HPTE_R_RC;
  if (isValid(entry.dword0)) {
    entry.dword1 |= rc;
    return ok(0n);
  }
  if (absentToo === 0n || !isAbsent(entry.dword0)) return ok(1n);
  harvestForGuest(state, entry, rc);
  return ok(0n);
}

/** Shifts of the pages that may begin below a range and reach into it. */
const PAGE_SHIFTS = [16n, 24n, 34n];

/**
 * The dirty frames of a range, up to its slot's end, and, first, what the real entries of those
 * frames know, and those of the frames where a page that reaches into the range may begin.
 */
export function hostDirty(state: State, args: readonly bigint[]): Answer {
  const [gpa = 0n, frames = 0n] = args;
  const slot = slotAt(state, gpa);
  if (slot === undefined || frames > BigInt(DIRTY_FRAMES_MAX)) return fail(STATUSES.H_PARAMETER);
  const first = gpa >> state.hostPageShift;
  const slotEnd = (slot.base + slot.bytes) >> state.hostPageShift;
  const end = first + frames < slotEnd ? first + frames : slotEnd;
  const heads = PAGE_SHIFTS.map((shift) => ((first << state.hostPageShift) >> shift) << shift)
    .filter((head) => head >= slot.base)
    .map((head) => head >> state.hostPageShift);
  const window = Array.from({ length: Number(end - first) }, (_, i) => first + BigInt(i));
  for (const gfn of new Set([...window, ...heads.filter((head) => head < first)])) {
    for (const ptex of state.frames.get(gfn)?.chain ?? [])
      harvestDirty(state, entryAt(state, ptex));
  }
  const words = Array.from({ length: Math.ceil(Number(frames) / 64) }, () => 0n);
  let dirty = 0n;
  for (let i = 0; i < window.length; i++) {
    if (!state.dirty.delete(first + BigInt(i))) continue;
    dirty++;
    words[i >> 6] = (words[i >> 6] ?? 0n) | (1n << BigInt(i & 63));
  }
  return ok(dirty, ...words);
}

function harvestDirty(state: State, entry: Entry): void {
  if ((entry.dword1 & HPTE_R_C) === 0n) return;
  state.tlbieCount++;
  entry.dword1 &= not(HPTE_R_C);
  harvestForGuest(state, entry, HPTE_R_C);
  const { gpa, actual } = guestPage(state, entry);
  markDirty(state, gpa, 1n << actual);
}
