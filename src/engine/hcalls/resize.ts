/**
 * H_RESIZE_HPT_PREPARE and H_RESIZE_HPT_COMMIT: another table beside the active one, then the change-over.
 *
 * Where does the new table go? A guest's table memory has two ends. The active table stands at one of them, the
 * pending one goes to the other, so they fit whenever their sizes do.
 *
 *   TABLES_BASE [ active  .......  never used, zero  .......  pending ] TABLES_END     and the other way round next time
 *
 * Why is preparing asynchronous? Memory that was used before has to be zeroed, and a gigabyte takes a good part of a
 * second. PREPARE answers H_LONG_BUSY at once; the processor that took the call zeroes a slice between its batches.
 *
 * What protects the state? RESIZE_LOCK, a lock of its own held for a few stores or one slice; only the resize hcalls
 * and the slices know it. COMMIT closes the gate (gate.ts) before it looks what is prepared, and opens it after the swap:
 * nobody else runs meanwhile.
 *
 * SPEC: PAPR H_RESIZE_HPT_PREPARE, H_RESIZE_HPT_COMMIT; the state machine as KVM HV's, the first checks as QEMU's:
 * whatever COMMIT answers, the preparation is gone.
 */
import { closeGate, mayWait, openGate } from '../gate';
import { installTable, noteTableUsed } from '../guest';
import {
  CHANGE_INSTALLING, CHANGE_NONE, CHANGE_REHASHING, journalAnswer, journalChange, journalChangeAnswer,
} from '../journal';
import {
  MODE, RAM_BYTES, RESIZE_ERROR, RESIZE_FAILED, RESIZE_LOCK, RESIZE_NONE, RESIZE_ORDER, RESIZE_OWNER, RESIZE_READY,
  RESIZE_STATE, RESIZE_BASE, RESIZE_ZEROED, RESIZE_ZEROING, TABLES_BASE, TABLES_END, TABLES_HIGH_USED,
  TABLES_LOW_USED, TABLE_BASE, TABLE_ORDER,
} from '../memory-map';
import { noteChanges } from '../pieces';
import {
  RULE_RESIZE_CANCELLED, RULE_RESIZE_DONE, RULE_RESIZE_FLAGS, RULE_RESIZE_LIMIT, RULE_RESIZE_NOT_PREPARED,
  RULE_RESIZE_NO_SPACE, RULE_RESIZE_PREPARING, RULE_RESIZE_READY, RULE_RESIZE_SHIFT, RULE_NO_TABLE,
} from '../rules';
import {
  H_BUSY, H_CLOSED, H_LONG_BUSY_ORDER_100_MSEC, H_NOT_AVAILABLE, H_NO_MEM, H_PARAMETER, H_RESOURCE, H_SUCCESS,
} from '../status';
import { because, selfIndex } from '../this-processor';
import { AT_TABLE, giveCoreAway, yieldPoint } from '../yield-point';
import { rehash, rehashMoved } from './rehash';

export const ORDER_MIN: u64 = 18;
/** What PAPR allows; hptd's own limit is below. */
const ORDER_MAX_PAPR: u64 = 46;
export const ORDER_MAX: u64 = 30;
const SLICE_BYTES: u32 = 262144;
const WAIT_NANOS: i64 = 100000;
const ENOSPC: i64 = 28;

/** in: flags, shift. */
export function resizePrepare(args: usize): i32 {
  const shift = load<u64>(args, 8);
  const refused = refuseArguments(load<u64>(args), shift);
  if (refused != H_SUCCESS) return refused;
  const limit = orderLimit();
  if (shift > limit) return refuse(H_RESOURCE, RULE_RESIZE_LIMIT, shift, limit);
  lockResize();
  const status = advance(<u32>shift);
  unlockResize();
  return status;
}

/** in: flags, shift. */
export function resizeCommit(args: usize): i32 {
  const shift = load<u64>(args, 8);
  const refused = refuseArguments(load<u64>(args), shift);
  if (refused != H_SUCCESS) return refused;
  closeGate();
  const status = takePending(shift);
  if (status == H_SUCCESS) return changeOver(load<u32>(RESIZE_BASE), <u32>shift, 0);
  openGate();
  return status;
}

/**
 * H_SUCCESS: the preparation is ready, and taken. With the gate closed: its place was chosen beside the table that was
 * active then, and must not be used when another COMMIT or a reset came first, nor be given to a PREPARE meanwhile.
 */
