/**
 * After a processor's death: puts right what it left half-done, frees its locks, and says what became of the hcall
 * it was in. Its successor (the same number, another thread) calls recover() for each guest before it runs anything.
 *
 * How can anybody know which locks a dead thread held? HVLOCK and the chain lock are single bits. First everybody else
 * is stopped (gate.ts): at an hcall boundary, holding nothing, or parked where they wait, holding exactly what their
 * journals name. So a lock that the dead one's journal names, that is taken, and that no living one's journal
 * names, is the dead one's.
 *
 * Undo or complete? The store that unlocks an entry is the one that makes a change visible; until then nobody can have
 * seen anything of it. So a change whose entry is still locked is undone (dword 0, dword 1 and guest_rpte as the
 * journal has them, the chain mended and the entry on it if it is VALID), and the hcall runs again from the start; R and C
 * that were handed on meanwhile stay where they are, they are true. A change whose entry is unlocked has happened, and the
 * journal has its answer. Replacing the table is completed where it has begun to show, because a half-zeroed table
 * cannot be undone. An hcall of several steps (a bulk removal) is gone on with: steps that happened are answered.
 *
 * Every step can be done again from the start: the successor may die too.
 *
 * A record at which processors keep dying is answered H_HARDWARE, undone, so that the stream goes on.
 */
import { beginRecovery, endRecovery, isDead, isParked, markRecovered, openGate } from './gate';
import { installTable } from './guest';
import { HPTE_GR_MODIFIED, HPTE_R_RC, HPTE_V_HVLOCK, HPTE_V_VALID, guestV } from './hpte';
import { READER_FREE, READER_OPEN, busyState, readerAddress } from './host/htab-reader';
import { finishFree, finishReset } from './host/table';
import { releaseResizeOf, restorePending } from './hcalls/resize';
import {
  CHAIN, CHAIN_A, CHAIN_B, CHAIN_PTEX, CHAIN_STEP, CHAIN_WORD, CHANGE_ADDING_SLOT, CHANGE_FREEING, CHANGE_INSTALLING, CHANGE_NONE,
  CHANGE_REHASHING, CHANGE_REMOVING_SLOT, CHANGE_RESETTING, ENTRY_RECORDS, ENTRY_RECORD_BYTES, JOURNAL_ANSWER, JOURNAL_CHANGE,
  JOURNAL_CHANGE_ANSWER, JOURNAL_CHANGE_BASE, JOURNAL_CHANGE_ORDER, JOURNAL_DEATHS, JOURNAL_DEATHS_AT, JOURNAL_INVALIDATING, JOURNAL_NOTE,
  JOURNAL_READER, JOURNAL_READ_FIRST,
  JOURNAL_READ_FROM, JOURNAL_READ_TO, JOURNAL_STREAM, READING_OPEN, READING_READ, RECORD_ADDRESS, RECORD_GUEST,
  RECORD_HAS_WORDS, RECORD_R, RECORD_V, STEP_APPEND, STEP_FREE, STEP_RELEASING, STEP_TAKING, STEP_UNLINK, answerOf, giveUpRecord,
  journalLinkSettled,
} from './journal';
import {
  GATE, INVALIDATE_IN_PROGRESS, INVALIDATE_SEQ, JOURNAL, MOD_INTEREST, PROCESSORS, PROCESSORS_MAX, PROCESSOR_BYTES,
  PTEX_COUNT, READERS_MAX, READER_FIRST_PASS, READER_INDEX, READER_STATE, ptexOf, revmapAddress,
} from './memory-map';
import { finishAdding, finishRemoving } from './host/memslot-change';
import { noteChange } from './pieces';
import { RMAP_LOCK, appendToChain, isOnChain, linkAround, linkAtTail, unlinkFromChain, unlockChain } from './revmap';
import { interruptedRecord, undoPair } from './processor';
import { H_HARDWARE } from './status';
import { self, selfIndex } from './this-processor';
import { AT_TABLE, yieldPoint } from './yield-point';

/** Deaths at one record before it is answered H_HARDWARE: more than bad luck. */
const DEATHS_MAX: u32 = 3;

/**
 * Works off the journal of this processor's dead predecessor, of which it executes nothing yet. Another processor that is
 * dead too has a successor of its own; only its chain lock is freed here, because entries of ours may be on that chain.
 */
export function recover(): void {
  if (!isDead(selfIndex)) return;
  beginRecovery();
  for (let p: u32 = 0; p < PROCESSORS_MAX; p++) if (isDead(p)) mendChain(p, PROCESSORS + PROCESSOR_BYTES * <usize>p);
  yieldPoint(AT_TABLE);
  for (let at: u32 = 0; at < ENTRY_RECORDS; at++) mendEntry(at);
  journalLinkSettled();
  mendReader();
  mendInvalidation();
  releaseResizeOf(selfIndex);
  mendTable();
  giveUpIfHopeless();
  markRecovered(selfIndex);
  endRecovery();
}

