/**
 * The journal: what a processor is doing to shared memory at this moment, written down before it does it, so that
 * somebody else can put things right if its thread dies. recovery.ts reads it.
 *
 *   +0    8 x 32 bytes  entries it takes or holds: u64 address | flags, u64 dword 0 as found, u64 dword 1, u64 guest_rpte
 *   +256  chain         u32 rmap address, u32 step, u64 1 + ptex, u32 neighbours, u64 the rmap word to be
 *   +288  answer        the status and word count of a change that the next store makes visible
 *   +296  the rest      stream, reader, invalidation, change-over, a note, retries
 *
 * All of it is plain stores into cache lines that only this processor writes. RACE: others read it only when this
 * thread is gone or parked, and learn that by an atomic word or from the main thread.
 *
 * What is promised:
 * - an entry lock is held only by processors whose journal names the entry; one that waits for a lock does not name it
 * - an entry's words under the lock differ from what the journal has only in ways that undoing repairs
 * - JOURNAL_ANSWER is set before the store that makes a change visible, and only then
 */
import { EXECUTED_TO, JOURNAL, revmapAddress } from './memory-map';
import { recordAt, self } from './this-processor';
import { AT_ANSWER, yieldPoint } from './yield-point';

export const ENTRY_RECORDS: u32 = 8;
export const ENTRY_RECORD_BYTES: usize = 32;
/** dword 1 and guest_rpte are journalled too. */
export const RECORD_HAS_WORDS: u64 = 1 << 62;
export const RECORD_ADDRESS: u64 = 0xffffffff;
export const RECORD_V: usize = 8;
export const RECORD_R: usize = 16;
export const RECORD_GUEST: usize = 24;

export const CHAIN: usize = JOURNAL + 256;
export const CHAIN_STEP: usize = CHAIN + 4;
/** 1 + the entry that is linked or unlinked, until it is released; 0: none. */
export const CHAIN_PTEX: usize = CHAIN + 8;
export const CHAIN_A: usize = CHAIN + 16;
export const CHAIN_B: usize = CHAIN + 20;
export const CHAIN_WORD: usize = CHAIN + 24;
/** Neither held nor wanted: CHAIN only tells which chain CHAIN_PTEX belongs to. */
export const STEP_FREE: u32 = 0;
export const STEP_TAKING: u32 = 1;
export const STEP_APPEND: u32 = 2;
export const STEP_UNLINK: u32 = 3;
/** Or-ed to the step: the links are done, CHAIN_WORD is what the unlocking store stores. */
export const STEP_RELEASING: u32 = 8;

/** u64: status, 16 bits; result words, 14 bits; JOURNAL_ANSWERED; from bit 32 on the record's place in its ring, in words. */
export const JOURNAL_ANSWER: usize = JOURNAL + 288;
export const JOURNAL_ANSWERED: u64 = 1 << 30;
export const JOURNAL_WORDS_MASK: u32 = 0x3fff;
/** u32: 1 + the stream whose records are being executed. */
export const JOURNAL_STREAM: usize = JOURNAL + 296;
/** u32: 1 + the reader of the table stream in hand, READING_ what is done to it above. */
export const JOURNAL_READER: usize = JOURNAL + 300;
export const READING_OPEN: u32 = 1 << 8;
export const READING_READ: u32 = 2 << 8;
export const READING_CLOSE: u32 = 3 << 8;
/** u64: where this read began, and behind the last entry it looked at; u32: was it a first pass? */
export const JOURNAL_READ_FROM: usize = JOURNAL + 304;
export const JOURNAL_READ_TO: usize = JOURNAL + 312;
export const JOURNAL_READ_FIRST: usize = JOURNAL + 320;
/** u32: an invalidation was begun and not ended. */
export const JOURNAL_INVALIDATING: usize = JOURNAL + 324;
/** u32: CHANGE_ step of replacing the table; u32 base, u32 order of the new one. */
export const JOURNAL_CHANGE: usize = JOURNAL + 328;
export const JOURNAL_CHANGE_BASE: usize = JOURNAL + 332;
export const JOURNAL_CHANGE_ORDER: usize = JOURNAL + 336;
export const CHANGE_NONE: u32 = 0;
export const CHANGE_REHASHING: u32 = 1;
export const CHANGE_INSTALLING: u32 = 2;
export const CHANGE_RESETTING: u32 = 3;
export const CHANGE_FREEING: u32 = 4;
/** The base is the slot's address, the order 0. */
export const CHANGE_ADDING_SLOT: u32 = 5;
export const CHANGE_REMOVING_SLOT: u32 = 6;
/**
 * u32: 0, or an hcall of several steps is on its way and must be gone on with, not started again: 1 its results are
 * laid out (H_BULK_REMOVE, H_BLOCK_REMOVE, HOST_DIRTY), 2 it met an R and clears it (HOST_AGE).
 */
export const JOURNAL_NOTE: usize = JOURNAL + 340;
/** u32: deaths in a row in the middle of one record, and that record's place (EXECUTED_TO). */
export const JOURNAL_DEATHS: usize = JOURNAL + 344;
export const JOURNAL_DEATHS_AT: usize = JOURNAL + 348;
/** u64: the answer of a change of the table, should it have to be completed by somebody else. */
export const JOURNAL_CHANGE_ANSWER: usize = JOURNAL + 352;
/** u32: 1 when the frame at hand was begun in a paused guest, so that no hcall of it can have been begun. */
export const JOURNAL_CONTROLS_ONLY: usize = JOURNAL + 360;

/** About to take an entry's lock, which was free with this dword 0. */
@inline
export function journalTaking(at: u32, entry: usize, v: u64): void {
  const record = self + JOURNAL + ENTRY_RECORD_BYTES * <usize>at;
  store<u64>(record, v, RECORD_V);
  store<u64>(record, <u64>entry);
}

