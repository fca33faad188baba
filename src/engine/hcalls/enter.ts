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
  HPTE_R_WIMG, HPTE_V_ABSENT, HPTE_V_B_RESERVED, HPTE_V_HVLOCK, HPTE_V_LARGE, HPTE_V_TAKEN, HPTE_V_VALID,
  guestV, isWritable, madeReadOnly, tableR, tableV,
} from '../hpte';
import { lockHpte, lockHpteIfStill, tryLockHpte, unlockHpte } from '../hpte-lock';
import { STEP_APPEND, STEP_TAKING, STEP_UNLINK, journalAnswer, journalMoved } from '../journal';
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
import { RMAP_RC_SHIFT, appendAlone, appendToChain, isEmptyChain, lockChain, unlinkFromChain, unlockChain } from '../revmap';
import { noteChanges } from '../pieces';
import {
  RULE_BACKING_TOO_SMALL, RULE_B_RESERVED, RULE_ENTERED, RULE_ENTERED_ABSENT, RULE_ENTERED_MMIO, RULE_GROUP_FULL,
  RULE_NO_TABLE, RULE_PAGE_SIZE_UNKNOWN, RULE_PTEX_RANGE, RULE_SLOT_MISALIGNED, RULE_SLOT_OCCUPIED,
  RULE_WIMG_CACHE_INHIBITED, RULE_ZERO_TOO_BIG,
} from '../rules';
import { H_FUNCTION, H_PARAMETER, H_PTEG_FULL, H_SUCCESS, H_TOO_BIG } from '../status';
import { mayNotWait } from '../step-back';
import { answerWords, because, becauseDetail, count } from '../this-processor';
import { AT_LOCK, AT_REAL, AT_SLOT, yieldPoint } from '../yield-point';

const SLOTS: u64 = 8;
/** No rmap word. */
const HOST_CHANGED: u64 = ~(<u64>0);

/** For an explanation: which pass found the slot. */
let pass: u64 = 0;

/** in: flags, ptex, dword 0, dword 1. out: the ptex used. `explains`: known when compiling; an hcall that asked for it. */
@inline
export function enter(args: usize, results: usize, explains: bool): i32 {
  return insert(load<u64>(args), load<u64>(args, 8), load<u64>(args, 16), load<u64>(args, 24), true, explains, results);
}

/** Also how a table stream is loaded, which `answers` something else than the entry. */
@inline
export function insert(flags: u64, ptex: u64, v: u64, r: u64, answers: bool, explains: bool, results: usize): i32 {
  if (load<u32>(MODE) == 0) return refuse(H_FUNCTION, RULE_NO_TABLE, 0, 0);
  if ((v & HPTE_V_B_RESERVED) != 0) return refuse(H_PARAMETER, RULE_B_RESERVED, v >> 62, 0);
  const shift = actualPageShift(v, r);
  if (shift == 0) return refuse(H_PARAMETER, RULE_PAGE_SIZE_UNKNOWN, (v & HPTE_V_LARGE) >> 2, (r >> 12) & 0xff);
  const gpa = pageAddress(r, shift);
  // ORDER: before the host page is looked at; asked again when the entry is linked.
  const sequence = hostSequence();
  const memslot = slotOf(gpa);
  let real: u64;
  let rmap: usize = 0;
  let zeroes = false;
  if (memslot == 0) {
    real = (r & ~HPTE_R_TS) | HPTE_R_KEY;
  } else {
    if (shift > load<u32>(HOST_PAGE_SHIFT)) {
      if (!slotHoldsPages(memslot, shift)) return refuse(H_PARAMETER, RULE_SLOT_MISALIGNED, slotNumber(memslot), shift);
    }
    const backingShift = load<u32>(memslot + SLOT_BACKING_SHIFT);
    if (backingShift < shift) return refuse(H_PARAMETER, RULE_BACKING_TOO_SMALL, backingShift, shift);
    const frame = frameOf(memslot, gpa);
    const host = hostState(memslot, frame);
    if ((host & HOST_PRESENT) != 0) {
      real = realWord(r, gpa, host);
      rmap = rmapOf(memslot, frame);
    } else {
      real = absentWord(r, shift);
    }
    if (real == 0) return H_PARAMETER;
    // DIFFERS: KVM HV ignores H_ZERO_PAGE; where guest memory is kept the page is zeroed as PAPR asks.
    if ((flags & H_ZERO_PAGE) != 0 && load<u32>(memslot + SLOT_MEMORY) != 0) {
      if (shift > SHIFT_64K) return refuse(H_TOO_BIG, RULE_ZERO_TOO_BIG, shift, 0);
      zeroes = true;
    }
  }
  const entries = load<u64>(PTEX_COUNT);
  if (ptex >= entries) return refuse(H_PARAMETER, RULE_PTEX_RANGE, ptex, entries);
  if (explains) pass = 1;
  const entry = (flags & H_EXACT) != 0 ? lockThatSlot(ptex) : lockFreeSlot(ptex & ~(SLOTS - 1));
  if (entry == 0) return H_PTEG_FULL;
  if (zeroes) zeroPage(gpa, shift);
  publish(entry, bare(v), real, rmap, sequence, r & ~HPTE_R_TS, answers, explains, results);
  return H_SUCCESS;
}

