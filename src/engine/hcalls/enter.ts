/**
 * H_ENTER: put an entry into a slot.
 *
 * What makes this hard: eight slots, no lock over the group. A first pass tries every slot once; a try can fail
 * because somebody else held the lock for an instant, on a slot that was free all along.
 *
 * When may H_ENTER answer H_PTEG_FULL? Only when at one instant all eight slots (with H_EXACT: that slot) were
 * taken. The protocol hptd started from gave up after the first pass: a thread that merely looked at a free slot
 * made it answer full. The change that followed added a second pass that really locks each slot, looks, and
 * unlocks. That is still not enough: an entry can hop from a slot ahead of the scan to one behind it, so that the
 * scan never meets the hole, though there was one at every instant.
 *
 * So the second pass here keeps the lock of every slot that it found taken. A slot it holds cannot change; when it
 * holds all eight they were all taken at the instant the last lock was got. Then, and only then, it answers
 * H_PTEG_FULL, and unlocks them.
 *
 * Why can that not deadlock? It waits for slots in ascending order, holding lower ones of the same group. Nobody
 * else waits for an entry lock while holding one (hpte-lock.ts), and chain locks are taken inside entry locks
 * and never wait for one (revmap.ts). DIFFERS: KVM HV unlocks each slot again.
 *
 * Both older protocols are kept for experiments: a guest made with `slotSearch` has its word SLOT_SEARCH set, which
 * is looked at only when the first pass found nothing. `npm run load -- contention` measures what each answers.
 *
 * SPEC: PAPR H_ENTER; order of checks and answers as KVM HV.
 */
import { H_EXACT, H_ZERO_PAGE } from '../flags';
import { noteModification, setGuestRpte } from '../guest-view';
import {
  HOST_FRAME_OFFSET, HPTE_R_G, HPTE_R_I, HPTE_R_KEY, HPTE_R_M, HPTE_R_PP0, HPTE_R_RC, HPTE_R_TS, HPTE_R_W,
  HPTE_R_WIMG, HPTE_V_1TB_SEG, HPTE_V_ABSENT, HPTE_V_B, HPTE_V_HVLOCK, HPTE_V_LARGE, HPTE_V_TAKEN, HPTE_V_VALID,
  guestV, isWritable, madeReadOnly, tableR, tableV,
} from '../hpte';
import { lockHpte, tryLockHpte, unlockHpte } from '../hpte-lock';
import { journalAnswer } from '../journal';
import {
  COUNT_SECOND_PASS, HOST_PAGE_SHIFT, MODE, PTEX_COUNT, SLOT_BACKING_SHIFT, SLOT_MEMORY, SLOT_SEARCH, SLOT_SEARCH_LINEARIZABLE,
  SLOT_SEARCH_ONE_PASS, hpteAddress, ptexOf,
} from '../memory-map';
import {
  HOST_CACHE_INHIBITED, HOST_PRESENT, HOST_WRITABLE, frameOf, hostState, markDirty, memoryOf, rmapOf,
  slotHoldsPages, slotNumber, slotOf,
} from '../memslots';
import { hostChangedSince, hostSequence } from '../host/invalidation';
import { SHIFT_64K, actualPageShift, pageAddress } from '../page-sizes';
import { RMAP_RC_SHIFT, appendToChain, lockChain, unlockChain } from '../revmap';
import {
  RULE_BACKING_TOO_SMALL, RULE_B_RESERVED, RULE_ENTERED, RULE_ENTERED_ABSENT, RULE_ENTERED_MMIO, RULE_GROUP_FULL,
  RULE_NO_TABLE, RULE_PAGE_SIZE_UNKNOWN, RULE_PTEX_RANGE, RULE_SLOT_MISALIGNED, RULE_SLOT_OCCUPIED,
  RULE_WIMG_CACHE_INHIBITED, RULE_ZERO_TOO_BIG,
} from '../rules';
import { H_FUNCTION, H_PARAMETER, H_PTEG_FULL, H_SUCCESS, H_TOO_BIG } from '../status';
import { answerWords, because, becauseDetail, count, explaining } from '../this-processor';
import { AT_REAL, AT_SLOT, yieldPoint } from '../yield-point';

