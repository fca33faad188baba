/**
 * The reverse map: from a guest frame to the entries that map it.
 *
 *   rmap word of a frame   63      44  43   42    41 40 39 38    34  33    32      31        0
 *                         +----------+----+---------+--+--+--------+----+---------+-----------+
 *                         |    0     |lock|    0    |R |C |   0    |many| present | head ptex |
 *                         +----------+----+---------+--+--+--------+----+---------+-----------+
 *   chain: a ring through forw/back of the VALID entries whose first frame this is; the newest is the tail.
 *
 * Lock order: an entry's HVLOCK, then the chain lock. Code that starts from a chain holds the chain lock first and
 * may only try an entry lock; if that fails it drops the chain lock, waits, and starts the chain over.
 * The chain lock is held for a few stores; nothing is waited for under it.
 *
 * Most frames are mapped once, so most chains are born and die with one entry. Why need that no lock? A word that is not
 * locked and not present is an empty chain; one that is present and not `many` is its only entry. In both the word says
 * all there is to say of the chain, so one compare-and-swap of it changes the chain: appendAlone, unlinkAlone. Whoever makes
 * a chain longer sets `many`, and it stays until the chain is empty; so a word that is the same again is the same chain.
 * Who holds the lock is alone all the same, because the bit of it makes the compare fail.
 *
 * ORDER: as in hpte-lock.ts. The links are plain words: only the holder of the chain lock touches them, and before an entry is
 * on its chain the holder of the entry.
 */
import { mayWait } from './gate';
import { HPTE_R_C, HPTE_R_R, HPTE_R_RC } from './hpte';
import { STEP_APPEND, STEP_UNLINK, journalAlone, journalChain, journalChainRelease, journalChainReleased, journalLink } from './journal';
import { COUNT_CHAIN_WAITS, revmapAddress } from './memory-map';
import { frameOf, markDirty, rmapOf, slotOf } from './memslots';
import { actualPageShift, pageAddress } from './page-sizes';
import { noteChange } from './pieces';
import { count } from './this-processor';
import {
  AT_CHAIN_LINK, AT_CHAIN_LOCK, AT_CHAIN_LOCKED, AT_CHAIN_UNLOCK, AT_CHAIN_UNLOCKED, AT_GUEST_VIEW, giveCoreAway, yieldPoint,
} from './yield-point';

export const RMAP_INDEX: u64 = 0xffffffff;
export const RMAP_PRESENT: u64 = 1 << 32;
/** There is, or was since it was empty, more than one entry. */
const RMAP_MANY: u64 = 1 << 33;
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
  // RACE: a plain look; what it saw counts only if it is still there when the lock is taken.
  const word = load<u64>(rmap);
  if ((word & RMAP_LOCK) == 0) {
    if (lockChainIfStill(rmap, word)) {
      yieldPoint(AT_CHAIN_LOCKED);
      return word;
    }
  }
  return awaitChain(rmap);
}

/** `word`: what the rmap word was just now, not locked. */
@inline
function lockChainIfStill(rmap: usize, word: u64): bool {
  journalChain(rmap);
  noteChange(rmap);
  return atomic.cmpxchg<u64>(rmap, word, word | RMAP_LOCK) == word;
}

function awaitChain(rmap: usize): u64 {
  count(COUNT_CHAIN_WAITS, 1);
  let spins: u32 = 0;
  let word: u64;
  do {
    mayWait();
    word = atomic.load<u64>(rmap);
    if (++spins >= SPINS && (word & RMAP_LOCK) != 0) giveCoreAway(rmap + 4, <i32>(word >> 32), WAIT_NANOS);
  } while ((word & RMAP_LOCK) != 0 || !lockChainIfStill(rmap, word));
  yieldPoint(AT_CHAIN_LOCKED);
  return word;
}

/**
 * Releases the chain lock; the rmap word becomes `word`, in which it is not set. `step`: STEP_APPEND or STEP_UNLINK after
 * that, else STEP_TAKING.
 */
@inline
export function unlockChain(rmap: usize, word: u64, step: u32): void {
  journalChainRelease(word, step);
  yieldPoint(AT_CHAIN_UNLOCK);
  atomic.store<u64>(rmap, word);
  yieldPoint(AT_CHAIN_UNLOCKED);
  journalChainReleased();
}

/**
 * Puts an entry, which the caller has locked, on a chain that is empty and not locked, as `word` says. False: the
 * chain is not so any more, and nothing has happened.
 */
