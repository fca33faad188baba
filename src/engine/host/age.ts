/**
 * The host asks whether a page was referenced since it last asked, to find pages it can take away.
 *
 * It clears R in the real entries and in the frame's rmap word, its own view; what it clears it hands to the guest's
 * view first, where R stays until the guest clears it. Starts from a chain: see unmap.ts for the order of locks.
 */
import { guestRpte, noteModification, setGuestRpte } from '../guest-view';
import { HPTE_R_R, HPTE_V_HVLOCK, HPTE_V_VALID, guestV } from '../hpte';
import { awaitUnlocked, tryLockHpte, unlockHpte } from '../hpte-lock';
import { STEP_TAKING, journalNote, journalWords, setJournalNote } from '../journal';
import { hpteAddress } from '../memory-map';
import { backingEndFrame, backingFirstFrame, rmapOf, slotOf } from '../memslots';
import { RMAP_INDEX, RMAP_PRESENT, RMAP_REFERENCED, lockChain, nextInChain, unlockChain } from '../revmap';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';

/** HOST_AGE: was the backing page behind `gpa` referenced? */
export function ageBackingPage(gpa: u64): bool {
  const slot = slotOf(gpa);
  if (slot == 0) return false;
  const end = backingEndFrame(slot, gpa);
  // What a dead processor met before it died counts.
  let referenced = journalNote() == NOTE_AGED;
  for (let frame = backingFirstFrame(slot, gpa); frame < end; frame++) {
    if (ageFrame(rmapOf(slot, frame))) referenced = true;
  }
  return referenced;
}

function ageFrame(rmap: usize): bool {
  let busy: usize = 0;
  aged = false;
  do {
    if (busy != 0) awaitUnlocked(busy);
    const word = lockChain(rmap);
    if ((word & RMAP_REFERENCED) != 0) noteAged();
    busy = (word & RMAP_PRESENT) == 0 ? <usize>0 : ageChain(word & RMAP_INDEX);
    unlockChain(rmap, word & ~RMAP_REFERENCED, STEP_TAKING);
  } while (busy != 0);
  return aged;
}

/** Was an R met in the frame at hand, in its rmap word or in an entry? */
let aged: bool = false;
const NOTE_AGED: u32 = 2;

/** ORDER: journalled before the R is cleared, because nobody can find it out again. */
function noteAged(): void {
  aged = true;
  setJournalNote(NOTE_AGED);
}

/** Clears R along a locked chain. Gives the address of an entry that was busy, or 0 when it went all the way. */
function ageChain(head: u64): usize {
  let ptex = head;
  do {
    const entry = hpteAddress(ptex);
    // RACE: a plain look passes by entries without R; R set at this instant counts for the next time.
    if ((load<u64>(entry, 8) & HPTE_R_R) != 0) {
      if (!tryLockHpte(entry, HPTE_V_HVLOCK)) return entry;
      ageEntry(entry, ptex);
    }
    ptex = nextInChain(ptex);
  } while (ptex != head);
  return 0;
}

/** An entry that the caller has locked; unlocks it. */
function ageEntry(entry: usize, ptex: u64): void {
  const locked = load<u64>(entry);
  const real = atomic.load<u64>(entry, 8);
  const v = guestV(locked, real);
  if ((v & HPTE_V_VALID) != 0 && (real & HPTE_R_R) != 0) {
    journalWords(0, entry, ptex);
    noteAged();
    yieldPoint(AT_REAL);
    // C may be set by the hardware at the same time and must stay: an atomic and.
    atomic.and<u64>(entry, ~HPTE_R_R, 8);
    tlbie(v, real, ptex);
    tlbsync();
    const guest = guestRpte(ptex);
    if ((guest & HPTE_R_R) == 0) {
      setGuestRpte(ptex, guest | HPTE_R_R);
      noteModification(ptex);
    }
  }
  unlockHpte(entry, locked);
}
