/**
 * The rehash of H_RESIZE_HPT_COMMIT: bolted entries into the new table, everything else dropped.
 *
 * Runs with the gate closed: this processor is alone, no entry lock is held by anybody. Only bolted entries are
 * moved, because the guest promises to fault the others back in. A moved entry is ABSENT: its translation has been
 * invalidated, and the host pages it in again on the next touch.
 *
 * How does an entry find its new group? The low bits of its page number are not in AVPN; the old group has them:
 * hash.ts puts the hash together again. It keeps its slot number. Shrinking can bring two bolted entries to one slot;
 * then the answer is H_PTEG_FULL and the old table stays, its entries ABSENT, which does no harm.
 *
 * SPEC: PAPR H_RESIZE_HPT_COMMIT; as KVM HV guest_rpte is taken before the entry is unmapped, so R and C that only the
 * unmapping harvested stay in the real dword 1, where H_READ sees them.
 */
import { guestRpte } from '../guest-view';
import { entryHash } from '../hash';
import {
  HPTE_GR_MODIFIED, HPTE_V_BOLTED, HPTE_V_HVLOCK, HPTE_V_SECONDARY, HPTE_V_TAKEN, HPTE_V_VALID, guestV,
} from '../hpte';
import { MMIO_UPDATE, PTEX_COUNT, hpteAddress } from '../memory-map';
import { frameOf, slotOf } from '../memslots';
import { noteChange } from '../pieces';
import { actualPageShift, basePageShift, pageAddress } from '../page-sizes';
import { unmapEntry } from '../host/unmap';
import { RULE_RESIZE_COLLISION } from '../rules';
import { H_PTEG_FULL, H_SUCCESS } from '../status';
import { because } from '../this-processor';

/** Bolted entries that the last rehash moved. */
export let rehashMoved: u64 = 0;

/** Fills the zeroed table at `base` from the active one. Every VALID entry of the old table becomes ABSENT. */
export function rehash(base: u32, order: u32): i32 {
  const entries = load<u64>(PTEX_COUNT);
  rehashMoved = 0;
  let status = H_SUCCESS;
  for (let ptex: u64 = 0; ptex < entries && status == H_SUCCESS; ptex++) {
    const entry = hpteAddress(ptex);
    if ((load<u64>(entry) & HPTE_V_TAKEN) != 0) status = moveEntry(entry, ptex, entries, base, order);
  }
  if (status == H_SUCCESS) store<u64>(MMIO_UPDATE, 0);
  return status;
}

function moveEntry(entry: usize, ptex: u64, entries: u64, base: u32, order: u32): i32 {
  const guest = guestRpte(ptex);
  const before = guestV(load<u64>(entry), load<u64>(entry, 8));
  if ((before & HPTE_V_VALID) != 0) unmap(before, guest, ptex);
  const v = guestV(load<u64>(entry), load<u64>(entry, 8));
  if ((v & HPTE_V_BOLTED) == 0) return H_SUCCESS;
  const newMask = (<u64>1 << <u64>(order - 7)) - 1;
  let group = entryHash(v, basePageShift(v, guest), ptex, (entries >> 3) - 1);
  if ((v & HPTE_V_SECONDARY) != 0) group = ~group;
  const newPtex = ((group & newMask) << 3) | (ptex & 7);
  const to = <usize>base + (<usize>newPtex << 4);
  if ((load<u64>(to) & HPTE_V_TAKEN) != 0) {
    because(RULE_RESIZE_COLLISION, ptex, newPtex);
    return H_PTEG_FULL;
  }
  noteChange(to);
  store<u64>(to, load<u64>(entry) & ~HPTE_V_HVLOCK);
  store<u64>(to, load<u64>(entry, 8), 8);
  store<u64>(to + (1 << order), guest & ~HPTE_GR_MODIFIED);
  rehashMoved++;
  return H_SUCCESS;
}

function unmap(v: u64, guest: u64, ptex: u64): void {
  const gpa = pageAddress(guest, actualPageShift(v, guest));
  const slot = slotOf(gpa);
  if (slot != 0) unmapEntry(ptex, slot, frameOf(slot, gpa));
}