function takePending(shift: u64): i32 {
  lockResize();
  const state = load<i32>(RESIZE_STATE);
  const order = state == RESIZE_NONE ? 0 : <u64>load<u32>(RESIZE_ORDER);
  const usable = state == RESIZE_READY && order == shift;
  if (usable) journalChange(CHANGE_REHASHING, load<u32>(RESIZE_BASE), <u32>order);
  // Taken out of sight: whatever follows, the preparation is gone, and nobody zeroes it any more.
  store<i32>(RESIZE_STATE, RESIZE_NONE);
  unlockResize();
  if (state == RESIZE_NONE || order != shift) return refuse(H_CLOSED, RULE_RESIZE_NOT_PREPARED, shift, order);
  if (state == RESIZE_ZEROING) return refuse(H_BUSY, RULE_RESIZE_PREPARING, shift, 0);
  if (state == RESIZE_FAILED) return refuse(load<i32>(RESIZE_ERROR), RULE_RESIZE_NO_SPACE, shift, 0);
  return H_SUCCESS;
}

/**
 * Prepares and commits in one, without PREPARE's limit. For the host: the outcome is in `results` too. The gate is
 * closed from the start, for the reason that takePending gives.
 */
export function resizeAtOnce(order: u64, results: usize): i32 {
  closeGate();
  // Whoever closed it before us may have freed the table.
  if (load<u32>(MODE) == 0) {
    openGate();
    return refuse(H_NOT_AVAILABLE, RULE_NO_TABLE, 0, 0);
  }
  lockResize();
  startPending(<u32>order);
  while (load<i32>(RESIZE_STATE) == RESIZE_ZEROING) zeroSlice();
  const ready = load<i32>(RESIZE_STATE) == RESIZE_READY;
  const base = load<u32>(RESIZE_BASE);
  if (ready) journalChange(CHANGE_REHASHING, base, <u32>order);
  store<i32>(RESIZE_STATE, RESIZE_NONE);
  unlockResize();
  if (ready) return changeOver(base, <u32>order, results);
  openGate();
  return H_NO_MEM;
}

/** Forgets a preparation. For the host's reset of the table. */
export function dropPending(): void {
  lockResize();
  store<i32>(RESIZE_STATE, RESIZE_NONE);
  unlockResize();
}

/** Has this processor a pending table to zero? */
export function resizeIsZeroing(): bool {
  return load<i32>(RESIZE_STATE) == RESIZE_ZEROING && load<u32>(RESIZE_OWNER) == selfIndex + 1;
}

/** Zeroes a slice of the pending table; 1 while there is more. Called between batches by the processor that owns it. */
export function backgroundSlice(): u32 {
  if (!resizeIsZeroing()) return 0;
  lockResize();
  if (resizeIsZeroing()) zeroSlice();
  unlockResize();
  return resizeIsZeroing() ? 1 : 0;
}

function refuseArguments(flags: u64, shift: u64): i32 {
  if (load<u32>(MODE) == 0) return refuse(H_NOT_AVAILABLE, RULE_NO_TABLE, 0, 0);
  if (flags != 0) return refuse(H_PARAMETER, RULE_RESIZE_FLAGS, flags, 0);
  if (shift != 0 && (shift < ORDER_MIN || shift > ORDER_MAX_PAPR)) return refuse(H_PARAMETER, RULE_RESIZE_SHIFT, shift, 0);
  return H_SUCCESS;
}

/** The greatest order that a guest of this size may ask for: a 128th of its memory, and one more. */
function orderLimit(): u64 {
  const ram = load<u64>(RAM_BYTES);
  const log2 = ram <= 1 ? <u64>0 : 64 - clz<u64>(ram - 1);
  const recommended = min<u64>(max<u64>(log2 < 7 ? 0 : log2 - 7, ORDER_MIN), ORDER_MAX_PAPR);
  return min<u64>(recommended + 1, ORDER_MAX);
}

/** One step of PREPARE's state machine, under the resize lock. */
function advance(shift: u32): i32 {
  const state = load<i32>(RESIZE_STATE);
  if (state != RESIZE_NONE && load<u32>(RESIZE_ORDER) == shift) return poll(state, shift);
  because(RULE_RESIZE_CANCELLED, state == RESIZE_NONE ? 0 : load<u32>(RESIZE_ORDER));
  store<i32>(RESIZE_STATE, RESIZE_NONE);
  if (shift == 0) return H_SUCCESS;
  startPending(shift);
  because(RULE_RESIZE_PREPARING, shift, 0);
  return H_LONG_BUSY_ORDER_100_MSEC;
}

