/**
 * The host takes a page away: every entry that maps it becomes ABSENT, so that the hardware stops using it while
 * the guest still sees it as valid.
 *
 * This starts from a chain, so the chain lock comes first and an entry lock may only be tried. When it is taken, its
 * holder may be waiting for this very chain lock: drop the chain lock, wait for the entry with nothing in hand, and
 * start the chain over. Each round takes at least one entry off the chain or waits for somebody who makes progress.
 */
import { noteModification, setGuestRpte, guestRpte } from '../guest-view';
import { HPTE_R_C, HPTE_R_KEY, HPTE_R_RC, HPTE_V_ABSENT, HPTE_V_HVLOCK, HPTE_V_VALID, guestV } from '../hpte';
import { awaitUnlocked, lockHpte, tryLockHpte, unlockHpte } from '../hpte-lock';
import { STEP_TAKING, STEP_UNLINK, journalWords } from '../journal';
import { hpteAddress } from '../memory-map';
import { backingEndFrame, backingFirstFrame, frameOf, markDirty, rmapOf, setHostState, slotOf } from '../memslots';
import { actualPageShift, pageAddress } from '../page-sizes';
import { RMAP_INDEX, RMAP_PRESENT, RMAP_RC_SHIFT, lockChain, unlinkFromChain, unlockChain } from '../revmap';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';
import { beginInvalidation, endInvalidation } from './invalidation';

/** HOST_UNMAP: the backing page behind `gpa` goes away. False: no memory there. */
export function unmapBackingPage(gpa: u64): bool {
  const slot = slotOf(gpa);
  if (slot == 0) return false;
  const end = backingEndFrame(slot, gpa);
  // ORDER: counted in, then the page's state, then the chains, then the sequence; see invalidation.ts.
  beginInvalidation();
  for (let frame = backingFirstFrame(slot, gpa); frame < end; frame++) {
    setHostState(slot, frame, 0);
    unmapFrame(slot, frame);
  }
  endInvalidation();
  return true;
}

/** Empties the chain of a frame. */
export function unmapFrame(slot: usize, frame: u32): void {
  const rmap = rmapOf(slot, frame);
  for (;;) {
    const word = lockChain(rmap);
    if ((word & RMAP_PRESENT) == 0) {
      unlockChain(rmap, word, STEP_TAKING);
      return;
    }
    const ptex = word & RMAP_INDEX;
    const entry = hpteAddress(ptex);
    if (!tryLockHpte(entry, HPTE_V_HVLOCK)) {
      unlockChain(rmap, word, STEP_TAKING);
      awaitUnlocked(entry);
      continue;
    }
    detach(word, rmap, entry, ptex, slot, frame);
  }
}

/** Unmaps one entry. Only with the gate closed: nobody else holds its lock. */
export function unmapEntry(ptex: u64, slot: usize, frame: u32): void {
  const rmap = rmapOf(slot, frame);
  const entry = hpteAddress(ptex);
  lockHpte(entry);
  detach(lockChain(rmap), rmap, entry, ptex, slot, frame);
}

/** Takes an entry off its chain and makes it ABSENT. Both are locked by the caller; unlocks both. */
function detach(word: u64, rmap: usize, entry: usize, ptex: u64, slot: usize, frame: u32): void {
  const rest = unlinkFromChain(word, ptex);
  const rc = makeAbsent(entry, ptex, slot, frame);
  unlockChain(rmap, rest | (rc << RMAP_RC_SHIFT), STEP_UNLINK);
  unlockHpte(entry, load<u64>(entry));
}

/** An entry that is off its chain and locked, chain lock held too: VALID becomes ABSENT. Gives the R and C it had. */
function makeAbsent(entry: usize, ptex: u64, slot: usize, frame: u32): u64 {
  const locked = load<u64>(entry);
  const before = load<u64>(entry, 8);
  const v = guestV(locked, before);
  const guest = guestRpte(ptex);
  const shift = actualPageShift(v, guest);
  const gpa = pageAddress(guest, shift);
  if ((v & HPTE_V_VALID) == 0 || frameOf(slot, gpa) != frame) return 0;
  journalWords(0, entry, ptex);
  yieldPoint(AT_REAL);
  atomic.store<u64>(entry, (locked & ~HPTE_V_VALID) | HPTE_V_ABSENT);
  tlbie(v, before, ptex);
  tlbsync();
  const real = atomic.load<u64>(entry, 8);
  const rc = real & HPTE_R_RC;
  yieldPoint(AT_REAL);
  store<u64>(entry, real & ~HPTE_R_KEY, 8);
  if ((rc & HPTE_R_C) != 0) markDirty(slot, gpa, shift);
  if ((rc & ~guest) != 0) {
    setGuestRpte(ptex, guest | rc);
    noteModification(ptex);
  }
  return rc;
}
