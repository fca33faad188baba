/**
 * H_RESIZE_HPT_PREPARE / H_RESIZE_HPT_COMMIT, and HPT_RESIZE, HPT_RESET, HPT_FREE.
 *
 * Sequential time makes preparation simple: the call that starts it answers "100 ms", and by the
 * next one it has finished.
 *
 * SPEC: PAPR "H_RESIZE_HPT_PREPARE"; KVM HV (state machine, rehash), with the limits QEMU checks in
 * front.
 */
import { ORDER_MAX, ORDER_MIN } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import {
  HPTE_GR_MODIFIED,
  isBolted,
  isOccupied,
  isSecondary,
  isValid,
  not,
  pageSize,
  virtualPage,
} from './hpte.ts';
import { unmapEntry } from './host.ts';
import {
  type Answer,
  type Entry,
  type State,
  dword0Of,
  dword1Of,
  entryAt,
  fail,
  groupMask,
  ok,
  resetTable,
  setDwords,
} from './table.ts';

const EINVAL = 22;
const ENOSPC = 28;

/** What PAPR allows as a shift; that hptd's tables end earlier only shows as H_RESOURCE. */
const isShift = (shift: bigint): boolean => shift >= BigInt(ORDER_MIN) && shift <= 46n;
const isOrder = (order: bigint): boolean =>
  order >= BigInt(ORDER_MIN) && order <= BigInt(ORDER_MAX);

/**
 * The largest order a guest may ask for: one byte for 128 bytes of memory, and one order to spare.
 */
function orderLimit(ramBytes: bigint): bigint {
  let shift = 0n;
  while (1n << shift < ramBytes) shift++;
  const wanted = shift - 7n;
  if (wanted < BigInt(ORDER_MIN)) return BigInt(ORDER_MIN) + 1n;
  return wanted >= BigInt(ORDER_MAX) ? BigInt(ORDER_MAX) : wanted + 1n;
}

export function hResizeHptPrepare(state: State, args: readonly bigint[]): Answer {
  const [flags = 0n, shift = 0n] = args;
  if (state.order === 0) return fail(STATUSES.H_NOT_AVAILABLE);
  if (flags !== 0n || (shift !== 0n && !isShift(shift))) return fail(STATUSES.H_PARAMETER);
  if (shift > orderLimit(state.ramBytes)) return fail(STATUSES.H_RESOURCE);
  if (Number(shift) === state.pendingOrder) return ok();
  state.pendingOrder = Number(shift);
  return shift === 0n ? ok() : fail(STATUSES.H_LONG_BUSY_ORDER_100_MSEC);
}

export function hResizeHptCommit(state: State, args: readonly bigint[]): Answer {
  const [flags = 0n, shift = 0n] = args;
  if (state.order === 0) return fail(STATUSES.H_NOT_AVAILABLE);
  if (flags !== 0n || (shift !== 0n && !isShift(shift))) return fail(STATUSES.H_PARAMETER);
  // Whatever comes of it, the prepared table is gone afterwards.
  const pending = state.pendingOrder;
  state.pendingOrder = 0;
  if (pending === 0 || pending !== Number(shift)) return fail(STATUSES.H_CLOSED);
  return rehash(state, pending) ? ok() : fail(STATUSES.H_PTEG_FULL);
}

export function hptResize(state: State, args: readonly bigint[]): Answer {
  const order = args[0] ?? 0n;
  if (!isOrder(order)) return minusErrno(EINVAL);
  state.pendingOrder = 0;
  return rehash(state, Number(order)) ? ok(0n) : minusErrno(ENOSPC);
}

const minusErrno = (errno: number): Answer => ok(BigInt.asUintN(64, BigInt(-errno)));

/**
 * False when a bolted entry found its place taken: the old table stays, its entries so far ABSENT.
 */
function rehash(state: State, order: number): boolean {
  const moved = new Map<number, Entry>();
  for (const ptex of [...state.entries.keys()].sort((a, b) => a - b)) {
    const entry = entryAt(state, ptex);
    if (!isOccupied(entry.dword0)) continue;
    // R and C that only hardware knew stay behind in the old reverse map, as in KVM HV; H_READ
    // still finds them in the real dword 1.
    const guestRpte = entry.guestRpte & not(HPTE_GR_MODIFIED);
    if (isValid(entry.dword0)) unmapEntry(state, ptex);
    const v = dword0Of(state, entry);
    if (!isBolted(v)) continue;
    const target = newPtex(state, ptex, entry, order);
    if (moved.has(target)) return false;
    const copy = { dword0: 0n, dword1: 0n, guestRpte };
    setDwords(state, copy, v, dword1Of(state, entry));
    moved.set(target, copy);
  }
  state.entries = moved;
  state.order = order;
  state.mmioUpdate = 0;
  return true;
}

function newPtex(state: State, ptex: number, entry: Entry, order: number): number {
  const v = dword0Of(state, entry);
  const base = pageSize(v, entry.guestRpte)?.base ?? 12n;
  const { hash } = virtualPage(v, base, ptex, groupMask(state.order));
  const mask = groupMask(order);
  const group = (isSecondary(v) ? hash ^ mask : hash) & mask;
  return Number(group) * 8 + (ptex % 8);
}

export function hptReset(state: State, args: readonly bigint[]): Answer {
  const order = args[0] ?? 0n;
  if (!isOrder(order)) return fail(STATUSES.H_PARAMETER);
  resetTable(state, Number(order));
  return ok(0n);
}

export function hptFree(state: State): Answer {
  resetTable(state, 0);
  return ok(0n);
}
