/**
 * The hardware's table walk: an effective address and its segment in, a guest address or a fault out, R and C set as
 * the hardware would.
 *
 * The group is scanned without locks, as hardware scans it. A candidate is then locked and looked at again; what
 * stands there then is what counts. If it changed in between, the scan goes on behind it.
 * DIFFERS: hardware sees only VALID entries, in either group; it reports "no entry" for ABSENT ones, and the
 * hypervisor then finds out. Both steps are one here: an ABSENT entry is reported as such, with its ptex.
 *
 * SPEC: Power ISA 2.07 book III-S, "Hashed Page Table search", "Storage Protection", DSISR and SRR1 bits;
 * the segment's word as slbmte takes it in RS.
 */
import { guestRpte } from '../guest-view';
import { avpnOf, pageHash } from '../hash';
import {
  HPTE_R_C, HPTE_R_G, HPTE_R_KEY_HI, HPTE_R_KEY_LO, HPTE_R_N, HPTE_R_PP, HPTE_R_PP0, HPTE_R_R, HPTE_R_WIMG,
  HPTE_V_ABSENT, HPTE_V_COMPARE, HPTE_V_LARGE, HPTE_V_SECONDARY, HPTE_V_TAKEN, HPTE_V_VALID, guestR, guestV, isMmio,
} from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import { PTEX_COUNT, hpteAddress } from '../memory-map';
import { SHIFT_16G, SHIFT_16M, SHIFT_4K, SHIFT_64K, actualPageShift, basePageShift, pageAddress } from '../page-sizes';

export const ACCESS_STORE: u64 = 1;
export const ACCESS_FETCH: u64 = 2;
export const ACCESS_PROBLEM: u64 = 4;

const TRANSLATED: u64 = 0;
const NO_ENTRY: u64 = 1;
const PROTECTION: u64 = 2;
const STORAGE_KEY: u64 = 3;
const NO_EXECUTE: u64 = 4;
const ENTRY_ABSENT: u64 = 5;
const ENTRY_MMIO: u64 = 6;

const SLB_1T: u64 = 0x4000000000000000;
const SLB_KS: u64 = 0x800;
const SLB_KP: u64 = 0x400;
const SLB_N: u64 = 0x200;
const SLB_LLP: u64 = 0x130;

const DSISR_NOHPTE: u64 = 0x40000000;
const DSISR_NO_EXECUTE: u64 = 0x10000000;
const DSISR_PROTFAULT: u64 = 0x08000000;
const DSISR_ISSTORE: u64 = 0x02000000;
const DSISR_KEYFAULT: u64 = 0x00200000;
const NO_PTEX: u64 = ~(<u64>0);

/** Base page shift that a segment asks for by L and LP; 0 for an encoding that means nothing. */
export function segmentPageShift(slbv: u64): u32 {
  switch (<u32>(slbv & SLB_LLP)) {
    case 0x000: return SHIFT_4K;
    case 0x110: return SHIFT_64K;
    case 0x100: return SHIFT_16M;
    case 0x120: return SHIFT_16G;
    default: return 0;
  }
}

/** out: outcome, ptex, guest address, actual page shift, WIMG bits, DSISR bits. `slbv` has a page size. */
export function walk(ea: u64, slbv: u64, access: u64, amr: u64, results: usize): void {
  const baseShift = segmentPageShift(slbv);
  const large = (slbv & SLB_1T) != 0;
  const offset = ea & ((<u64>1 << (large ? 40 : 28)) - 1);
  const vsid = (slbv & 0x3ffffffffffff000) >> (large ? 24 : 12);
  const wanted = avpnOf(vsid, offset, baseShift, large) | (baseShift == SHIFT_4K ? 0 : HPTE_V_LARGE);
  const mask = (load<u64>(PTEX_COUNT) >> 3) - 1;
  const hash = pageHash(vsid, offset, baseShift, large);
  memory.fill(results, 0, 48);
  const secondary = wanted | HPTE_V_SECONDARY;
  if (search(hash & mask, wanted | HPTE_V_VALID, ea, baseShift, slbv, access, amr, results)) return;
  if (search(~hash & mask, secondary | HPTE_V_VALID, ea, baseShift, slbv, access, amr, results)) return;
  if (search(hash & mask, wanted | HPTE_V_ABSENT, ea, baseShift, slbv, access, amr, results)) return;
  if (search(~hash & mask, secondary | HPTE_V_ABSENT, ea, baseShift, slbv, access, amr, results)) return;
  fault(results, NO_ENTRY, NO_PTEX, DSISR_NOHPTE, access);
}

