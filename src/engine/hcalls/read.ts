/**
 * H_READ: what the guest may see of an entry, or with H_READ_4 of four.
 *
 * DIFFERS: KVM HV reads without the lock, so a reader can get dword 0 of one entry and dword 1 of the next one in
 * that slot. Here each entry is read under its lock: a pair is never torn. Four entries are four reads.
 * SPEC: PAPR H_READ; as KVM HV the guest's view is given whatever the flags say.
 */
import { H_READ_4 } from '../flags';
import { guestRpte } from '../guest-view';
import { HPTE_GR_MODIFIED, HPTE_R_RC, HPTE_V_VALID, guestR, guestV, shownV } from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import { hpteAddress } from '../memory-map';
import { RULE_READ } from '../rules';
import { H_SUCCESS } from '../status';
import { answerWords, because } from '../this-processor';
import { hasPtex, refusePtex } from './range';

/** in: flags, ptex. out: one pair of dwords, or four. */
export function read(args: usize, results: usize): i32 {
  if (!hasPtex(load<u64>(args, 8))) return refusePtex(load<u64>(args, 8));
  const four = (load<u64>(args) & H_READ_4) != 0;
  const ptex = four ? load<u64>(args, 8) & ~(<u64>3) : load<u64>(args, 8);
  const entries: u32 = four ? 4 : 1;
  for (let i: u32 = 0; i < entries; i++) readEntry(ptex + i, results + (<usize>i << 4));
  answerWords(2 * entries);
  because(RULE_READ, ptex, entries);
  return H_SUCCESS;
}

/** Puts an entry, as the guest sees it, into 16 bytes. An empty slot's dword 1 is whatever it held last. */
export function readEntry(ptex: u64, to: usize): void {
  const entry = hpteAddress(ptex);
  const locked = lockHpte(entry);
  const real = atomic.load<u64>(entry, 8);
  const guest = guestRpte(ptex);
  unlockHpte(entry, locked);
  const shown = shownV(guestV(locked, real));
  store<u64>(to, shown);
  store<u64>(to, (shown & HPTE_V_VALID) == 0 ? guestR(real) : (guest | (real & HPTE_R_RC)) & ~HPTE_GR_MODIFIED, 8);
}
