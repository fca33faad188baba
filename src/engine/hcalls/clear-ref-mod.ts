/**
 * H_CLEAR_REF and H_CLEAR_MOD: clear R or C, and give back dword 1 as it was.
 *
 * The guest's view loses the bit; what the hardware had set is handed to the host first (R to the frame's rmap
 * word, C to the dirty bitmap), because its bookkeeping is apart from the guest's.
 * SPEC: PAPR H_CLEAR_REF, H_CLEAR_MOD; as KVM HV the answer does not mask MODIFIED (bit 62) while a table stream
 * is open.
 */
import { guestRpte, noteModification, setGuestRpte } from '../guest-view';
import {
  HPTE_R_C, HPTE_R_R, HPTE_R_RC, HPTE_V_ABSENT, HPTE_V_TAKEN, HPTE_V_VALID, guestV,
} from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import { STEP_TAKING, journalAnswer, journalWords } from '../journal';
import { hpteAddress } from '../memory-map';
import { frameOf, markDirty, rmapOf, slotOf } from '../memslots';
import { actualPageShift, pageAddress } from '../page-sizes';
import { RMAP_REFERENCED, lockChain, unlockChain } from '../revmap';
import { RULE_CLEARED, RULE_EMPTY } from '../rules';
import { H_NOT_FOUND, H_SUCCESS } from '../status';
import { answerWords, because } from '../this-processor';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';
import { hasPtex, refusePtex } from './range';

/** in: flags (ignored), ptex. out: dword 1 before. */
export function clearRef(args: usize, results: usize): i32 {
  return clear(args, results, HPTE_R_R);
}

/** in: flags (ignored), ptex. out: dword 1 before. */
export function clearMod(args: usize, results: usize): i32 {
  return clear(args, results, HPTE_R_C);
}

function clear(args: usize, results: usize, bit: u64): i32 {
  const ptex = load<u64>(args, 8);
  if (!hasPtex(ptex)) return refusePtex(ptex);
  const entry = hpteAddress(ptex);
  const locked = lockHpte(entry);
  const v = guestV(locked, load<u64>(entry, 8));
  if ((v & HPTE_V_TAKEN) == 0) {
    unlockHpte(entry, locked);
    because(RULE_EMPTY, ptex);
    return H_NOT_FOUND;
  }
  journalWords(0, entry, ptex);
  let before = guestRpte(ptex);
  if ((before & bit) != 0) {
    setGuestRpte(ptex, before & ~bit);
    noteModification(ptex);
  }
  if ((v & HPTE_V_VALID) != 0) {
    before |= (bit == HPTE_R_R ? clearRealR(entry, v, ptex) : clearRealC(entry, locked, v, ptex)) & HPTE_R_RC;
  }
  store<u64>(results, before);
  answerWords(1);
  journalAnswer(H_SUCCESS, 1);
  unlockHpte(entry, locked);
  return H_SUCCESS;
}

/** Gives the real dword 1 before. C may be set by the hardware meanwhile and must stay: an atomic and. */
function clearRealR(entry: usize, v: u64, ptex: u64): u64 {
  const real = atomic.load<u64>(entry, 8);
  because(RULE_CLEARED, ptex, (real & HPTE_R_R) >> 8);
  if ((real & HPTE_R_R) == 0) return real;
  const gpa = pageAddress(guestRpte(ptex), actualPageShift(v, real));
  const slot = slotOf(gpa);
  // ORDER: to the frame before out of the entry, so that whoever asks whether the page was referenced finds R somewhere.
  if (slot != 0) {
    const rmap = rmapOf(slot, frameOf(slot, gpa));
    unlockChain(rmap, lockChain(rmap) | RMAP_REFERENCED, STEP_TAKING);
  }
  yieldPoint(AT_REAL);
  atomic.and<u64>(entry, ~HPTE_R_R, 8);
  tlbie(v, real, ptex);
  tlbsync();
  return real;
}

/** Gives the real dword 1 as it is once the hardware cannot change it any more. */
function clearRealC(entry: usize, locked: u64, v: u64, ptex: u64): u64 {
  yieldPoint(AT_REAL);
  atomic.store<u64>(entry, (locked & ~HPTE_V_VALID) | HPTE_V_ABSENT);
  tlbie(v, load<u64>(entry, 8), ptex);
  tlbsync();
  because(RULE_CLEARED, ptex, 1);
  const real = atomic.load<u64>(entry, 8);
  if ((real & HPTE_R_C) == 0) return real;
  const shift = actualPageShift(v, real);
  const gpa = pageAddress(guestRpte(ptex), shift);
  const slot = slotOf(gpa);
  // ORDER: into the bitmap before out of the entry, as for R.
  if (slot != 0) markDirty(slot, gpa, shift);
  yieldPoint(AT_REAL);
  store<u64>(entry, real & ~HPTE_R_C, 8);
  return real;
}
