/**
 * HVLOCK, bit 6 of an entry's dword 0: the lock that guards one entry (its two words and its guest_rpte).
 *
 * Who may wait for it: a caller that holds no other lock; and H_ENTER's second pass, which holds locks of lower
 * slots of the same group only. Everybody else (a bulk removal's second entry, code that holds a chain lock) may
 * only try. So no circle of waiters can form: every waiter that holds an entry lock waits for a higher slot of the
 * same group.
 *
 * ORDER: taking is a compare-and-swap, releasing an atomic store; both are sequentially consistent in
 * WebAssembly, so what the holder did before the release is seen by the next holder. Only the holder writes dword 0,
 * so the release needs no compare.
 */
import { mayWait } from './gate';
import { HPTE_V_HVLOCK } from './hpte';
import { journalLinkSettled, journalReleased, journalTaking } from './journal';
import { COUNT_LOCK_WAITS, WAITING_FOR } from './memory-map';
import { noteChange } from './pieces';
import { count, self } from './this-processor';
import { AT_LOCK, AT_LOCKED, AT_UNLOCK, AT_UNLOCKED, attemptFails, giveCoreAway, yieldPoint } from './yield-point';

/**
 * Looks at a taken lock this often before the core is given away: longer than any holder runs undisturbed. Between
 * two looks nothing tells the core that it spins: WebAssembly has no such instruction yet (V8 knows `pause` of the
 * shared-everything-threads proposal behind a flag only), and JavaScript's Atomics.pause would be an import, the only
 * one beside the memory. So spinning is short, well below a microsecond, instead of polite (load/README.md).
 */
const SPINS: u32 = 200;
/**
 * How long the core is given away; also bounds how long a missed release is not seen: nobody is notified, because a
 * notification would cost every release, contended or not, a look at whether somebody waits.
 */
const WAIT_NANOS: i64 = 20000;

/**
 * Takes the lock if none of `busy` (always with HVLOCK) is set, without waiting. Losing a race is a failure too.
 * `at`: the journal's record for it; a processor that holds several entries has one for each.
 */
@inline
export function tryLockHpte(entry: usize, busy: u64, at: u32 = 0): bool {
  yieldPoint(AT_LOCK);
  // RACE: a plain look; what it saw counts only if it is still there when the lock is taken.
  const v = load<u64>(entry);
  return (v & busy) == 0 && lockHpteIfStill(entry, v, at);
}

/** Takes the lock if dword 0 is still `v`, in which HVLOCK is not set. */
@inline
export function lockHpteIfStill(entry: usize, v: u64, at: u32 = 0): bool {
  if (attemptFails()) return false;
  journalTaking(at, entry, v);
  noteChange(entry);
  if (atomic.cmpxchg<u64>(entry, v, v | HPTE_V_HVLOCK) != v) {
    journalReleased(at);
    return false;
  }
  yieldPoint(AT_LOCKED);
  return true;
}

/** Takes the lock, waiting for it. Gives dword 0 as locked: HVLOCK is set in it. */
@inline
export function lockHpte(entry: usize, at: u32 = 0): u64 {
  yieldPoint(AT_LOCK);
  // RACE: as in tryLockHpte.
  const v = load<u64>(entry);
  if ((v & HPTE_V_HVLOCK) == 0) {
    if (lockHpteIfStill(entry, v, at)) return v | HPTE_V_HVLOCK;
  }
  return awaitLock(entry, at);
}

function awaitLock(entry: usize, at: u32): u64 {
  count(COUNT_LOCK_WAITS, 1);
  do awaitUnlocked(entry);
  while (!tryLockHpte(entry, HPTE_V_HVLOCK, at));
  return load<u64>(entry);
}

/** Waits until the lock looks free, without taking it. */
export function awaitUnlocked(entry: usize): void {
  for (let spins: u32 = 0; ; spins++) {
    mayWait();
    const v = atomic.load<u64>(entry);
    if ((v & HPTE_V_HVLOCK) == 0) break;
    if (spins < SPINS) continue;
    store<u64>(self + WAITING_FOR, entry);
    // The holder was preempted: give it this core. Nobody notifies; the wait ends by its time or because v changed.
    giveCoreAway(entry, <i32>v, WAIT_NANOS);
  }
  store<u64>(self + WAITING_FOR, 0);
}

/** Releases the lock; dword 0 becomes `v` without HVLOCK. */
@inline
export function unlockHpte(entry: usize, v: u64, at: u32 = 0): void {
  yieldPoint(AT_UNLOCK);
  atomic.store<u64>(entry, v & ~HPTE_V_HVLOCK);
  yieldPoint(AT_UNLOCKED);
  journalReleased(at);
  journalLinkSettled();
}
