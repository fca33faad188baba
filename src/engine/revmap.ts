/**
 * The reverse map: from a guest frame to the entries that map it.
 *
 *   rmap word of a frame   63      44  43   42    41 40 39 38    33    32     31        0
 *                         +----------+----+---------+--+--+--------+---------+-----------+
 *                         |    0     |lock|    0    |R |C |   0    | present | head ptex |
 *                         +----------+----+---------+--+--+--------+---------+-----------+
 *   chain: a ring through forw/back of the VALID entries whose first frame this is; the newest is the tail.
 *
 * Lock order: an entry's HVLOCK, then the chain lock. Code that starts from a chain holds the chain lock first and
 * may only try an entry lock; if that fails it drops the chain lock, waits, and starts the chain over.
 * The chain lock is held for a few stores; nothing is waited for under it.
 *
 * ORDER: as in hpte-lock.ts. The links are plain words: only the holder of the chain lock touches them.
 */
import { mayWait } from './gate';
import { HPTE_R_C, HPTE_R_R, HPTE_R_RC } from './hpte';
import { STEP_APPEND, STEP_UNLINK, journalChain, journalChainRelease, journalLink } from './journal';
import { COUNT_CHAIN_WAITS, revmapAddress } from './memory-map';
import { frameOf, markDirty, rmapOf, slotOf } from './memslots';
import { actualPageShift, pageAddress } from './page-sizes';
import { count } from './this-processor';
import {
  AT_CHAIN_LINK, AT_CHAIN_LOCK, AT_CHAIN_LOCKED, AT_CHAIN_UNLOCK, AT_CHAIN_UNLOCKED, AT_GUEST_VIEW, giveCoreAway, yieldPoint,
} from './yield-point';

export const RMAP_INDEX: u64 = 0xffffffff;
export const RMAP_PRESENT: u64 = 1 << 32;
/** R and C of dword 1, moved up: what entries of this frame had when they went away, for the host. */
export const RMAP_RC_SHIFT: u64 = 32;
export const RMAP_REFERENCED: u64 = HPTE_R_R << RMAP_RC_SHIFT;
export const RMAP_LOCK: u64 = 1 << 43;

const FORW: usize = 8;
const BACK: usize = 12;
/** As in hpte-lock.ts. */
const SPINS: u32 = 200;
const WAIT_NANOS: i64 = 20000;

/** Takes the chain lock, waiting for it. Gives the rmap word without the lock. */
@inline
export function lockChain(rmap: usize): u64 {
  yieldPoint(AT_CHAIN_LOCK);
  const word = atomic.load<u64>(rmap);
  if (!tryLockChain(rmap, word)) return lockChainContended(rmap);
  yieldPoint(AT_CHAIN_LOCKED);
  return word;
}

/** `word`: what the rmap word was just now. */
@inline
function tryLockChain(rmap: usize, word: u64): bool {
  if ((word & RMAP_LOCK) != 0) return false;
  journalChain(rmap);
  return atomic.cmpxchg<u64>(rmap, word, word | RMAP_LOCK) == word;
}

function lockChainContended(rmap: usize): u64 {
  count(COUNT_CHAIN_WAITS, 1);
  let spins: u32 = 0;
  let word: u64;
  do {
    mayWait();
    word = atomic.load<u64>(rmap);
    if (++spins >= SPINS && (word & RMAP_LOCK) != 0) giveCoreAway(rmap + 4, <i32>(word >> 32), WAIT_NANOS);
  } while (!tryLockChain(rmap, word));
  yieldPoint(AT_CHAIN_LOCKED);
  return word;
}

/** Releases the chain lock; the rmap word becomes `word`. */
@inline
export function unlockChain(rmap: usize, word: u64): void {
  journalChainRelease(word & ~RMAP_LOCK);
  yieldPoint(AT_CHAIN_UNLOCK);
  atomic.store<u64>(rmap, word & ~RMAP_LOCK);
  yieldPoint(AT_CHAIN_UNLOCKED);
}