/** PREPARE for the order that is pending already. */
function poll(state: i32, shift: u32): i32 {
  if (state == RESIZE_READY) return refuse(H_SUCCESS, RULE_RESIZE_READY, shift, 0);
  if (state == RESIZE_FAILED) {
    store<i32>(RESIZE_STATE, RESIZE_NONE);
    return refuse(load<i32>(RESIZE_ERROR), RULE_RESIZE_NO_SPACE, shift, 0);
  }
  const done = <u64>(load<u32>(RESIZE_ZEROED) - load<u32>(RESIZE_BASE)) * 100 / (2 << <u64>shift);
  return refuse(H_LONG_BUSY_ORDER_100_MSEC, RULE_RESIZE_PREPARING, shift, done);
}

/** Places a pending table, under the resize lock. */
function startPending(order: u32): void {
  const bytes: u32 = 2 << order;
  const base = load<u32>(TABLES_BASE);
  const end = load<u32>(TABLES_END);
  const active = load<u32>(TABLE_BASE);
  const activeEnd = active + (2 << load<u32>(TABLE_ORDER));
  const low = active != base;
  const fits = low ? active - base >= bytes : end - activeEnd >= bytes;
  store<u32>(RESIZE_ORDER, order);
  store<i32>(RESIZE_ERROR, fits ? H_SUCCESS : H_NO_MEM);
  store<u32>(RESIZE_BASE, low ? base : end - bytes);
  store<u32>(RESIZE_ZEROED, load<u32>(RESIZE_BASE));
  store<u32>(RESIZE_OWNER, selfIndex + 1);
  store<i32>(RESIZE_STATE, fits ? RESIZE_ZEROING : RESIZE_FAILED);
  if (fits) zeroSlice();
}

/** Zeroes the next slice that was ever used, under the resize lock. */
function zeroSlice(): void {
  const end = load<u32>(RESIZE_BASE) + (2 << load<u32>(RESIZE_ORDER));
  let at = load<u32>(RESIZE_ZEROED);
  if (at >= load<u32>(TABLES_LOW_USED) && at < load<u32>(TABLES_HIGH_USED)) at = min<u32>(end, load<u32>(TABLES_HIGH_USED));
  const bytes = min<u32>(end - at, SLICE_BYTES);
  noteChanges(at, bytes);
  memory.fill(at, 0, bytes);
  store<u32>(RESIZE_ZEROED, at + bytes);
  if (at + bytes == end) atomic.store<i32>(RESIZE_STATE, RESIZE_READY);
}

/**
 * Moves the bolted entries, makes the new table the active one, and opens the gate that the caller has closed. The
 * answer is the status; with `results` the host's outcome, 0 or -errno. The caller has journalled the change.
 */
function changeOver(base: u32, order: u32, results: usize): i32 {
  yieldPoint(AT_TABLE);
  noteTableUsed(base, base + (2 << order));
  const status = rehash(base, order);
  if (status == H_SUCCESS) {
    if (results != 0) store<u64>(results, 0);
    journalChangeAnswer(results == 0 ? 0 : 1);
    journalChange(CHANGE_INSTALLING, base, order);
    yieldPoint(AT_TABLE);
    installTable(base, order);
    because(RULE_RESIZE_DONE, order, rehashMoved);
  }
  if (results != 0 && status != H_SUCCESS) store<u64>(results, -ENOSPC);
  journalAnswer(results == 0 ? status : H_SUCCESS, results == 0 ? 0 : 1);
  yieldPoint(AT_TABLE);
  openGate();
  journalChange(CHANGE_NONE, 0, 0);
  return status;
}

function lockResize(): void {
  for (;;) {
    const holder = atomic.cmpxchg<i32>(RESIZE_LOCK, 0, <i32>selfIndex + 1);
    if (holder == 0) return;
    mayWait();
    giveCoreAway(RESIZE_LOCK, holder, WAIT_NANOS);
  }
}

function unlockResize(): void {
  atomic.store<i32>(RESIZE_LOCK, 0);
  atomic.notify(RESIZE_LOCK, 1);
}

function refuse(status: i32, rule: u32, detail0: u64, detail1: u64): i32 {
  because(rule, detail0, detail1);
  return status;
}

/** Gives a preparation back that a dead processor's COMMIT had taken, zeroed again. For recovery. */
export function restorePending(base: u32, order: u32): void {
  noteChanges(base, 2 << order);
  memory.fill(base, 0, 2 << order);
  store<u32>(RESIZE_BASE, base);
  store<u32>(RESIZE_ORDER, order);
  store<i32>(RESIZE_ERROR, H_SUCCESS);
  store<i32>(RESIZE_STATE, RESIZE_READY);
}

/** Frees the resize lock of a dead processor. Every step under it can be left half-done: the state word moves last. */
export function releaseResizeOf(processor: u32): void {
  if (atomic.load<i32>(RESIZE_LOCK) == <i32>processor + 1) unlockResize();
}
