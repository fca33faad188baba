/**
 * H_REMOVE: take an entry out and give back what it held.
 *
 * The order is the point. The entry stays locked until its translation is invalidated, or the slot could be entered
 * again while the old translation lives. R and C are read after the invalidation, or the hardware's last update
 * would be lost. Only then is the slot freed, by the store that also unlocks it.
 *
 * SPEC: PAPR H_REMOVE; answers as KVM HV: dword 1 is the guest's view, an ABSENT entry comes back as VALID.
 */
import { H_ANDCOND, H_AVPN } from '../flags';
import { guestRpte, noteModification } from '../guest-view';
import { HPTE_GR_MODIFIED, HPTE_V_HVLOCK, HPTE_V_TAKEN, HPTE_V_VALID, guestV, isMmio, shownV } from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import { journalAnswer } from '../journal';
import { LAST_TLBIE_RB, MMIO_UPDATE, hpteAddress } from '../memory-map';
import { unlinkInvalidated } from '../revmap';
import { RULE_REMOVED } from '../rules';
import { H_NOT_FOUND, H_SUCCESS } from '../status';
import { answerWords, because, explaining, self } from '../this-processor';
import { tlbie, tlbsync } from '../tlbie';
import { AT_REAL, yieldPoint } from '../yield-point';
import { entryIsTaken, entryMatches } from './match';
import { hasPtex, refusePtex } from './range';

/** in: flags, ptex, AVPN or mask. out: dword 0, dword 1. `explains`: as in enter.ts. */
@inline
export function remove(args: usize, results: usize, explains: bool): i32 {
  const flags = load<u64>(args);
  const ptex = load<u64>(args, 8);
  if (!hasPtex(ptex)) return refusePtex(ptex);
  const entry = hpteAddress(ptex);
  const locked = lockHpte(entry);
  const v = guestV(locked, load<u64>(entry, 8));
  const matches =
    (flags & (H_AVPN | H_ANDCOND)) == 0
      ? entryIsTaken(v, ptex)
      : entryMatches(v, ptex, (flags & H_AVPN) != 0, (flags & H_ANDCOND) != 0, load<u64>(args, 16));
  if (!matches) {
    unlockHpte(entry, locked);
    return H_NOT_FOUND;
  }
  removeLocked(entry, locked, v, ptex, true, explains, results);
  return H_SUCCESS;
}

/**
 * Removes a taken entry that the caller has locked, and unlocks it. `locked`: dword 0 as it is in the table;
 * `v`: the same in guest form. If it `answers`, what it held goes to `results`. `explains`: as in enter.ts.
 */
@inline
export function removeLocked(entry: usize, locked: u64, v: u64, ptex: u64, answers: bool, explains: bool, results: usize): void {
  if ((v & HPTE_V_VALID) != 0) {
    yieldPoint(AT_REAL);
    // RACE: a plain store: whoever acts on what it says takes the lock first.
    store<u64>(entry, locked & ~HPTE_V_VALID);
    tlbie(v, load<u64>(entry, 8), ptex, explains);
    tlbsync();
    if (explains) because(RULE_REMOVED, ptex, load<u64>(self + LAST_TLBIE_RB));
    // ORDER: after the invalidation: until then the hardware may set R and C.
    const guest = unlinkInvalidated(v, load<u64>(entry, 8), ptex);
    if (answers) answerPair(results, v & ~HPTE_V_HVLOCK, guest);
  } else {
    because(RULE_REMOVED, ptex, 0);
    noteMmioChange(v, load<u64>(entry, 8));
    if (answers) answerPair(results, shownV(v), guestRpte(ptex));
  }
  noteModification(ptex);
  if (answers) journalAnswer(H_SUCCESS, 2);
  unlockHpte(entry, 0);
}

@inline
function answerPair(results: usize, v: u64, guest: u64): void {
  store<u64>(results, v);
  store<u64>(results, guest & ~HPTE_GR_MODIFIED, 8);
  answerWords(2);
}

/** Cached knowledge about an MMIO entry that changes is out of date. */
export function noteMmioChange(v: u64, r: u64): void {
  if (isMmio(v, r)) atomic.add<u64>(MMIO_UPDATE, 1);
}

/** Removes whatever is in a slot. True if something was. */
export function clearSlot(ptex: u64): bool {
  const entry = hpteAddress(ptex);
  const locked = lockHpte(entry);
  const v = guestV(locked, load<u64>(entry, 8));
  if ((v & HPTE_V_TAKEN) == 0) {
    unlockHpte(entry, locked);
    return false;
  }
  removeLocked(entry, locked, v, ptex, false, explaining, 0);
  return true;
}