const SLOTS: u64 = 8;

/** The entry being made: its words in guest form, and the frame to chain it to (0: MMIO, or the page is absent). */
let newV: u64 = 0;
let newR: u64 = 0;
let newRmap: usize = 0;
/** Size of the page of backed memory to zero before the entry is visible; 0: none. */
let newZeroShift: u32 = 0;
/** Which pass found the slot, and the journal's record of its lock. */
let newPass: u64 = 0;
let newRecord: u32 = 0;

/** in: flags, ptex, dword 0, dword 1. out: the ptex used. */
@inline
export function enter(args: usize, results: usize): i32 {
  return insert(load<u64>(args), load<u64>(args, 8), load<u64>(args, 16), load<u64>(args, 24), true, results);
}

/** Also how a table stream is loaded, which `answers` something else than the entry. */
@inline
export function insert(flags: u64, ptex: u64, v: u64, r: u64, answers: bool, results: usize): i32 {
  if (load<u32>(MODE) == 0) return refuse(H_FUNCTION, RULE_NO_TABLE, 0, 0);
  if ((v & HPTE_V_B) > HPTE_V_1TB_SEG) return refuse(H_PARAMETER, RULE_B_RESERVED, v >> 62, 0);
  const shift = actualPageShift(v, r);
  if (shift == 0) return refuse(H_PARAMETER, RULE_PAGE_SIZE_UNKNOWN, (v & HPTE_V_LARGE) >> 2, (r >> 12) & 0xff);
  const gpa = pageAddress(r, shift);
  // ORDER: before the host page is looked at; publish() asks again under the chain lock.
  const sequence = hostSequence();
  const memslot = slotOf(gpa);
  newRmap = 0;
  newZeroShift = 0;
  if (memslot == 0) {
    newV = bare(v) | HPTE_V_ABSENT;
    newR = (r & ~HPTE_R_TS) | HPTE_R_KEY;
  } else {
    const status = composeMemory(memslot, gpa, shift, sequence, v, r, (flags & H_ZERO_PAGE) != 0);
    if (status != H_SUCCESS) return status;
  }
  const entries = load<u64>(PTEX_COUNT);
  if (ptex >= entries) return refuse(H_PARAMETER, RULE_PTEX_RANGE, ptex, entries);
  newPass = 1;
  newRecord = 0;
  const entry = (flags & H_EXACT) != 0 ? lockThatSlot(ptex) : lockFreeSlot(ptex & ~(SLOTS - 1));
  if (entry == 0) return H_PTEG_FULL;
  publish(entry, gpa, sequence, r & ~HPTE_R_TS, answers, results);
  return H_SUCCESS;
}

/** dword 0 without what a guest has no say in. */
@inline
function bare(v: u64): u64 {
  return v & ~(HPTE_V_HVLOCK | HPTE_V_TAKEN);
}