/** Finishes the linking or unlinking at hand, and frees the chain lock. */
function mendChain(processor: u32, block: usize): void {
  const rmap = <usize>load<u32>(block + CHAIN);
  const step = load<u32>(block + CHAIN_STEP);
  // Nobody parks while holding a chain lock: if it is taken, a dead processor has it.
  if (step == STEP_FREE || rmap == 0 || (load<u64>(rmap) & RMAP_LOCK) == 0) return;
  if ((step & STEP_RELEASING) != 0) {
    if (!otherDeadNamesChain(processor, rmap)) atomic.store<u64>(rmap, load<u64>(block + CHAIN_WORD));
    return;
  }
  if (step == STEP_TAKING && otherDeadNamesChain(processor, rmap)) return;
  let word = load<u64>(rmap) & ~RMAP_LOCK;
  const ptex = load<u64>(block + CHAIN_PTEX) - 1;
  if (step == STEP_APPEND) word = linkAtTail(word, ptex, load<u32>(block + CHAIN_A));
  if (step == STEP_UNLINK) word = linkAround(word, ptex, load<u32>(block + CHAIN_A), load<u32>(block + CHAIN_B));
  store<u64>(block + CHAIN_WORD, word);
  store<u32>(block + CHAIN_STEP, step | STEP_RELEASING);
  atomic.store<u64>(rmap, word);
}

function otherDeadNamesChain(processor: u32, rmap: usize): bool {
  for (let p: u32 = 0; p < PROCESSORS_MAX; p++) {
    const block = PROCESSORS + PROCESSOR_BYTES * <usize>p;
    if (p == processor || !isDead(p) || load<u32>(block + CHAIN_STEP) == STEP_FREE) continue;
    if (<usize>load<u32>(block + CHAIN) == rmap) return true;
  }
  return false;
}

/** Undoes what is not visible yet of a change to one entry, and frees its lock. */
function mendEntry(at: u32): void {
  const record = self + JOURNAL + ENTRY_RECORD_BYTES * <usize>at;
  const named = load<u64>(record);
  if (named == 0) return;
  const entry = <usize>(named & RECORD_ADDRESS);
  const v = load<u64>(record, RECORD_V);
  if (!stillHeld(entry)) {
    store<u64>(record, 0);
    return;
  }
  restoreWords(record);
  mendMembership(ptexOf(entry), guestV(v, load<u64>(entry, 8)));
  undoPair(self, at);
  store<u64>(self + JOURNAL_ANSWER, 0);
  yieldPoint(AT_TABLE);
  atomic.store<u64>(entry, v & ~HPTE_V_HVLOCK);
  yieldPoint(AT_TABLE);
  store<u64>(record, 0);
}

/** dword 1 and guest_rpte of a locked entry, if they were journalled before they were changed. `record`: the journal's. */
export function restoreWords(record: usize): void {
  const named = load<u64>(record);
  if ((named & RECORD_HAS_WORDS) == 0) return;
  const entry = <usize>(named & RECORD_ADDRESS);
  store<u64>(entry, load<u64>(record, RECORD_R) | (load<u64>(entry, 8) & HPTE_R_RC), 8);
  store<u64>(revmapAddress(ptexOf(entry)), load<u64>(record, RECORD_GUEST));
}

/** Is the lock taken, and by nobody but the dead processor? */
function stillHeld(entry: usize): bool {
  if ((load<u64>(entry) & HPTE_V_HVLOCK) == 0) return false;
  const answered = load<u64>(self + JOURNAL_ANSWER) != 0;
  for (let p: u32 = 0; p < PROCESSORS_MAX; p++) {
    if (p == selfIndex || !names(p, entry)) continue;
    if (isParked(p)) return false;
    // Two dead ones name it: the one whose answer stands had already released it.
    if (isDead(p) && answered) return false;
  }
  return true;
}

function names(processor: u32, entry: usize): bool {
  const journal = PROCESSORS + PROCESSOR_BYTES * <usize>processor + JOURNAL;
  for (let at: u32 = 0; at < ENTRY_RECORDS; at++) {
    const named = load<u64>(journal + ENTRY_RECORD_BYTES * <usize>at);
    if (named != 0 && <usize>(named & RECORD_ADDRESS) == entry) return true;
  }
  return false;
}

/**
 * An entry that is VALID again must be on its chain, one that is not must be off it. Done under the chain lock although
 * nobody else moves: so the journal knows at each store how far it went, should this thread die too.
 */
function mendMembership(ptex: u64, v: u64): void {
  if (load<u64>(self + CHAIN_PTEX) != ptex + 1) return;
  const rmap = <usize>load<u32>(self + CHAIN);
  const wanted = (v & HPTE_V_VALID) != 0;
  if (isOnChain(rmap, ptex) == wanted) return;
  const word = load<u64>(rmap) & ~RMAP_LOCK;
  store<u64>(self + CHAIN_WORD, word);
  store<u32>(self + CHAIN_STEP, STEP_TAKING | STEP_RELEASING);
  yieldPoint(AT_TABLE);
  atomic.store<u64>(rmap, word | RMAP_LOCK);
  yieldPoint(AT_TABLE);
  if (wanted) unlockChain(rmap, appendToChain(word, ptex), STEP_APPEND);
  else unlockChain(rmap, unlinkFromChain(word, ptex), STEP_UNLINK);
}

