/**
 * The gate: how one processor stops all others of a guest to replace the table (H_RESIZE_HPT_COMMIT, a reset).
 * It is the only thing in hptd that stops a whole guest. No hcall closes it but those.
 *
 * A processor says in its ACTIVE word that it executes hcalls, then looks whether the gate is open; a closer
 * closes the gate, then looks whether anybody is active. ORDER: both are sequentially consistent, so at least
 * one of the two sees the other. Between hcalls an active processor looks again and steps aside.
 */
import { ACTIVE, GATE, PROCESSORS, PROCESSORS_MAX, PROCESSOR_BYTES } from './memory-map';
import { self, selfIndex } from './this-processor';

/** Nanoseconds between looks while waiting: a lost wake-up costs this, no more. */
const WAIT_NANOS: i64 = 1000000;

export function gateIsClosed(): bool {
  return atomic.load<i32>(GATE) != 0;
}

/** Returns once this processor may execute hcalls of the guest. */
export function enterGate(): void {
  for (;;) {
    atomic.store<i32>(self + ACTIVE, 1);
    const closer = atomic.load<i32>(GATE);
    if (closer == 0) return;
    leaveGate();
    atomic.wait<i32>(GATE, closer, WAIT_NANOS);
  }
}

export function leaveGate(): void {
  atomic.store<i32>(self + ACTIVE, 0);
  atomic.notify(self + ACTIVE, -1);
}

/** Lets a closer have its way, between two hcalls. */
export function stepAside(): void {
  leaveGate();
  enterGate();
}

/** Stops every other processor at an hcall boundary. The caller is active and stays so. */
export function closeGate(): void {
  for (;;) {
    const closer = atomic.cmpxchg<i32>(GATE, 0, <i32>selfIndex + 1);
    if (closer == 0) break;
    // Another closer waits for us: step aside, then try again.
    leaveGate();
    atomic.wait<i32>(GATE, closer, WAIT_NANOS);
    atomic.store<i32>(self + ACTIVE, 1);
  }
  for (let p: u32 = 0; p < PROCESSORS_MAX; p++) {
    const active = PROCESSORS + PROCESSOR_BYTES * <usize>p + ACTIVE;
    while (p != selfIndex && atomic.load<i32>(active) != 0) atomic.wait<i32>(active, 1, WAIT_NANOS);
  }
}

export function openGate(): void {
  atomic.store<i32>(GATE, 0);
  atomic.notify(GATE, -1);
}