/** The real words of an entry that maps memory: host page, absence, read-only, cacheability. */
@inline
function composeMemory(memslot: usize, gpa: u64, shift: u32, sequence: u64, v: u64, r: u64, zero: bool): i32 {
  if (shift > load<u32>(HOST_PAGE_SHIFT) && !slotHoldsPages(memslot, shift)) {
    return refuse(H_PARAMETER, RULE_SLOT_MISALIGNED, slotNumber(memslot), shift);
  }
  const backingShift = load<u32>(memslot + SLOT_BACKING_SHIFT);
  if (backingShift < shift) return refuse(H_PARAMETER, RULE_BACKING_TOO_SMALL, backingShift, shift);
  const frame = frameOf(memslot, gpa);
  let host = hostState(memslot, frame);
  let real = r & (HPTE_R_KEY | HPTE_R_PP0 | ~(~(<u64>0) << <u64>shift));
  if ((host & HOST_PRESENT) != 0 && !hostChangedSince(sequence)) {
    if ((host & HOST_WRITABLE) == 0 && isWritable(r)) real = madeReadOnly(real);
    real |= gpa + HOST_FRAME_OFFSET;
    newV = bare(v) | HPTE_V_VALID;
    newRmap = rmapOf(memslot, frame);
  } else {
    // Key bits 0 tell a page that is away from MMIO, whose real key is all ones.
    real &= ~HPTE_R_KEY;
    newV = bare(v) | HPTE_V_ABSENT;
    host = 0;
  }
  // Nearly every page is plain memory, mapped as such: nothing to look into.
  if ((((real & HPTE_R_WIMG) ^ HPTE_R_M) | <u64>(host & HOST_CACHE_INHIBITED)) != 0) {
    const inhibited = (host & HOST_CACHE_INHIBITED) != 0;
    if (!cacheabilityFits(real, inhibited)) {
      if (inhibited) return refuse(H_PARAMETER, RULE_WIMG_CACHE_INHIBITED, (real & HPTE_R_WIMG) >> 3, gpa);
      real = (real & ~(HPTE_R_W | HPTE_R_I | HPTE_R_G)) | HPTE_R_M;
    }
  }
  newR = real;
  // DIFFERS: KVM HV ignores H_ZERO_PAGE; where guest memory is kept the page is zeroed as PAPR asks.
  if (zero && load<u32>(memslot + SLOT_MEMORY) != 0) {
    if (shift > SHIFT_64K) return refuse(H_TOO_BIG, RULE_ZERO_TOO_BIG, shift, 0);
    newZeroShift = shift;
  }
  return H_SUCCESS;
}

/** SPEC: KVM HV: memory wants WIMG 0010 (or 1110, strong order), a cache-inhibited page I without W. */
export function cacheabilityFits(r: u64, inhibited: bool): bool {
  const wimg = r & HPTE_R_WIMG;
  if (inhibited) return (wimg & (HPTE_R_W | HPTE_R_I)) == HPTE_R_I;
  return wimg == HPTE_R_M || wimg == (HPTE_R_W | HPTE_R_I | HPTE_R_M);
}

/** H_EXACT: locks that slot if it is free. A failed try means only that somebody had it: look again, waiting. */
function lockThatSlot(ptex: u64): usize {
  const entry = hpteAddress(ptex);
  if (tryLockHpte(entry, HPTE_V_HVLOCK | HPTE_V_TAKEN)) return entry;
  if (load<u32>(SLOT_SEARCH) == SLOT_SEARCH_ONE_PASS) {
    because(RULE_SLOT_OCCUPIED, ptex, guestV(load<u64>(entry), load<u64>(entry, 8)) & ~HPTE_V_HVLOCK);
    return 0;
  }
  newPass = 2;
  const v = lockHpte(entry);
  if ((v & HPTE_V_TAKEN) == 0) return entry;
  because(RULE_SLOT_OCCUPIED, ptex, guestV(v, load<u64>(entry, 8)) & ~HPTE_V_HVLOCK);
  unlockHpte(entry, v);
  return 0;
}

/** Locks a free slot of the group at `first`: one try each, then the pass that cannot be fooled. */
@inline
function lockFreeSlot(first: u64): usize {
  let entry = hpteAddress(first);
  const end = entry + (<usize>SLOTS << 4);
  for (; entry < end; entry += 16) {
    yieldPoint(AT_SLOT);
    // RACE: a plain look to pass taken slots by without a locked instruction; tryLockHpte looks again.
    if ((load<u64>(entry) & HPTE_V_VALID) == 0 && tryLockHpte(entry, HPTE_V_HVLOCK | HPTE_V_TAKEN)) return entry;
  }
  return lockFreeSlotAgain(first);
}

/** The first pass found nothing: the second one, or what stood in its place in older protocols. */
function lockFreeSlotAgain(first: u64): usize {
  const search = load<u32>(SLOT_SEARCH);
  return search == SLOT_SEARCH_LINEARIZABLE ? lockFreeSlotForSure(first) : lockFreeSlotAsBefore(first, search);
}