/** A table stream's reader in the dead processor's hands: the read did not happen, so what it gave is modified still. */
function mendReader(): void {
  const hand = load<u32>(self + JOURNAL_READER);
  if (hand == 0) return;
  const reader = readerAddress((hand & 0xff) - 1);
  if (load<i32>(reader + READER_STATE) == busyState(selfIndex)) {
    if ((hand & ~0xff) == READING_READ) unread(reader);
    atomic.store<i32>(reader + READER_STATE, (hand & ~0xff) == READING_OPEN ? READER_FREE : READER_OPEN);
    store<u64>(self + JOURNAL_ANSWER, 0);
  }
  store<u32>(self + JOURNAL_READER, 0);
  let open = 0;
  for (let i: u32 = 0; i < READERS_MAX; i++) if (load<i32>(readerAddress(i) + READER_STATE) != READER_FREE) open++;
  atomic.store<u8>(MOD_INTEREST, <u8>open);
}

function unread(reader: usize): void {
  const end = min<u64>(load<u64>(self + JOURNAL_READ_TO), load<u64>(PTEX_COUNT));
  for (let ptex = load<u64>(self + JOURNAL_READ_FROM); ptex < end; ptex++) {
    noteChange(revmapAddress(ptex));
    store<u64>(revmapAddress(ptex), load<u64>(revmapAddress(ptex)) | HPTE_GR_MODIFIED);
  }
  store<u64>(reader + READER_INDEX, load<u64>(self + JOURNAL_READ_FROM));
  store<u32>(reader + READER_FIRST_PASS, load<u32>(self + JOURNAL_READ_FIRST));
}

/** Ends an invalidation. Counting one too many is harmless: somebody looks at a host page again. */
function mendInvalidation(): void {
  if (load<u32>(self + JOURNAL_INVALIDATING) == 0) return;
  store<u32>(self + JOURNAL_INVALIDATING, 0);
  atomic.add<u64>(INVALIDATE_SEQ, 1);
  let running = 0;
  for (let p: u32 = 0; p < PROCESSORS_MAX; p++) {
    if (load<u32>(PROCESSORS + PROCESSOR_BYTES * <usize>p + JOURNAL_INVALIDATING) != 0) running++;
  }
  atomic.store<u8>(INVALIDATE_IN_PROGRESS, <u8>running);
}

/** A change of the table: completed where the gate is closed for it and it has begun to show, else given back. */
function mendTable(): void {
  const step = load<u32>(self + JOURNAL_CHANGE);
  const base = load<u32>(self + JOURNAL_CHANGE_BASE);
  const order = load<u32>(self + JOURNAL_CHANGE_ORDER);
  const closed = atomic.load<i32>(GATE) == <i32>selfIndex + 1;
  if (closed && step == CHANGE_INSTALLING) installTable(base, order);
  if (closed && step == CHANGE_RESETTING) finishReset(base, order);
  if (closed && step == CHANGE_FREEING) finishFree();
  if (closed && step == CHANGE_ADDING_SLOT) finishAdding(base);
  if (closed && step == CHANGE_REMOVING_SLOT) finishRemoving(base);
  if (closed && step >= CHANGE_INSTALLING) store<u64>(self + JOURNAL_ANSWER, load<u64>(self + JOURNAL_CHANGE_ANSWER));
  if (step == CHANGE_REHASHING && load<u64>(self + JOURNAL_ANSWER) == 0) restorePending(base, order);
  yieldPoint(AT_TABLE);
  store<u32>(self + JOURNAL_CHANGE, CHANGE_NONE);
  if (closed) openGate();
}

/** A record that killed processor after processor is answered, undone, so that its stream goes on. */
function giveUpIfHopeless(): void {
  if (load<u32>(self + JOURNAL_STREAM) == 0) return;
  const place = interruptedRecord(self);
  if (answerOf(place) != 0) return;
  const again = load<u32>(self + JOURNAL_DEATHS_AT) == place;
  const deaths = again ? load<u32>(self + JOURNAL_DEATHS) + 1 : 1;
  store<u32>(self + JOURNAL_DEATHS, deaths);
  store<u32>(self + JOURNAL_DEATHS_AT, place);
  if (deaths < DEATHS_MAX) return;
  store<u32>(self + JOURNAL_NOTE, 0);
  giveUpRecord(place, H_HARDWARE);
}

/** 1 + the stream that this processor's dead predecessor was executing records of: to be run first. 0: none. */
export function interruptedStream(): u32 {
  return load<u32>(self + JOURNAL_STREAM);
}
