/**
 * The table as a whole: a new one, none, its hash, its occupancy. What can take long is done in bounded pieces that
 * the caller strings together, so that no record keeps a processor for more than about a millisecond.
 */
import { closeGate, openGate } from '../gate';
import { installTable } from '../guest';
import { CHANGE_FREEING, CHANGE_NONE, CHANGE_RESETTING, journalAnswer, journalChange, journalChangeAnswer } from '../journal';
import { noteChanges } from '../pieces';
import { H_SUCCESS } from '../status';
import { AT_TABLE, yieldPoint } from '../yield-point';
import { readEntry } from '../hcalls/read';
import { ORDER_MAX, ORDER_MIN, dropPending } from '../hcalls/resize';
import {
  HPTE_R_C, HPTE_R_R, HPTE_R_RC, HPTE_V_ABSENT, HPTE_V_BOLTED, HPTE_V_SECONDARY, HPTE_V_TAKEN, guestV,
} from '../hpte';
import {
  MEMSLOTS, MEMSLOT_BYTES, MEMSLOT_COUNT, MODE, PTEX_COUNT, TABLES_BASE, TABLES_END, TABLES_HIGH_USED,
  TABLES_LOW_USED, TABLE_ORDER, hpteAddress, revmapAddress,
} from '../memory-map';
import { framesOf, rmapOf } from '../memslots';

/** Entries one piece handles at most. */
export const PIECE_ENTRIES: u64 = 65536;
const FNV_PRIME: u64 = 0x100000001b3;
/** FNV_PRIME to the 16th power, modulo 2^64: what sixteen zero bytes do to the hash. */
const FNV_SIXTEEN_ZEROES: u64 = 0x4efe15c813151841;

/** HPT_RESET: a new zeroed table. 0 done, 1 no such order, 2 no room. */
export function resetTable(order: u64, results: usize): i32 {
  if (order < ORDER_MIN || order > ORDER_MAX) return 1;
  const base = load<u32>(TABLES_BASE);
  if (load<u32>(TABLES_END) - base < <u32>(2 << <u32>order)) return 2;
  store<u64>(results, 0);
  closeGate();
  journalChangeAnswer(1);
  journalChange(CHANGE_RESETTING, base, <u32>order);
  finishReset(base, <u32>order);
  journalAnswer(H_SUCCESS, 1);
  openGate();
  journalChange(CHANGE_NONE, 0, 0);
  return 0;
}

/** May be done again from the start. */
export function finishReset(base: u32, order: u32): void {
  yieldPoint(AT_TABLE);
  forgetTable();
  yieldPoint(AT_TABLE);
  zeroUsed(base, base + (2 << order));
  yieldPoint(AT_TABLE);
  installTable(base, order);
  yieldPoint(AT_TABLE);
}

/** HPT_FREE: the guest went radix. */
export function freeTable(results: usize): void {
  store<u64>(results, 0);
  closeGate();
  journalChangeAnswer(1);
  journalChange(CHANGE_FREEING, 0, 0);
  finishFree();
  journalAnswer(H_SUCCESS, 1);
  openGate();
  journalChange(CHANGE_NONE, 0, 0);
}

/** May be done again from the start. */
export function finishFree(): void {
  yieldPoint(AT_TABLE);
  forgetTable();
  yieldPoint(AT_TABLE);
  store<u32>(MODE, 0);
  store<u32>(TABLE_ORDER, 0);
  store<u64>(PTEX_COUNT, 0);
  yieldPoint(AT_TABLE);
}

/** Nothing may point into the old table any more: no preparation, no chain. With the gate closed. */
function forgetTable(): void {
  dropPending();
  const end = MEMSLOTS + MEMSLOT_BYTES * <usize>load<u32>(MEMSLOT_COUNT);
  for (let slot = MEMSLOTS; slot < end; slot += MEMSLOT_BYTES) {
    zero(rmapOf(slot, 0), <usize>framesOf(slot) << 3);
  }
}

/** Zeroes the parts of [from, end) that were ever used. */
function zeroUsed(from: u32, end: u32): void {
  const low = min<u32>(end, load<u32>(TABLES_LOW_USED));
  if (low > from) zero(from, low - from);
  const high = max<u32>(from, load<u32>(TABLES_HIGH_USED));
  if (end > high) zero(high, end - high);
}

function zero(from: usize, bytes: usize): void {
  noteChanges(from, bytes);
  memory.fill(from, 0, bytes);
}

/**
 * TABLE_HASH: adds entries from `ptex` on to an FNV-1a hash, each as 16 big-endian bytes as H_READ shows it, one
 * that is not valid as zeroes. out: hash, valid entries, where to go on.
 */
export function hashPiece(ptex: u64, wanted: u64, hash: u64, valid: u64, results: usize): void {
  const end = ptex + min<u64>(min<u64>(wanted, PIECE_ENTRIES), load<u64>(PTEX_COUNT) - ptex);
  for (; ptex < end; ptex++) {
    if ((load<u64>(hpteAddress(ptex)) & HPTE_V_TAKEN) != 0) readEntry(ptex, results);
    else store<u64>(results, 0);
    if ((load<u64>(results) & 1) == 0) {
      hash *= FNV_SIXTEEN_ZEROES;
    } else {
      hash = hashWord(hashWord(hash, load<u64>(results)), load<u64>(results, 8));
      valid++;
    }
  }
  store<u64>(results, hash);
  store<u64>(results, valid, 8);
  store<u64>(results, ptex, 16);
}

function hashWord(hash: u64, word: u64): u64 {
  for (let shift: i64 = 56; shift >= 0; shift -= 8) hash = (hash ^ ((word >> <u64>shift) & 0xff)) * FNV_PRIME;
  return hash;
}

/**
 * TABLE_COUNT: occupancy of whole groups from `ptex` on. out: where to go on, valid, absent, bolted, secondary,
 * referenced, changed, full groups, empty groups. RACE: plain reads; a table in use is counted as it goes by.
 */
export function countPiece(ptex: u64, wanted: u64, results: usize): void {
  const groups = min<u64>(((ptex & 7) + min<u64>(wanted, PIECE_ENTRIES) + 7) >> 3, PIECE_ENTRIES >> 3);
  ptex &= ~(<u64>7);
  const end = min<u64>(ptex + (groups << 3), load<u64>(PTEX_COUNT));
  memory.fill(results, 0, 9 << 3);
  for (; ptex < end; ptex += 8) {
    let taken = 0;
    for (let slot: u64 = 0; slot < 8; slot++) if (countEntry(ptex + slot, results)) taken++;
    if (taken == 8) bump(results, 7);
    if (taken == 0) bump(results, 8);
  }
  store<u64>(results, ptex);
}

function countEntry(ptex: u64, results: usize): bool {
  const entry = hpteAddress(ptex);
  const real = load<u64>(entry, 8);
  const v = guestV(load<u64>(entry), real);
  if ((v & HPTE_V_TAKEN) == 0) return false;
  const rc = (load<u64>(revmapAddress(ptex)) | real) & HPTE_R_RC;
  bump(results, (v & HPTE_V_ABSENT) != 0 ? 2 : 1);
  if ((v & HPTE_V_BOLTED) != 0) bump(results, 3);
  if ((v & HPTE_V_SECONDARY) != 0) bump(results, 4);
  if ((rc & HPTE_R_R) != 0) bump(results, 5);
  if ((rc & HPTE_R_C) != 0) bump(results, 6);
  return true;
}

function bump(results: usize, at: u32): void {
  const word = results + (<usize>at << 3);
  store<u64>(word, load<u64>(word) + 1);
}