/** The older protocols: the group is full (one pass), or each slot is locked, looked at and unlocked (two passes). */
function lockFreeSlotAsBefore(first: u64, search: u32): usize {
  count(COUNT_SECOND_PASS, 1);
  newPass = 2;
  for (let i: u64 = 0; i < SLOTS && search != SLOT_SEARCH_ONE_PASS; i++) {
    const entry = hpteAddress(first + i);
    const v = lockHpte(entry);
    if ((v & HPTE_V_TAKEN) == 0) return entry;
    unlockHpte(entry, v);
  }
  // RACE: what stands in the slots by now; the answer was decided on what stood there at eight instants.
  because(RULE_GROUP_FULL, first >> 3);
  for (let i: u64 = 0; i < SLOTS; i++) {
    const entry = hpteAddress(first + i);
    becauseDetail(<u32>i + 1, guestV(load<u64>(entry), load<u64>(entry, 8)) & ~HPTE_V_HVLOCK);
  }
  return 0;
}

/** Keeps every taken slot locked until it meets a free one or holds all eight. Returns with the free one locked only. */
function lockFreeSlotForSure(first: u64): usize {
  count(COUNT_SECOND_PASS, 1);
  newPass = 2;
  let held: u64 = 0;
  while (held < SLOTS && (lockHpte(hpteAddress(first + held), <u32>held) & HPTE_V_TAKEN) != 0) held++;
  newRecord = <u32>held;
  const found = held < SLOTS ? hpteAddress(first + held) : 0;
  if (found == 0) because(RULE_GROUP_FULL, first >> 3);
  for (let i: u64 = 0; i < held; i++) {
    const entry = hpteAddress(first + i);
    const v = load<u64>(entry);
    if (found == 0) becauseDetail(<u32>i + 1, guestV(v, load<u64>(entry, 8)) & ~HPTE_V_HVLOCK);
    unlockHpte(entry, v, <u32>i);
  }
  return found;
}

/**
 * Fills the slot, which the caller has locked, links it to its frame, and unlocks it by making it visible. `guest`: its
 * guest_rpte. If it `answers`, its ptex goes to `results`.
 */
@inline
function publish(entry: usize, gpa: u64, sequence: u64, guest: u64, answers: bool, results: usize): void {
  const ptex = ptexOf(entry);
  if (answers) {
    store<u64>(results, ptex);
    answerWords(1);
  }
  if (newZeroShift != 0) zeroPage(gpa);
  setGuestRpte(ptex, guest);
  noteModification(ptex);
  const rmap = newRmap;
  if (rmap != 0) linkUnlessHostChanged(rmap, ptex, sequence);
  if (explaining) explainEntered(ptex, gpa);
  yieldPoint(AT_REAL);
  store<u64>(entry, tableR(newV, newR), 8);
  if (answers) journalAnswer(H_SUCCESS, 1);
  // ORDER: dword 1 before dword 0, so that whoever sees VALID sees the whole entry.
  unlockHpte(entry, tableV(newV), newRecord);
}

function zeroPage(gpa: u64): void {
  memory.fill(memoryOf(gpa), 0, <usize>1 << newZeroShift);
  markDirty(slotOf(gpa), gpa, newZeroShift);
}

/**
 * Chains the entry to its frame; the real R and C start as what guest and host both have.
 * If the host took the page away since we looked, its notifier may have passed this chain already: the entry then
 * becomes ABSENT. ORDER: asked under the chain lock, which the notifier takes for every frame after it counted.
 */
@inline
function linkUnlessHostChanged(rmap: usize, ptex: u64, sequence: u64): void {
  const word = lockChain(rmap);
  if (hostChangedSince(sequence)) {
    unlockChain(rmap, word);
    newV = (newV & ~HPTE_V_VALID) | HPTE_V_ABSENT;
    newR &= ~HPTE_R_KEY;
  } else {
    newR &= ~HPTE_R_RC | (word >> RMAP_RC_SHIFT);
    unlockChain(rmap, appendToChain(word, ptex));
  }
}

function explainEntered(ptex: u64, gpa: u64): void {
  if ((newV & HPTE_V_VALID) != 0) because(RULE_ENTERED, ptex, newPass);
  else because((newR & HPTE_R_KEY) == HPTE_R_KEY ? RULE_ENTERED_MMIO : RULE_ENTERED_ABSENT, ptex, gpa);
}

function refuse(status: i32, rule: u32, detail0: u64, detail1: u64): i32 {
  because(rule, detail0, detail1);
  return status;
}
