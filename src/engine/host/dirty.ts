/**
 * The dirty bitmap: which host pages were written since it was last harvested.
 *
 * C in a real entry is not in the bitmap yet. So a harvest first walks the frame's chain: each entry with C is made
 * ABSENT for a moment, so that C is stable, C goes to the guest's view, and the entry is VALID again. A huge page is
 * chained at its first frame only, and its C marks every host page of it: so the chain of a frame can mark others.
 * Starts from a chain: see unmap.ts for the order of locks.
 */
import { guestRpte, noteModification, setGuestRpte } from '../guest-view';
import { HPTE_R_C, HPTE_V_ABSENT, HPTE_V_HVLOCK, HPTE_V_VALID, guestV } from '../hpte';
import { awaitUnlocked, tryLockHpte, unlockHpte } from '../hpte-lock';
import { STEP_TAKING, journalNote, journalWords, setJournalNote } from '../journal';
import { HOST_PAGE_SHIFT, SLOT_BASE, SLOT_DIRTY, hpteAddress } from '../memory-map';
import { frameOf, framesOf, markDirty, rmapOf, slotOf } from '../memslots';
import { SHIFT_16G, actualPageShift, pageAddress } from '../page-sizes';
import { noteChange } from '../pieces';
import { RMAP_INDEX, RMAP_PRESENT, lockChain, nextInChain, unlockChain } from '../revmap';
import { tlbie, tlbsync } from '../tlbie';
import { AT_DIRTY, AT_REAL, yieldPoint } from '../yield-point';

/**
 * HOST_DIRTY: harvests and clears `frames` host pages from `gpa` on, into words of 64 at `to`. Gives how many were
 * dirty, or -1 where there is no memory.
 */
export function harvestDirty(gpa: u64, frames: u32, to: usize): i64 {
  const slot = slotOf(gpa);
  if (slot == 0) return -1;
  const first = frameOf(slot, gpa);
  const end = <u32>min<u64>(<u64>first + <u64>frames, framesOf(slot));
  const words = (frames + 63) / 64;
  // Going on where a dead processor stopped: what it harvested stands in the answer.
  if (journalNote() == 0) memory.fill(to, 0, <usize>words << 3);
  setJournalNote(1);
  walkChainsThatCover(slot, first, end);
  for (let frame = first; frame < end; frame++) {
    const bit = <u64>1 << <u64>(frame & 63);
    const word = <usize>load<u32>(slot + SLOT_DIRTY) + (<usize>(frame >> 6) << 3);
    if ((atomic.load<u64>(word) & bit) == 0) continue;
    const at = to + (<usize>((frame - first) >> 6) << 3);
    // ORDER: into the answer before out of the bitmap. Two harvesters at once may both report a page, none loses it.
    store<u64>(at, load<u64>(at) | (<u64>1 << <u64>((frame - first) & 63)));
    noteChange(word);
    yieldPoint(AT_DIRTY);
    atomic.and<u64>(word, ~bit);
  }
  let dirty: i64 = 0;
  for (let i: u32 = 0; i < words; i++) dirty += popcnt<u64>(load<u64>(to + (<usize>i << 3)));
  return dirty;
}

/** Chains of the frames asked for, and of the first frames of huge pages that may reach into them. */
function walkChainsThatCover(slot: usize, first: u32, end: u32): void {
  for (let frame = first; frame < end; frame++) collectChain(slot, frame);
  const gpa = load<u64>(slot + SLOT_BASE) + (<u64>first << <u64>load<u32>(HOST_PAGE_SHIFT));
  for (let shift: u32 = 16; shift <= SHIFT_16G; shift = shift == 16 ? 24 : shift + 10) {
    const head = gpa & ~((<u64>1 << <u64>shift) - 1);
    if (head < gpa && head >= load<u64>(slot + SLOT_BASE)) collectChain(slot, frameOf(slot, head));
  }
}

/** Moves C of every entry chained at a frame to the guest's view and the dirty bitmap. */
function collectChain(slot: usize, frame: u32): void {
  const rmap = rmapOf(slot, frame);
  for (;;) {
    const word = lockChain(rmap);
    const busy = (word & RMAP_PRESENT) == 0 ? <usize>0 : collectLocked(word & RMAP_INDEX, slot);
    unlockChain(rmap, word, STEP_TAKING);
    if (busy == 0) return;
    awaitUnlocked(busy);
  }
}

/** Along a locked chain. Gives the address of an entry that was busy, or 0 when it went all the way. */
function collectLocked(head: u64, slot: usize): usize {
  let ptex = head;
  do {
    const entry = hpteAddress(ptex);
    // RACE: a plain look; C set at this instant belongs to the next harvest.
    if ((load<u64>(entry, 8) & HPTE_R_C) != 0) {
      if (!tryLockHpte(entry, HPTE_V_HVLOCK)) return entry;
      collectEntry(entry, ptex, slot);
    }
    ptex = nextInChain(ptex);
  } while (ptex != head);
  return 0;
}

/** An entry that the caller has locked; unlocks it whatever it finds. */
function collectEntry(entry: usize, ptex: u64, slot: usize): void {
  const locked = load<u64>(entry);
  const before = load<u64>(entry, 8);
  const v = guestV(locked, before);
  if ((v & HPTE_V_VALID) != 0) {
    journalWords(0, entry, ptex);
    yieldPoint(AT_REAL);
    atomic.store<u64>(entry, (locked & ~HPTE_V_VALID) | HPTE_V_ABSENT);
    tlbie(v, before, ptex);
    tlbsync();
    const real = atomic.load<u64>(entry, 8);
    if ((real & HPTE_R_C) != 0) {
      const guest = guestRpte(ptex);
      yieldPoint(AT_REAL);
      store<u64>(entry, real & ~HPTE_R_C, 8);
      if ((guest & HPTE_R_C) == 0) {
        setGuestRpte(ptex, guest | HPTE_R_C);
        noteModification(ptex);
      }
      const shift = actualPageShift(v, guest);
      markDirty(slot, pageAddress(guest, shift), shift);
    }
  }
  unlockHpte(entry, locked);
}