/** dword 0 without what a guest has no say in. */
@inline
function bare(v: u64): u64 {
  return v & ~(HPTE_V_HVLOCK | HPTE_V_TAKEN);
}

/**
 * The real dword 1 of an entry that maps a host page: where it is, read-only, cacheability. 0 if WIMG does not fit; a word
 * that does is never 0.
 */
@inline
function realWord(r: u64, gpa: u64, host: u8): u64 {
  // No guest address has the offset's bit (GPA_LIMIT), so this is an addition.
  let real = (r & ~HPTE_R_TS) | HOST_FRAME_OFFSET;
  if ((host & HOST_WRITABLE) == 0 && isWritable(r)) real = madeReadOnly(real);
  // Nearly every page is plain memory, mapped as such: nothing to look into.
  if ((((real & HPTE_R_WIMG) ^ HPTE_R_M) | <u64>(host & HOST_CACHE_INHIBITED)) == 0) return real;
  return madeCacheable(real, (host & HOST_CACHE_INHIBITED) != 0, gpa);
}

/** The same while the host page is away. Key bits 0 tell it from MMIO, whose real key is all ones. */
function absentWord(r: u64, shift: u32): u64 {
  return madeCacheable(r & (HPTE_R_PP0 | ((<u64>1 << <u64>shift) - 1)) & ~HPTE_R_KEY, false, 0);
}

function madeCacheable(real: u64, inhibited: bool, gpa: u64): u64 {
  if (cacheabilityFits(real, inhibited)) return real;
  if (!inhibited) return (real & ~(HPTE_R_W | HPTE_R_I | HPTE_R_G)) | HPTE_R_M;
  because(RULE_WIMG_CACHE_INHIBITED, (real & HPTE_R_WIMG) >> 3, gpa);
  return 0;
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
  pass = 2;
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
  do {
    yieldPoint(AT_SLOT);
    // RACE: a plain look; what it saw counts only if it is still there when the lock is taken.
    const v = load<u64>(entry);
    if ((v & (HPTE_V_HVLOCK | HPTE_V_TAKEN)) == 0) {
      yieldPoint(AT_LOCK);
      if (lockHpteIfStill(entry, v)) return entry;
    }
    entry += 16;
  } while (entry != end);
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
  pass = 2;
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
  pass = 2;
  let held: u64 = 0;
  while (held < SLOTS && (lockHpte(hpteAddress(first + held), <u32>held) & HPTE_V_TAKEN) != 0) held++;
  const found = held < SLOTS ? hpteAddress(first + held) : 0;
  if (found == 0) because(RULE_GROUP_FULL, first >> 3);
  for (let i: u64 = 0; i < held; i++) {
    const entry = hpteAddress(first + i);
    const v = load<u64>(entry);
    if (found == 0) becauseDetail(<u32>i + 1, guestV(v, load<u64>(entry, 8)) & ~HPTE_V_HVLOCK);
    unlockHpte(entry, v, <u32>i);
  }
  // Whoever fills the slot knows it by the journal's record 0.
  if (found != 0 && held != 0) journalMoved(<u32>held);
  return found;
}

