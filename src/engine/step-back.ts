/**
 * A thread that must never wait: the daemon's main thread, which executes short hcalls itself (src/processors/here.ts).
 * It is a processor like the others, with a block and a journal, but where others begin to wait it stops: in the middle
 * of the hcall, by a trap, because the engine cannot return from there. Then it takes back what it has done, by its
 * own journal, and somebody else executes the hcall from the start.
 *
 * Why is that right? It stops only where processors wait, and there a journal names just the entries that its processor holds;
 * no chain lock is held where one waits. Of an hcall that changes one entry, and changes it for others to see only by the
 * store that unlocks it, nothing has been seen by then; so it links an entry under the chain lock only, behind its last wait. What recovery.ts undoes for the dead is undone here while the locks
 * are held by the living, so nobody has to be stopped and nobody has to ask whose they are. Hence the condition:
 * the thread executes H_ENTER, H_REMOVE, H_READ, H_PROTECT, H_CLEAR_REF and H_CLEAR_MOD only. A bulk removal has
 * steps that others have seen; it must go on.
 *
 * A recovery that begins meanwhile waits for us as for any processor that executes: mayWait() stops before it parks.
 */
import { leaveGate } from './gate';
import { HPTE_V_HVLOCK } from './hpte';
import { ENTRY_RECORDS, ENTRY_RECORD_BYTES, JOURNAL_STREAM, RECORD_ADDRESS, RECORD_V, journalAnswerTaken } from './journal';
import { JOURNAL } from './memory-map';
import { restoreWords } from './recovery';
import { self } from './this-processor';
import { AT_UNLOCK, AT_UNLOCKED, yieldPoint } from './yield-point';

let waitsNever: bool = false;
let stopped: bool = false;

/** The thread of this instance never waits. */
export function neverWait(): void {
  waitsNever = true;
}

@inline
export function mayNotWait(): bool {
  return waitsNever;
}

/** Called where waiting begins. Traps in an instance that never waits. */
export function stopRatherThanWait(): void {
  if (!waitsNever) return;
  stopped = true;
  unreachable();
}

/** At each look at something that is taken. In the test build, where nobody spins, the first look may be the last. */
@inline
export function stopAtALook(): void {
  // @ts-ignore: given on the compiler's command line
  if (isDefined(HPTD_YIELD)) stopRatherThanWait();
}

/**
 * After a trap: takes back the hcall at hand, of which nothing has happened then. False: it was no stop but a defect, and
 * what the journal says cannot be relied on.
 */
export function stepBack(): bool {
  if (!stopped) return false;
  stopped = false;
  for (let at: u32 = 0; at < ENTRY_RECORDS; at++) {
    const record = self + JOURNAL + ENTRY_RECORD_BYTES * <usize>at;
    const named = load<u64>(record);
    if (named == 0) continue;
    restoreWords(record);
    yieldPoint(AT_UNLOCK);
    // ORDER: dword 1 and guest_rpte before dword 0, whose store gives the entry back.
    atomic.store<u64>(<usize>(named & RECORD_ADDRESS), load<u64>(record, RECORD_V) & ~HPTE_V_HVLOCK);
    yieldPoint(AT_UNLOCKED);
    store<u64>(record, 0);
  }
  journalAnswerTaken();
  store<u32>(self + JOURNAL_STREAM, 0);
  leaveGate();
  return true;
}
