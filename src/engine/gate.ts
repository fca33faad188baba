/**
 * The gate: how one processor stops all others of a guest to replace the table (H_RESIZE_HPT_COMMIT, a reset), and
 * how a dead processor's journal is worked off with nobody else moving (recovery.ts). Nothing else in hptd stops a
 * whole guest. No hcall closes it but those.
 *
 * A processor says in its ACTIVE word that it executes hcalls, then looks whether the gate is open; a closer
 * closes the gate, then looks whether anybody is active. ORDER: both are sequentially consistent, so at least
 * one of the two sees the other. Between hcalls an active processor looks again and steps aside.
 *
 * A recovery cannot wait for hcall boundaries: a live processor may be waiting for a lock that the dead one holds.
 * So every loop that waits calls mayWait(), and parks there: it holds the locks that its journal names, and no
 * other, and it changes nothing until the recovery is over.
 */
import { ACTIVE, DEAD, GATE, PROCESSORS, PROCESSORS_MAX, PROCESSOR_BYTES, RECOVERY } from './memory-map';
import { stopAtALook, stopRatherThanWait } from './step-back';
import { self, selfIndex } from './this-processor';
import { AT_GATE, AT_WAIT, giveCoreAway, yieldPoint } from './yield-point';

/** Nanoseconds between looks while waiting: a lost wake-up costs this, no more. */
const WAIT_NANOS: i64 = 1000000;
const AWAY: i32 = 0;
const RUNNING: i32 = 1;
const PARKED: i32 = 2;

/**
 * Closed for a change of the table, or for a recovery. Each word is 0 or 1 + a processor, so its low byte tells; V8 checks the
 * alignment of an atomic load of more.
 */
@inline
export function gateIsClosed(): bool {
  return (atomic.load<u8>(GATE) | atomic.load<u8>(RECOVERY)) != 0;
}

/** Returns once this processor may execute hcalls of the guest. */
export function enterGate(): void {
  for (;;) {
    atomic.store<i32>(self + ACTIVE, RUNNING);
    yieldPoint(AT_GATE);
    if (!gateIsClosed()) return;
    leaveGate();
    awaitOpen();
  }
}

export function leaveGate(): void {
  atomic.store<i32>(self + ACTIVE, AWAY);
  if (gateIsClosed()) atomic.notify(self + ACTIVE, -1);
}

/** Lets a closer have its way, between two hcalls. */
export function stepAside(): void {
  leaveGate();
  enterGate();
}

function awaitOpen(): void {
  yieldPoint(AT_WAIT);
  const closer = atomic.load<i32>(GATE);
  if (closer != 0) giveCoreAway(GATE, closer, WAIT_NANOS);
  const recovering = atomic.load<i32>(RECOVERY);
  if (recovering != 0) giveCoreAway(RECOVERY, recovering, WAIT_NANOS);
}

/** To be called in every loop that waits for somebody else while inside an hcall. */
export function mayWait(): void {
  yieldPoint(AT_WAIT);
  stopAtALook();
  if (atomic.load<i32>(RECOVERY) == 0) return;
  stopRatherThanWait();
  atomic.store<i32>(self + ACTIVE, PARKED);
  atomic.notify(self + ACTIVE, -1);
  for (;;) {
    const recovering = atomic.load<i32>(RECOVERY);
    if (recovering == 0) {
      // ORDER: as enterGate: say that we run, then look again whether the next recovery has begun.
      atomic.store<i32>(self + ACTIVE, RUNNING);
      if (atomic.load<i32>(RECOVERY) == 0) return;
      atomic.store<i32>(self + ACTIVE, PARKED);
      atomic.notify(self + ACTIVE, -1);
    }
    yieldPoint(AT_WAIT);
    giveCoreAway(RECOVERY, recovering, WAIT_NANOS);
  }
}

/** Stops every other processor at an hcall boundary. The caller is active and stays so. */
export function closeGate(): void {
  for (;;) {
    yieldPoint(AT_GATE);
    const closer = atomic.cmpxchg<i32>(GATE, 0, <i32>selfIndex + 1);
    if (closer == 0) break;
    // Another closer waits for us: step aside, then try again.
    leaveGate();
    awaitOpen();
    atomic.store<i32>(self + ACTIVE, RUNNING);
    mayWait();
  }
  yieldPoint(AT_GATE);
  for (let p: u32 = 0; p < PROCESSORS_MAX; p++) {
    const active = activeWord(p);
    while (p != selfIndex && atomic.load<i32>(active) != AWAY) {
      mayWait();
      giveCoreAway(active, atomic.load<i32>(active), WAIT_NANOS);
    }
  }
}

export function openGate(): void {
  yieldPoint(AT_GATE);
  atomic.store<i32>(GATE, 0);
  atomic.notify(GATE, -1);
}

/**
 * Stops every living processor where it stands or at the next place where it waits. The caller is not active. False:
 * another processor recovers; look again later whether anything is left to do.
 */
export function beginRecovery(): void {
  for (;;) {
    const other = atomic.cmpxchg<i32>(RECOVERY, 0, <i32>selfIndex + 1);
    // Our own number: the thread before us died in the middle of a recovery; all its steps can be done again.
    if (other == 0 || other == <i32>selfIndex + 1) break;
    yieldPoint(AT_WAIT);
    giveCoreAway(RECOVERY, other, WAIT_NANOS);
    if (isDead(<u32>(other - 1))) atomic.cmpxchg<i32>(RECOVERY, other, <i32>selfIndex + 1);
  }
  for (let p: u32 = 0; p < PROCESSORS_MAX; p++) {
    const active = activeWord(p);
    while (p != selfIndex && !isDead(p) && atomic.load<i32>(active) == RUNNING) {
      yieldPoint(AT_WAIT);
      giveCoreAway(active, RUNNING, WAIT_NANOS);
    }
  }
}

export function endRecovery(): void {
  atomic.store<i32>(RECOVERY, 0);
  atomic.notify(RECOVERY, -1);
}

/** Is the processor's thread gone and its journal not yet worked off? The main thread may set more of them at any time. */
export function isDead(processor: u32): bool {
  return (atomic.load<u64>(DEAD) & (<u64>1 << <u64>processor)) != 0;
}

/** Is a processor parked inside an hcall? */
export function isParked(processor: u32): bool {
  return atomic.load<i32>(activeWord(processor)) == PARKED;
}

/** The dead processor's journal is worked off. */
export function markRecovered(processor: u32): void {
  atomic.store<i32>(activeWord(processor), AWAY);
  atomic.and<u64>(DEAD, ~(<u64>1 << <u64>processor));
}

function activeWord(processor: u32): usize {
  return PROCESSORS + PROCESSOR_BYTES * <usize>processor + ACTIVE;
}
