/**
 * TABLE_SHAPE: how a piece of the table is filled. RACE: plain reads; a table in use is counted as it goes by. A chain is
 * counted at its head, under the chain lock and no further than CHAIN_MOST entries, so that nobody waits long.
 */
import { guestRpte } from '../guest-view';
import { HPTE_V_TAKEN, HPTE_V_VALID, guestV } from '../hpte';
import { PTEX_COUNT, hpteAddress } from '../memory-map';
import { frameOf, rmapOf, slotOf } from '../memslots';
import { SHAPE_WORDS } from '../opcodes';
import { actualPageShift, pageAddress, pageShifts } from '../page-sizes';
import { STEP_TAKING } from '../journal';
import { RMAP_INDEX, RMAP_PRESENT, lockChain, nextInChain, unlockChain } from '../revmap';
import { PIECE_ENTRIES } from './table';

/** Words of the answer: where to go on; groups by entries; entries by slot; by page size; chains by length. */
const GROUPS: u32 = 1;
const SLOTS: u32 = 10;
const SIZES: u32 = 18;
const CHAINS: u32 = 25;
const CHAIN_MOST: u32 = 65;

/** Whole groups from `ptex` on. */
export function shapePiece(ptex: u64, wanted: u64, results: usize): void {
  const groups = min<u64>(((ptex & 7) + min<u64>(wanted, PIECE_ENTRIES) + 7) >> 3, PIECE_ENTRIES >> 3);
  ptex &= ~(<u64>7);
  const end = min<u64>(ptex + (groups << 3), load<u64>(PTEX_COUNT));
  memory.fill(results, 0, <usize>SHAPE_WORDS << 3);
  for (; ptex < end; ptex += 8) {
    let taken: u32 = 0;
    for (let slot: u32 = 0; slot < 8; slot++) {
      if (!countShape(ptex + slot, results)) continue;
      taken++;
      bump(results, SLOTS + slot);
    }
    bump(results, GROUPS + taken);
  }
  store<u64>(results, ptex);
}

function countShape(ptex: u64, results: usize): bool {
  const entry = hpteAddress(ptex);
  const v = guestV(load<u64>(entry), load<u64>(entry, 8));
  if ((v & HPTE_V_TAKEN) == 0) return false;
  const guest = guestRpte(ptex);
  // RACE: words of two entries of this slot may make no page size; it is counted by its slot all the same.
  const shifts = pageShifts(v, guest);
  if (shifts == 0) return true;
  bump(results, SIZES + sizeNumber(shifts & 0xff, shifts >> 8));
  if ((v & HPTE_V_VALID) != 0) countChain(ptex, pageAddress(guest, actualPageShift(v, guest)), results);
  return true;
}

/** In the order of the answer's words: 4K, 64K in 4K, 16M in 4K, 64K, 16M in 64K, 16M, 16G. */
function sizeNumber(base: u32, actual: u32): u32 {
  if (base == 12) return actual == 12 ? 0 : actual == 16 ? 1 : 2;
  if (base == 16) return actual == 16 ? 3 : 4;
  return base == 24 ? 5 : 6;
}

function countChain(ptex: u64, gpa: u64, results: usize): void {
  const slot = slotOf(gpa);
  if (slot == 0) return;
  const rmap = rmapOf(slot, frameOf(slot, gpa));
  if (!isHead(atomic.load<u64>(rmap), ptex)) return;
  const word = lockChain(rmap);
  let length: u32 = 0;
  if (isHead(word, ptex)) {
    let at = ptex;
    do {
      at = nextInChain(at);
      length++;
    } while (at != ptex && length < CHAIN_MOST);
  }
  unlockChain(rmap, word, STEP_TAKING);
  if (length != 0) bump(results, CHAINS + lengthNumber(length));
}

function isHead(word: u64, ptex: u64): bool {
  return (word & RMAP_PRESENT) != 0 && (word & RMAP_INDEX) == ptex;
}

/** 1, 2, 3, 4, up to 8, up to 16, up to 64, more. */
function lengthNumber(length: u32): u32 {
  if (length <= 4) return length - 1;
  return length <= 8 ? 4 : length <= 16 ? 5 : length <= 64 ? 6 : 7;
}

function bump(results: usize, at: u32): void {
  const word = results + (<usize>at << 3);
  store<u64>(word, load<u64>(word) + 1);
}
