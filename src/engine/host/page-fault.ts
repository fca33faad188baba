/**
 * What the host and the hardware do to an entry that is there: page it in, set R and C, change the page behind it.
 */
import { cacheabilityFits } from '../hcalls/enter';
import { noteMmioChange } from '../hcalls/remove';
import { guestRpte, noteModification, setGuestRpte } from '../guest-view';
import {
  HOST_FRAME_OFFSET, HPTE_R_G, HPTE_R_I, HPTE_R_KEY, HPTE_R_M, HPTE_R_PP0, HPTE_R_RC, HPTE_R_TS, HPTE_R_W,
  HPTE_V_ABSENT, HPTE_V_TAKEN, HPTE_V_VALID, guestV, isWritable, madeReadOnly, tableR, tableV,
} from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import { STEP_APPEND, STEP_TAKING, journalAnswer, journalWords } from '../journal';
import { SLOT_BACKING_SHIFT, hpteAddress } from '../memory-map';
import {
  HOST_CACHE_INHIBITED, HOST_PRESENT, HOST_WRITABLE, backingEndFrame, backingFirstFrame, frameOf, hostState, rmapOf,
  setHostState, slotOf,
} from '../memslots';
import { actualPageShift, pageAddress } from '../page-sizes';
import { RMAP_RC_SHIFT, appendToChain, lockChain, unlockChain } from '../revmap';
import { H_SUCCESS } from '../status';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';
import { hostChangedSince, hostSequence } from './invalidation';

export const FAULT_VALID_NOW: i32 = 0;
export const FAULT_EMPTY: i32 = 1;
export const FAULT_MMIO: i32 = 2;
export const FAULT_HOST_ABSENT: i32 = 3;
export const FAULT_TOO_BIG: i32 = 4;
export const FAULT_WIMG: i32 = 5;

/** HOST_SET_PTE: what the backing page behind `gpa` is from now on. False: no memory there. */
export function setBackingPage(gpa: u64, state: u8): bool {
  const slot = slotOf(gpa);
  if (slot == 0) return false;
  const end = backingEndFrame(slot, gpa);
  for (let frame = backingFirstFrame(slot, gpa); frame < end; frame++) setHostState(slot, frame, state);
  return true;
}

/** SET_RC: the hardware's walk sets bits in an entry that is VALID. Outcome 0: done, 1: not valid for the hardware. */
export function setRc(ptex: u64, bits: u64, absentToo: bool, results: usize): void {
  const entry = hpteAddress(ptex);
  // DIFFERS: hardware sets R and C without a lock and tlbie waits for it; here the lock stands for that wait.
  const locked = lockHpte(entry);
  const rc = bits & HPTE_R_RC;
  const valid = (locked & HPTE_V_VALID) != 0;
  const absent = absentToo && (locked & HPTE_V_ABSENT) != 0;
  journalWords(0, entry, ptex);
  yieldPoint(AT_REAL);
  if (valid) {
    atomic.or<u64>(entry, rc, 8);
  } else if (absent && (rc & ~guestRpte(ptex)) != 0) {
    setGuestRpte(ptex, guestRpte(ptex) | rc);
    noteModification(ptex);
  }
  store<u64>(results, valid || absent ? 0 : 1);
  journalAnswer(H_SUCCESS, 1);
  unlockHpte(entry, locked);
}

/**
 * HOST_PAGE_FAULT: the guest touched an entry; makes it VALID if the host page is there.
 * The entry is looked at and changed under one hold of its lock, so nothing has to be compared again.
 */
export function pageFault(ptex: u64, results: usize): void {
  const entry = hpteAddress(ptex);
  const locked = lockHpte(entry);
  const real = load<u64>(entry, 8);
  const v = guestV(locked, real);
  const outcome = (v & HPTE_V_TAKEN) == 0 ? FAULT_EMPTY : pageIn(entry, v, ptex);
  // It was entered as MMIO, and a slot has been added there since.
  if (outcome == FAULT_VALID_NOW) noteMmioChange(v, real);
  store<u64>(results, outcome);
  journalAnswer(H_SUCCESS, 1);
  // pageIn leaves the new dword 0 in the entry, still locked.
  unlockHpte(entry, load<u64>(entry));
}

function pageIn(entry: usize, v: u64, ptex: u64): i32 {
  const guest = guestRpte(ptex) & ~HPTE_R_TS;
  const shift = actualPageShift(v, guest);
  const gpa = pageAddress(guest, shift);
  const sequence = hostSequence();
  const slot = slotOf(gpa);
  if (slot == 0) return FAULT_MMIO;
  const frame = frameOf(slot, gpa);
  const host = hostState(slot, frame);
  if ((host & HOST_PRESENT) == 0 || hostChangedSince(sequence)) return FAULT_HOST_ABSENT;
  if (load<u32>(slot + SLOT_BACKING_SHIFT) < shift) return FAULT_TOO_BIG;
  const inhibited = (host & HOST_CACHE_INHIBITED) != 0;
  let r = guest;
  if (!cacheabilityFits(r, inhibited)) {
    if (inhibited) return FAULT_WIMG;
    r = (r & ~(HPTE_R_W | HPTE_R_I | HPTE_R_G)) | HPTE_R_M;
  }
  r = (r & (HPTE_R_KEY | HPTE_R_PP0 | ((<u64>1 << <u64>shift) - 1))) | (gpa + HOST_FRAME_OFFSET);
  if ((host & HOST_WRITABLE) == 0 && isWritable(r)) r = madeReadOnly(r);
  return install(entry, v, r, ptex, rmapOf(slot, frame), sequence);
}

/** Puts the new real dword 1 into a locked entry and makes it VALID, unless the host page went away meanwhile. */
function install(entry: usize, v: u64, r: u64, ptex: u64, rmap: usize, sequence: u64): i32 {
  journalWords(0, entry, ptex);
  const word = lockChain(rmap);
  if (hostChangedSince(sequence)) {
    unlockChain(rmap, word, STEP_TAKING);
    return FAULT_HOST_ABSENT;
  }
  let next = r & (~HPTE_R_RC | (word >> RMAP_RC_SHIFT));
  if ((v & HPTE_V_VALID) != 0) {
    unlockChain(rmap, word, STEP_TAKING);
    yieldPoint(AT_REAL);
    atomic.store<u64>(entry, (load<u64>(entry) & ~HPTE_V_VALID) | HPTE_V_ABSENT);
    tlbie(v, load<u64>(entry, 8), ptex);
    tlbsync();
    next |= atomic.load<u64>(entry, 8) & HPTE_R_RC;
  } else {
    unlockChain(rmap, appendToChain(word, ptex), STEP_APPEND);
  }
  yieldPoint(AT_REAL);
  store<u64>(entry, tableR(v, next), 8);
  yieldPoint(AT_REAL);
  // ORDER: dword 1 before VALID is seen; the lock stays.
  atomic.store<u64>(entry, tableV((v & ~HPTE_V_ABSENT) | HPTE_V_VALID));
  return FAULT_VALID_NOW;
}