/** Looks for an entry, VALID or ABSENT as wanted, in one group; true when it was found and answered. */
function search(
  group: u64, wanted: u64, ea: u64, baseShift: u32, slbv: u64, access: u64, amr: u64, results: usize,
): bool {
  for (let ptex = group << 3; ptex < (group << 3) + 8; ptex++) {
    const entry = hpteAddress(ptex);
    // RACE: a plain look, as the hardware's; what it finds is looked at again under the lock.
    if (!isWanted(guestV(load<u64>(entry), load<u64>(entry, 8)), wanted)) continue;
    const locked = lockHpte(entry);
    const real = atomic.load<u64>(entry, 8);
    const v = guestV(locked, real);
    const found = isWanted(v, wanted) && basePageShift(v, guestR(real)) == baseShift;
    if (found) answer(entry, v, real, ptex, ea, slbv, access, amr, results);
    unlockHpte(entry, locked);
    if (found) return true;
  }
  return false;
}

function isWanted(v: u64, wanted: u64): bool {
  const compared = HPTE_V_COMPARE | HPTE_V_SECONDARY | HPTE_V_TAKEN | (wanted & HPTE_V_LARGE);
  return (v & compared) == wanted;
}

/** The entry is the right one, and locked: what does it say? */
function answer(
  entry: usize, v: u64, real: u64, ptex: u64, ea: u64, slbv: u64, access: u64, amr: u64, results: usize,
): void {
  const guest = guestRpte(ptex);
  const shift = actualPageShift(v, guest);
  store<u64>(results, pageAddress(guest, shift) | (ea & ((<u64>1 << <u64>shift) - 1)), 16);
  store<u64>(results, shift, 24);
  store<u64>(results, real & HPTE_R_WIMG, 32);
  const fetch = (access & ACCESS_FETCH) != 0;
  if ((v & HPTE_V_ABSENT) != 0) {
    fault(results, isMmio(v, real) ? ENTRY_MMIO : ENTRY_ABSENT, ptex, DSISR_NOHPTE, access);
  } else if (fetch && ((slbv & SLB_N) != 0 || (real & (HPTE_R_N | HPTE_R_G)) != 0)) {
    fault(results, NO_EXECUTE, ptex, DSISR_NO_EXECUTE, access);
  } else if (!fetch && keyDenies(real, access, amr)) {
    fault(results, STORAGE_KEY, ptex, DSISR_KEYFAULT, access);
  } else if (protectionDenies(real, slbv, access)) {
    fault(results, PROTECTION, ptex, DSISR_PROTFAULT, access);
  } else {
    atomic.or<u64>(entry, isStore(access) ? HPTE_R_R | HPTE_R_C : HPTE_R_R, 8);
    store<u64>(results, TRANSLATED);
    store<u64>(results, ptex, 8);
  }
}

/** An instruction fetch is never a store, whatever else `access` says. */
function isStore(access: u64): bool {
  return (access & (ACCESS_STORE | ACCESS_FETCH)) == ACCESS_STORE;
}

/** Virtual page class key protection: two bits of the AMR for the entry's key, 1 denies loads, 2 stores. */
function keyDenies(r: u64, access: u64, amr: u64): bool {
  const key = ((r & HPTE_R_KEY_HI) >> 57) | ((r & HPTE_R_KEY_LO) >> 9);
  const bits = amr >> (62 - 2 * key);
  return (bits & (isStore(access) ? 2 : 1)) != 0;
}

function protectionDenies(r: u64, slbv: u64, access: u64): bool {
  const pp = (r & HPTE_R_PP) | ((r & HPTE_R_PP0) != 0 ? 4 : 0);
  const keyed = (slbv & ((access & ACCESS_PROBLEM) != 0 ? SLB_KP : SLB_KS)) != 0;
  if (isStore(access)) return keyed ? pp != 2 : pp > 2;
  return keyed && (pp == 0 || pp > 3);
}

function fault(results: usize, outcome: u64, ptex: u64, dsisr: u64, access: u64): void {
  store<u64>(results, outcome);
  store<u64>(results, ptex, 8);
  store<u64>(results, isStore(access) ? dsisr | DSISR_ISSTORE : dsisr, 40);
}