/** Puts an entry at the tail of a chain that the caller has locked. Gives the new rmap word; does not unlock. */
@inline
export function appendToChain(word: u64, ptex: u64): u64 {
  const tail = (word & RMAP_PRESENT) == 0 ? <u32>ptex : load<u32>(revmapAddress(word & RMAP_INDEX), BACK);
  journalLink(STEP_APPEND, ptex, tail, 0);
  return linkAtTail(word, ptex, tail);
}

/** The stores of an append. May be done again from the start, with the same words. */
@inline
export function linkAtTail(word: u64, ptex: u64, tail: u32): u64 {
  const entry = revmapAddress(ptex);
  if ((word & RMAP_PRESENT) == 0) {
    store<u32>(entry, <u32>ptex, FORW);
    store<u32>(entry, <u32>ptex, BACK);
    return (word & ~RMAP_INDEX) | ptex | RMAP_PRESENT;
  }
  store<u32>(entry, <u32>(word & RMAP_INDEX), FORW);
  store<u32>(entry, tail, BACK);
  yieldPoint(AT_CHAIN_LINK);
  store<u32>(revmapAddress(tail), <u32>ptex, FORW);
  yieldPoint(AT_CHAIN_LINK);
  store<u32>(revmapAddress(word & RMAP_INDEX), <u32>ptex, BACK);
  return word;
}

/** Takes an entry out of a chain that the caller has locked. Gives the new rmap word; does not unlock. */
@inline
export function unlinkFromChain(word: u64, ptex: u64): u64 {
  const entry = revmapAddress(ptex);
  const forw = load<u32>(entry, FORW);
  const back = load<u32>(entry, BACK);
  journalLink(STEP_UNLINK, ptex, forw, back);
  return linkAround(word, ptex, forw, back);
}

/** The stores of an unlink. May be done again from the start, with the same words. */
@inline
export function linkAround(word: u64, ptex: u64, forw: u32, back: u32): u64 {
  // The only one of its chain, as most are.
  if (<u64>forw == ptex) return word & ~(RMAP_PRESENT | RMAP_INDEX);
  yieldPoint(AT_CHAIN_LINK);
  store<u32>(revmapAddress(forw), back, BACK);
  yieldPoint(AT_CHAIN_LINK);
  store<u32>(revmapAddress(back), forw, FORW);
  return (word & RMAP_INDEX) == ptex ? (word & ~RMAP_INDEX) | <u64>forw : word;
}

/** The next entry of a chain that the caller has locked. */
export function nextInChain(ptex: u64): u64 {
  return load<u32>(revmapAddress(ptex), FORW);
}

export function previousInChain(ptex: u64): u64 {
  return load<u32>(revmapAddress(ptex), BACK);
}

/**
 * Takes an entry that was VALID, is locked and has been invalidated, out of its chain, and passes on what the
 * hardware noted: R and C to the guest's view and to the frame, C to the dirty bitmap too. `v`: its dword 0 in guest
 * form; `real`: its dword 1 read after the invalidation.
 */
@inline
export function unlinkInvalidated(v: u64, real: u64, ptex: u64): void {
  const revmap = revmapAddress(ptex);
  const rc = real & HPTE_R_RC;
  const guest = load<u64>(revmap) | rc;
  yieldPoint(AT_GUEST_VIEW);
  store<u64>(revmap, guest);
  const shift = actualPageShift(v, guest);
  const gpa = pageAddress(guest, shift);
  const slot = slotOf(gpa);
  if (slot == 0) return;
  const rmap = rmapOf(slot, frameOf(slot, gpa));
  const word = unlinkFromChain(lockChain(rmap), ptex);
  // ORDER: under the chain lock: a harvest that finds the entry gone from its chain must find the page dirty.
  if ((rc & HPTE_R_C) != 0) markDirty(slot, gpa, shift);
  unlockChain(rmap, word | (rc << RMAP_RC_SHIFT));
}
