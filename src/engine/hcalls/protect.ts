/**
 * H_PROTECT: new protection, storage key and no-execute for an entry.
 *
 * The guest's view always changes. The real entry changes too if it is VALID, except that what the host holds
 * read-only does not become writable here: the next store faults, and the host then decides.
 * SPEC: PAPR H_PROTECT; as KVM HV, R stays (PAPR would have it cleared).
 */
import { H_AVPN } from '../flags';
import { guestRpte, noteModification, setGuestRpte } from '../guest-view';
import {
  HPTE_R_KEY_HI, HPTE_R_KEY_LO, HPTE_R_N, HPTE_R_PP, HPTE_R_PP0, HPTE_R_PROTECTION, HPTE_R_RC, HPTE_V_ABSENT,
  HPTE_V_VALID, guestV, isWritable, madeReadOnly,
} from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import { journalAnswer, journalWords } from '../journal';
import { hpteAddress } from '../memory-map';
import { RULE_PROTECTED } from '../rules';
import { H_NOT_FOUND, H_SUCCESS } from '../status';
import { because } from '../this-processor';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';
import { entryMatches } from './match';
import { hasPtex, refusePtex } from './range';
import { noteMmioChange } from './remove';

/** From their place in flags to their place in dword 1. */
const PP0_SHIFT: u64 = 55;
const KEY_HI_SHIFT: u64 = 48;

/** in: flags, ptex, AVPN. out: nothing. */
export function protect(args: usize): i32 {
  const flags = load<u64>(args);
  const ptex = load<u64>(args, 8);
  if (!hasPtex(ptex)) return refusePtex(ptex);
  const entry = hpteAddress(ptex);
  const locked = lockHpte(entry);
  const real = load<u64>(entry, 8);
  const v = guestV(locked, real);
  if (!entryMatches(v, ptex, (flags & H_AVPN) != 0, false, load<u64>(args, 16))) {
    unlockHpte(entry, locked);
    return H_NOT_FOUND;
  }
  const bits = protectionBits(flags);
  journalWords(0, entry, ptex);
  setGuestRpte(ptex, (guestRpte(ptex) & ~HPTE_R_PROTECTION) | bits);
  noteModification(ptex);
  const changed = (v & HPTE_V_VALID) != 0 && protectReal(entry, locked, v, ptex, bits);
  noteMmioChange(v, real);
  journalAnswer(H_SUCCESS, 0);
  unlockHpte(entry, locked);
  because(RULE_PROTECTED, ptex, changed ? 1 : 0);
  return H_SUCCESS;
}

function protectionBits(flags: u64): u64 {
  return ((flags << PP0_SHIFT) & HPTE_R_PP0) | ((flags << KEY_HI_SHIFT) & HPTE_R_KEY_HI) |
    (flags & (HPTE_R_KEY_LO | HPTE_R_N | HPTE_R_PP));
}

/** Changes the real entry of a locked VALID entry; true if the translation had to be invalidated for it. */
function protectReal(entry: usize, locked: u64, v: u64, ptex: u64, bits: u64): bool {
  const old = load<u64>(entry, 8);
  let next = (old & ~HPTE_R_PROTECTION) | bits;
  if (isWritable(next) && !isWritable(old)) next = madeReadOnly(next);
  if (next == old) return false;
  yieldPoint(AT_REAL);
  atomic.store<u64>(entry, (locked & ~HPTE_V_VALID) | HPTE_V_ABSENT);
  tlbie(v, next, ptex);
  tlbsync();
  // ORDER: R and C that the hardware set until the invalidation are read after it, or they would be overwritten.
  yieldPoint(AT_REAL);
  store<u64>(entry, next | (atomic.load<u64>(entry, 8) & HPTE_R_RC), 8);
  return true;
}
