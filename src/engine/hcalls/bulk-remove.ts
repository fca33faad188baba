/**
 * H_BULK_REMOVE: up to four removals, with one TLB synchronisation for as many of them as possible.
 *
 * Why is this harder than four H_REMOVEs? To share the invalidation, several entries stay locked at once. Two
 * processors that name the same entries in opposite order would wait for each other for ever, if either waited
 * while holding a lock. So only the first entry of a batch is waited for. For the others the lock is tried; if it is
 * taken, the batch so far is finished, its locks released, and a new batch starts with the entry that was busy,
 * waiting for it with nothing in hand. A call that names one entry twice meets its own lock the same way, finishes
 * the batch, and then finds the entry gone.
 *
 *   tsh   63 62 61   58 57 56 55                                     0
 *        +-----+-------+-----+----------------------------------------+
 *        |type | code  | sel |                 ptex                   |      code in a response: 2 bits code, R, C
 *        +-----+-------+-----+----------------------------------------+
 *
 * Atomic is each removal, not the call. SPEC: PAPR H_BULK_REMOVE; corners (unused and response types, junk control
 * bits, unmasked H_ANDCOND) as KVM HV.
 */
import { guestRpte, noteModification } from '../guest-view';
import { HPTE_R_RC, HPTE_V_HVLOCK, HPTE_V_VALID, guestV } from '../hpte';
import { lockHpte, tryLockHpte, unlockHpte } from '../hpte-lock';
import { journalDone, journalNote, setJournalNote } from '../journal';
import { MODE, PTEX_COUNT, hpteAddress } from '../memory-map';
import { unlinkInvalidated } from '../revmap';
import { RULE_BULK_DONE, RULE_BULK_PTEX, RULE_BULK_SELECTOR, RULE_BULK_TYPE, RULE_NO_TABLE } from '../rules';
import { H_FUNCTION, H_PARAMETER, H_SUCCESS } from '../status';
import { answerWords, because } from '../this-processor';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';
import { entryMatches } from './match';
import { noteMmioChange } from './remove';

/** Of tsh. */
export const BULK_PTEX: u64 = 0x00ffffffffffffff;
const TYPE_REQUEST: u64 = 1;
const TYPE_END: u64 = 3;
const SELECT_ANDCOND: u64 = 1;
const SELECT_AVPN: u64 = 2;
const SELECT_ILLEGAL: u64 = 3;
const DONE: u64 = 0x80;
const NOT_FOUND: u64 = 0x90;
const PARAMETER: u64 = 0xa0;
/** Type and code of a response. */
const CODE: u64 = 0xf0;
/** From R and C in dword 1 to their place in a response. */
const RC_SHIFT: u64 = 51;

/** The answer being built, and which of its pairs have their entries locked, waiting for the common synchronisation. */
let pairs: usize = 0;
let batch: u32 = 0;
let removed: u64 = 0;
let missed: u64 = 0;

/** in and out: up to four pairs (tsh, tsl); words not given are the end. */
export function bulkRemove(args: usize, words: u32, results: usize): i32 {
  // Going on where a dead processor stopped: pairs that it answered stand answered in `results`.
  if (journalNote() == 0) memory.copy(results, args, words << 3);
  setJournalNote(1);
  answerWords(words);
  if (load<u32>(MODE) == 0) {
    because(RULE_NO_TABLE);
    setJournalNote(0);
    return H_FUNCTION;
  }
  pairs = results;
  batch = 0;
  removed = 0;
  missed = 0;
  let status = H_SUCCESS;
  for (let i: u32 = 0; i < words && status == H_SUCCESS; i += 2) {
    const pair = results + (<usize>i << 3);
    const tsh = load<u64>(args + (<usize>i << 3));
    if (tsh >> 62 == TYPE_END) break;
    if (load<u64>(pair) != tsh) {
      status = answeredBefore(load<u64>(pair));
      continue;
    }
    status = refusePair(pair, tsh, i >> 1);
    if (status == H_SUCCESS) removePair(pair, tsh, i + 1 < words ? load<u64>(pair, 8) : 0);
  }
  finishBatch();
  if (status == H_SUCCESS) because(RULE_BULK_DONE, removed, missed);
  journalDone(status, words);
  return status;
}

/** A pair that was answered before this processor took over. */
function answeredBefore(response: u64): i32 {
  return ((response >> 56) & CODE) == PARAMETER ? H_PARAMETER : H_SUCCESS;
}

/** Answers a pair that is no proper request. */
function refusePair(pair: usize, tsh: u64, index: u64): i32 {
  const ptex = tsh & BULK_PTEX;
  const selector = (tsh >> 56) & 3;
  if (tsh >> 62 != TYPE_REQUEST) because(RULE_BULK_TYPE, index, tsh >> 62);
  else if (selector == SELECT_ILLEGAL) because(RULE_BULK_SELECTOR, index, selector);
  else if (ptex >= load<u64>(PTEX_COUNT)) because(RULE_BULK_PTEX, index, ptex);
  else return H_SUCCESS;
  respond(pair, tsh, PARAMETER);
  return H_PARAMETER;
}

function respond(pair: usize, tsh: u64, code: u64): void {
  store<u64>(pair, ((code | ((tsh >> 56) & 3)) << 56) | (tsh & BULK_PTEX));
}

/** One removal: at once if nothing has to be invalidated, else into the batch. */
function removePair(pair: usize, tsh: u64, operand: u64): void {
  const ptex = tsh & BULK_PTEX;
  const entry = hpteAddress(ptex);
  const record = recordOf(pair);
  if (batch == 0 || !tryLockHpte(entry, HPTE_V_HVLOCK, record)) {
    finishBatch();
    lockHpte(entry, record);
  }
  const locked = load<u64>(entry);
  const real = load<u64>(entry, 8);
  const v = guestV(locked, real);
  const selector = (tsh >> 56) & 3;
  if (!entryMatches(v, ptex, selector == SELECT_AVPN, selector == SELECT_ANDCOND, operand)) {
    unlockHpte(entry, locked, record);
    respond(pair, tsh, NOT_FOUND);
    missed++;
    return;
  }
  removed++;
  respond(pair, tsh, DONE);
  if ((v & HPTE_V_VALID) == 0) {
    noteMmioChange(v, real);
    reportRc(pair, ptex);
    noteModification(ptex);
    unlockHpte(entry, 0, record);
    return;
  }
  yieldPoint(AT_REAL);
  atomic.store<u64>(entry, locked & ~HPTE_V_VALID);
  tlbie(v, real, ptex);
  batch |= 1 << record;
}

/** A pair's number is also the number of its entry's record in the journal. */
function recordOf(pair: usize): u32 {
  return <u32>((pair - pairs) >> 4);
}

function reportRc(pair: usize, ptex: u64): void {
  store<u64>(pair, load<u64>(pair) | ((guestRpte(ptex) & HPTE_R_RC) << RC_SHIFT));
}

/** One synchronisation for all of the batch, then each entry's R and C, its chain, its slot. Drops all locks held. */
function finishBatch(): void {
  if (batch == 0) return;
  tlbsync();
  for (let pair = pairs; batch != 0; batch >>= 1, pair += 16) {
    if ((batch & 1) == 0) continue;
    const ptex = load<u64>(pair) & BULK_PTEX;
    const entry = hpteAddress(ptex);
    const real = atomic.load<u64>(entry, 8);
    unlinkInvalidated(guestV(load<u64>(entry), real), real, ptex);
    reportRc(pair, ptex);
    noteModification(ptex);
    unlockHpte(entry, 0, recordOf(pair));
  }
}
