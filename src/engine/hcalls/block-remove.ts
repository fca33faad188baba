/**
 * H_BLOCK_REMOVE: up to eight removals within one block of eight virtual pages, with one TLB synchronisation.
 *
 *   ts   63 62 61       59 58 57 56   55                                    0
 *       +-----+-----------+--+--+----+--------------------------------------+
 *       |type |   code    |R |C |avpn|               ptex                   |    request: code is a CMO state, ignored
 *       +-----+-----------+--+--+----+--------------------------------------+
 *
 * Locks are tried, never waited for: a busy entry answers busy and the guest asks again. The first entry taken is the
 * anchor: the others must have its segment and page size, and lie in its block. Bolted entries are not removed.
 * SPEC: PAPR H_BLOCK_REMOVE. No other system of the specification has it.
 */
import { guestRpte, noteModification } from '../guest-view';
import { pageBitsBelowAvpn } from '../hash';
import {
  HPTE_R_RC, HPTE_V_B, HPTE_V_BOLTED, HPTE_V_COMPARE, HPTE_V_HVLOCK, HPTE_V_TAKEN, HPTE_V_VALID, guestV,
} from '../hpte';
import { tryLockHpte, unlockHpte } from '../hpte-lock';
import { journalDone, journalNote, setJournalNote } from '../journal';
import { MODE, PTEX_COUNT, hpteAddress } from '../memory-map';
import { pageShifts } from '../page-sizes';
import { unlinkInvalidated } from '../revmap';
import { RULE_BLOCK_DONE, RULE_BLOCK_TYPE, RULE_NO_TABLE } from '../rules';
import { H_FUNCTION, H_PARAMETER, H_PARTIAL, H_SUCCESS } from '../status';
import { answerWords, because } from '../this-processor';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';
import { noteMmioChange } from './remove';

const PTEX_MASK: u64 = 0x00ffffffffffffff;
const TYPE_REQUEST: u64 = 1;
const TYPE_END: u64 = 3;
const BY_AVPN: u64 = 1 << 56;
const RESPONSE: u64 = 0x8000000000000000;
const CODE_SHIFT: u64 = 59;
/** R and C of dword 1 stand at bits 58 and 57 of a response. */
const RC_SHIFT: u64 = 50;
const CODE_DONE: u64 = 0;
const CODE_NOT_FOUND: u64 = 1;
const CODE_PARAMETER: u64 = 2;
const CODE_OTHER_SIZE: u64 = 3;
const CODE_BUSY: u64 = 4;
const CODE_OUTSIDE: u64 = 5;
/** log2 of the pages in a block. */
const BLOCK_SHIFT: u32 = 3;

/** The anchor: B with the page shifts (0: none yet), and which block it lies in. */
let anchorShifts: u32 = 0;
let anchorB: u64 = 0;
let anchorBlock: u64 = 0;
/** Which of the answer's words have their entries locked, waiting for the common synchronisation. */
let batch: u32 = 0;

/** in: AVA, then up to eight ts. out: the ts. */
export function blockRemove(args: usize, words: u32, results: usize): i32 {
  const given = words - 1;
  // Going on where a dead processor stopped: removals that it answered stand answered in `results`.
  if (journalNote() == 0) memory.copy(results, args + 8, given << 3);
  setJournalNote(1);
  answerWords(given);
  if (load<u32>(MODE) == 0) {
    setJournalNote(0);
    because(RULE_NO_TABLE);
    return H_FUNCTION;
  }
  anchorShifts = 0;
  batch = 0;
  let status = H_SUCCESS;
  let removed: u64 = 0;
  let refused: u64 = 0;
  for (let i: u32 = 0; i < given; i++) {
    const ts = load<u64>(args + 8 + (<usize>i << 3));
    const before = load<u64>(results + (<usize>i << 3));
    if (ts >> 62 == TYPE_END) break;
    if (before != ts) {
      if (((before >> CODE_SHIFT) & 7) == CODE_DONE) removed++;
      else refused++;
      continue;
    }
    if (ts >> 62 != TYPE_REQUEST) {
      because(RULE_BLOCK_TYPE, i, ts >> 62);
      status = H_PARAMETER;
      break;
    }
    const code = removeOne(ts, load<u64>(args), i);
    store<u64>(results + (<usize>i << 3), RESPONSE | (code << CODE_SHIFT) | (ts & (BY_AVPN | PTEX_MASK)));
    if (code == CODE_DONE) removed++;
    else refused++;
  }
  finish(results);
  if (status != H_PARAMETER) {
    because(RULE_BLOCK_DONE, removed, refused);
    status = refused == 0 ? H_SUCCESS : H_PARTIAL;
  }
  journalDone(status, given);
  return status;
}

