/**
 * Yield points: the places between two steps of a protocol at which a test may stop a thread, let another one go
 * first, or kill it. Only a build with HPTD_YIELD has them; in any other they are nothing at all, and
 * test/schedule/production-build.test.ts shows so.
 */
import { stopRatherThanWait } from './step-back';

// What a point is about to do. The numbers are what a schedule's text names; append, never renumber.
export const AT_LOCK: u32 = 1; // take an entry lock
export const AT_LOCKED: u32 = 2; // has it
export const AT_UNLOCK: u32 = 3; // release an entry lock, which is also how an entry changes for all
export const AT_UNLOCKED: u32 = 4;
export const AT_WAIT: u32 = 5; // look again at a lock that was taken
export const AT_CHAIN_LOCK: u32 = 6;
export const AT_CHAIN_LOCKED: u32 = 7;
export const AT_CHAIN_LINK: u32 = 8; // store one link of a chain
export const AT_CHAIN_UNLOCK: u32 = 9;
export const AT_CHAIN_UNLOCKED: u32 = 10;
export const AT_GUEST_VIEW: u32 = 11; // store guest_rpte
export const AT_REAL: u32 = 12; // store dword 1, or dword 0 of an entry that stays locked
export const AT_TLBIE: u32 = 13; // invalidate
export const AT_SLOT: u32 = 14; // look at the next slot of a group
export const AT_DIRTY: u32 = 15; // mark a dirty bit
export const AT_HOST: u32 = 16; // change a host page's state, or the invalidation sequence
export const AT_GATE: u32 = 17; // close or open the gate, or look at it
export const AT_TABLE: u32 = 18; // replace the table
export const AT_ANSWER: u32 = 19; // write an answer, or say that it is written
export const AT_FRAME: u32 = 20; // finish a frame, publish answers
export const AT_READER: u32 = 21; // change a table stream's reader
export const AT_READ: u32 = 22; // read shared memory without a lock

// @ts-ignore: an import that only the test build has
@external("schedule", "yieldPoint")
declare function threadYields(point: u32): void;

// @ts-ignore: as above. True: this attempt to take a lock is to fail as if another had been faster.
@external("schedule", "attemptFails")
declare function lockAttemptFails(): bool;

@inline
export function yieldPoint(point: u32): void {
  // @ts-ignore: given on the compiler's command line
  if (isDefined(HPTD_YIELD)) threadYields(point);
}

/** An injected failure of a compare-and-swap; never in production. */
@inline
export function attemptFails(): bool {
  // @ts-ignore: as above
  if (isDefined(HPTD_YIELD)) return lockAttemptFails();
  return false;
}

/**
 * Gives the core away while the word at `address` is `seen`, and no longer than `nanos`. In the test build it is the
 * scheduler that gives cores: whoever holds one there goes on at once, to its next look.
 */
export function giveCoreAway(address: usize, seen: i32, nanos: i64): void {
  stopRatherThanWait();
  // @ts-ignore: as above
  if (isDefined(HPTD_YIELD)) return;
  atomic.wait<i32>(address, seen, nanos);
}