/**
 * Fills the slot, which the caller has locked, links it to its frame (`rmap`; 0: MMIO, or the page is away), and unlocks it
 * by making it visible. `guest`: its guest_rpte. If it `answers`, its ptex goes to `results`.
 *
 * The real R and C start as what guest and host both have. If the host took the page away since we looked, the entry
 * becomes ABSENT.
 */
@inline
function publish(
  entry: usize, v: u64, r: u64, rmap: usize, sequence: u64, guest: u64, answers: bool, explains: bool, results: usize,
): void {
  const ptex = ptexOf(entry);
  if (answers) {
    store<u64>(results, ptex);
    answerWords(1);
  }
  setGuestRpte(ptex, guest);
  noteModification(ptex);
  let real = r;
  let visible = v | HPTE_V_ABSENT;
  if (rmap != 0) {
    const word = linkUnlessHostChanged(rmap, ptex, sequence);
    if (word == HOST_CHANGED) {
      real &= ~HPTE_R_KEY;
    } else {
      real &= ~HPTE_R_RC | (word >> RMAP_RC_SHIFT);
      visible = v | HPTE_V_VALID;
    }
  }
  if (explains) explainEntered(visible, real, ptex, pageAddress(guest, actualPageShift(v, guest)));
  yieldPoint(AT_REAL);
  store<u64>(entry, tableR(v, real), 8);
  if (answers) journalAnswer(H_SUCCESS, 1);
  // ORDER: dword 1 before dword 0, so that whoever sees VALID sees the whole entry.
  unlockHpte(entry, tableV(visible));
}

/**
 * Chains the entry to its frame and gives the rmap word of before; HOST_CHANGED, and not chained, if the host took the page
 * away since we looked, because its notifier may have passed this chain already. ORDER: asked when the entry is on the chain
 * (or the chain locked), which the notifier locks for every frame after it counted: either it finds the entry there and
 * waits for its lock, or we find that it counted.
 */
@inline
function linkUnlessHostChanged(rmap: usize, ptex: u64, sequence: u64): u64 {
  // RACE: a plain look; what it saw counts only if it is still there when the word is replaced.
  const word = load<u64>(rmap);
  // Who may not wait could not take the entry off again if it has to.
  if (isEmptyChain(word) && !mayNotWait()) {
    if (appendAlone(rmap, word, ptex)) return hostChangedSince(sequence) ? unlinkAgain(rmap, ptex) : word;
  }
  return linkLocked(rmap, ptex, sequence);
}

function linkLocked(rmap: usize, ptex: u64, sequence: u64): u64 {
  const word = lockChain(rmap);
  if (hostChangedSince(sequence)) {
    unlockChain(rmap, word, STEP_TAKING);
    return HOST_CHANGED;
  }
  unlockChain(rmap, appendToChain(word, ptex), STEP_APPEND);
  return word;
}

function unlinkAgain(rmap: usize, ptex: u64): u64 {
  unlockChain(rmap, unlinkFromChain(lockChain(rmap), ptex), STEP_UNLINK);
  return HOST_CHANGED;
}

function zeroPage(gpa: u64, shift: u32): void {
  const page = memoryOf(gpa);
  noteChanges(page, <usize>1 << shift);
  memory.fill(page, 0, <usize>1 << shift);
  markDirty(slotOf(gpa), gpa, shift);
}

function explainEntered(v: u64, r: u64, ptex: u64, gpa: u64): void {
  if ((v & HPTE_V_VALID) != 0) because(RULE_ENTERED, ptex, pass);
  else because((r & HPTE_R_KEY) == HPTE_R_KEY ? RULE_ENTERED_MMIO : RULE_ENTERED_ABSENT, ptex, gpa);
}

function refuse(status: i32, rule: u32, detail0: u64, detail1: u64): i32 {
  because(rule, detail0, detail1);
  return status;
}