@inline
export function appendAlone(rmap: usize, word: u64, ptex: u64): bool {
  const entry = revmapAddress(ptex);
  store<u32>(entry, <u32>ptex, FORW);
  store<u32>(entry, <u32>ptex, BACK);
  return replaceWord(rmap, word, (word & ~RMAP_INDEX) | ptex | RMAP_PRESENT, ptex);
}

/** Is a chain, by its word, empty and not locked? */
@inline
export function isEmptyChain(word: u64): bool {
  return (word & (RMAP_LOCK | RMAP_PRESENT)) == 0;
}

/**
 * Takes an entry, which the caller has locked, off its chain if it is alone there, and hands R on. False: nothing has
 * happened.
 */
@inline
function unlinkAlone(rmap: usize, ptex: u64, rc: u64): bool {
  // RACE: a plain look; what it saw counts only if it is still there when the word is replaced.
  const word = load<u64>(rmap);
  if ((word & (RMAP_LOCK | RMAP_MANY | RMAP_PRESENT | RMAP_INDEX)) != (RMAP_PRESENT | ptex)) return false;
  return replaceWord(rmap, word, (word & ~(RMAP_PRESENT | RMAP_INDEX)) | (rc << RMAP_RC_SHIFT), ptex);
}

@inline
function replaceWord(rmap: usize, from: u64, to: u64, ptex: u64): bool {
  journalAlone(rmap, ptex);
  yieldPoint(AT_CHAIN_LOCK);
  noteChange(rmap);
  if (atomic.cmpxchg<u64>(rmap, from, to) != from) return false;
  yieldPoint(AT_CHAIN_UNLOCKED);
  return true;
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
  linkNeighbour(tail, <u32>ptex, FORW);
  linkNeighbour(word & RMAP_INDEX, <u32>ptex, BACK);
  return word | RMAP_MANY;
}

/** One link of an entry that nobody need have locked. */
@inline
function linkNeighbour(neighbour: u64, ptex: u32, link: usize): void {
  const links = revmapAddress(neighbour);
  noteChange(links);
  yieldPoint(AT_CHAIN_LINK);
  store<u32>(links + link, ptex);
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
  // The last of its chain.
  if (<u64>forw == ptex) return word & ~(RMAP_MANY | RMAP_PRESENT | RMAP_INDEX);
  linkNeighbour(forw, back, BACK);
  linkNeighbour(back, forw, FORW);
  return (word & RMAP_INDEX) == ptex ? (word & ~RMAP_INDEX) | <u64>forw : word;
}

/** The next entry of a chain that the caller has locked. */
export function nextInChain(ptex: u64): u64 {
  return load<u32>(revmapAddress(ptex), FORW);
}

/** Nobody may change the chain meanwhile. */
export function isOnChain(rmap: usize, ptex: u64): bool {
  const word = load<u64>(rmap);
  if ((word & RMAP_PRESENT) == 0) return false;
  const head = word & RMAP_INDEX;
  let at = head;
  while (at != ptex) {
    at = nextInChain(at);
    if (at == head) return false;
  }
  return true;
}

/**
 * Takes an entry that was VALID, is locked and has been invalidated, out of its chain, and passes on what the
 * hardware noted: R and C to the guest's view and to the frame, C to the dirty bitmap too. `v`: its dword 0 in guest
 * form; `real`: its dword 1 read after the invalidation. Gives the guest's view.
 */
@inline
export function unlinkInvalidated(v: u64, real: u64, ptex: u64): u64 {
  const revmap = revmapAddress(ptex);
  const rc = real & HPTE_R_RC;
  const guest = load<u64>(revmap) | rc;
  yieldPoint(AT_GUEST_VIEW);
  store<u64>(revmap, guest);
  const shift = actualPageShift(v, guest);
  const gpa = pageAddress(guest, shift);
  const slot = slotOf(gpa);
  if (slot == 0) return guest;
  const rmap = rmapOf(slot, frameOf(slot, gpa));
  // C must be in the dirty bitmap before a harvest finds the entry gone, and not sooner: under the lock.
  if ((rc & HPTE_R_C) == 0) {
    if (unlinkAlone(rmap, ptex, rc)) return guest;
  }
  const word = unlinkFromChain(lockChain(rmap), ptex);
  // ORDER: under the chain lock: a harvest that finds the entry gone from its chain must find the page dirty.
  if ((rc & HPTE_R_C) != 0) markDirty(slot, gpa, shift);
  unlockChain(rmap, word | (rc << RMAP_RC_SHIFT), STEP_UNLINK);
  return guest;
}