/** The entry of that record goes into record 0. */
export function journalMoved(from: u32): void {
  const record = self + JOURNAL + ENTRY_RECORD_BYTES * <usize>from;
  journalTaking(0, <usize>load<u64>(record), load<u64>(record, RECORD_V));
  journalReleased(from);
}

/** Does not hold that entry's lock, or not any more. */
@inline
export function journalReleased(at: u32): void {
  store<u64>(self + JOURNAL + ENTRY_RECORD_BYTES * <usize>at, 0);
}

/** About to change dword 1 or guest_rpte of an entry that stays visible to the guest: what they were. */
@inline
export function journalWords(at: u32, entry: usize, ptex: u64): void {
  const record = self + JOURNAL + ENTRY_RECORD_BYTES * <usize>at;
  store<u64>(record, load<u64>(entry, 8), RECORD_R);
  store<u64>(record, load<u64>(revmapAddress(ptex)), RECORD_GUEST);
  store<u64>(record, <u64>entry | RECORD_HAS_WORDS);
}

/** About to take a chain lock. */
@inline
export function journalChain(rmap: usize): void {
  // ORDER: this way round. The chain of before with this step is nobody's business; this chain with the step of before
  // would be released twice.
  store<u32>(self + CHAIN_STEP, STEP_TAKING);
  store<u32>(self + CHAIN, <u32>rmap);
}

/** About to put an entry on a chain, or to take it off, by one compare-and-swap of the rmap word. */
@inline
export function journalAlone(rmap: usize, ptex: u64): void {
  store<u32>(self + CHAIN_STEP, STEP_FREE);
  store<u32>(self + CHAIN, <u32>rmap);
  store<u64>(self + CHAIN_PTEX, ptex + 1);
}

/** About to link or unlink an entry; `a` and `b`: what the links are made from (the tail; forw and back). */
@inline
export function journalLink(step: u32, ptex: u64, a: u32, b: u32): void {
  store<u64>(self + CHAIN_PTEX, ptex + 1);
  store<u32>(self + CHAIN_A, a);
  store<u32>(self + CHAIN_B, b);
  store<u32>(self + CHAIN_STEP, step);
}

/** About to release the chain lock, leaving this word. `step`: what was done under it; STEP_TAKING: no linking. */
@inline
export function journalChainRelease(word: u64, step: u32): void {
  store<u64>(self + CHAIN_WORD, word);
  store<u32>(self + CHAIN_STEP, step | STEP_RELEASING);
}

@inline
export function journalChainReleased(): void {
  store<u32>(self + CHAIN_STEP, STEP_FREE);
}

/** The entry that was last linked or unlinked is released: its links are no longer this processor's business. */
@inline
export function journalLinkSettled(): void {
  store<u64>(self + CHAIN_PTEX, 0);
}

/** The next store makes the change visible: from then on this is the answer. Result words are written already. */
@inline
export function journalAnswer(status: i32, words: u32): void {
  store<u64>(self + JOURNAL_ANSWER, answerFor(recordAt, status, words));
}

function answerFor(record: u32, status: i32, words: u32): u64 {
  // A record's place is a multiple of 8.
  return (<u64>status & 0xffff) | (<u64>words << 16) | (<u64>record << 29) | JOURNAL_ANSWERED;
}

/** Is any answer journalled, this record's or an old one? */
@inline
export function isAnswerWaiting(): bool {
  return load<u64>(self + JOURNAL_ANSWER) != 0;
}

/** The journalled answer if it is this record's, else 0: a thread may have died before it could clear an old one. */
export function answerOf(record: u32): u64 {
  const answer = load<u64>(self + JOURNAL_ANSWER);
  return answer != 0 && ((answer >> 32) & 0x1fffffff) == <u64>(record >> 3) ? answer : 0;
}

/** A record at which thread after thread died is answered by recovery.ts. */
export function giveUpRecord(record: u32, status: i32): void {
  store<u64>(self + JOURNAL_ANSWER, answerFor(record, status, 0));
}

/** About to replace the table: `words` is how many result words, written already, go with its H_SUCCESS. */
export function journalChangeAnswer(words: u32): void {
  store<u64>(self + JOURNAL_CHANGE_ANSWER, answerFor(recordAt, 0, words));
}

/** A step of replacing the table is next. */
export function journalChange(step: u32, base: u32, order: u32): void {
  store<u32>(self + JOURNAL_CHANGE_BASE, base);
  store<u32>(self + JOURNAL_CHANGE_ORDER, order);
  store<u32>(self + JOURNAL_CHANGE, step);
}

/** Is the hcall at hand one that a dead processor began? */
export function journalNote(): u32 {
  return load<u32>(self + JOURNAL_NOTE);
}

export function setJournalNote(note: u32): void {
  store<u32>(self + JOURNAL_NOTE, note);
}

/** The end of an hcall of several steps: its answer, and nothing to go on with. */
export function journalDone(status: i32, words: u32): void {
  journalAnswer(status, words);
  setJournalNote(0);
}

/**
 * The record is executed and answered: one store says both, so that a death leaves it either done or not. `block`: the
 * stream's; then how far its records are executed, and how far answered.
 * RACE: a plain store of an aligned u64; only this processor, or its successor after its death, reads it.
 */
@inline
export function journalProgress(block: usize, executedTo: u32, answeredTo: u32): void {
  yieldPoint(AT_ANSWER);
  store<u64>(block + EXECUTED_TO, <u64>executedTo | (<u64>answeredTo << 32));
  yieldPoint(AT_ANSWER);
  journalAnswerTaken();
}

@inline
export function journalAnswerTaken(): void {
  store<u64>(self + JOURNAL_ANSWER, 0);
}