/** Locks and invalidates one entry if it is what the request means; the response code. */
function removeOne(ts: u64, ava: u64, index: u32): u64 {
  const ptex = ts & PTEX_MASK;
  if (ptex >= load<u64>(PTEX_COUNT)) return CODE_PARAMETER;
  const entry = hpteAddress(ptex);
  if (!tryLockHpte(entry, HPTE_V_HVLOCK, index)) return CODE_BUSY;
  const locked = load<u64>(entry);
  const real = load<u64>(entry, 8);
  const v = guestV(locked, real);
  const code = checkOne(v, ptex, ts, ava);
  if (code != CODE_DONE) {
    unlockHpte(entry, locked, index);
    return code;
  }
  if ((v & HPTE_V_VALID) != 0) {
    yieldPoint(AT_REAL);
    atomic.store<u64>(entry, locked & ~HPTE_V_VALID);
    tlbie(v, real, ptex);
  } else {
    noteMmioChange(v, real);
  }
  batch |= 1 << index;
  return CODE_DONE;
}

function checkOne(v: u64, ptex: u64, ts: u64, ava: u64): u64 {
  if ((v & HPTE_V_TAKEN) == 0 || (v & HPTE_V_BOLTED) != 0) return CODE_NOT_FOUND;
  const shifts = pageShifts(v, guestRpte(ptex));
  const base = shifts & 0xff;
  if ((ts & BY_AVPN) != 0 && (v & HPTE_V_COMPARE & ~blockAvpnBits(base)) != (ava & ~blockAvpnBits(base))) {
    return CODE_NOT_FOUND;
  }
  const block = blockOf(v, ptex, base);
  if (anchorShifts == 0) {
    anchorShifts = shifts;
    anchorB = v & HPTE_V_B;
    anchorBlock = block;
  }
  if (shifts != anchorShifts || (v & HPTE_V_B) != anchorB) return CODE_OTHER_SIZE;
  return block == anchorBlock ? CODE_DONE : CODE_OUTSIDE;
}

/** The bits of AVPN that tell pages of one block apart: none below 8 MiB blocks. */
function blockAvpnBits(base: u32): u64 {
  const blockShift = base + BLOCK_SHIFT;
  return blockShift > 23 ? ((<u64>1 << <u64>(blockShift - 23)) - 1) << 7 : 0;
}

/** A number that all pages of a block share and no other block of the segment size has. */
function blockOf(v: u64, ptex: u64, base: u32): u64 {
  const avpn = (v & HPTE_V_COMPARE & ~blockAvpnBits(base)) & ~HPTE_V_B;
  // AVPN starts at bit 23; for pages below 8 MiB the group gives the rest of the page number.
  const low = base < 23 ? (pageBitsBelowAvpn(v, ptex) & (((<u64>1 << <u64>(23 - base)) - 1))) >> BLOCK_SHIFT : 0;
  // It has at most eight bits, and AVPN starts at bit 7: moving AVPN further would lose its top.
  return (avpn << 1) | low;
}

/** One synchronisation, then R and C, chains and slots. Drops all locks held. */
function finish(results: usize): void {
  if (batch != 0) tlbsync();
  for (let word = results; batch != 0; batch >>= 1, word += 8) {
    if ((batch & 1) == 0) continue;
    const ptex = load<u64>(word) & PTEX_MASK;
    const entry = hpteAddress(ptex);
    const real = atomic.load<u64>(entry, 8);
    const v = guestV(load<u64>(entry), real);
    if ((v & HPTE_V_TAKEN) == 0) unlinkInvalidated(v, real, ptex);
    noteModification(ptex);
    store<u64>(word, load<u64>(word) | ((guestRpte(ptex) & HPTE_R_RC) << RC_SHIFT));
    unlockHpte(entry, 0, <u32>((word - results) >> 3));
  }
}
