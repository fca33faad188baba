/**
 * Who runs this instance of the engine. An instance belongs to one processor and one guest, so what follows
 * are plain globals of that instance: no other thread sees them.
 */
import { PROCESSORS, PROCESSOR_BYTES, RULE } from './memory-map';

/** Address of this processor's block in the guest's memory. */
export let self: usize = 0;
/** This processor's number. */
export let selfIndex: u32 = 0;
/** Words that the hcall just executed answers: set by its handler, 0 unless it says otherwise. */
export let resultWords: u32 = 0;

/** Place in its submission ring of the record at hand: what an answer in the journal belongs to. */
export let recordAt: u32 = 0;

export function atRecord(place: u32): void {
  recordAt = place;
}

export function beProcessor(index: u32): void {
  selfIndex = index;
  self = PROCESSORS + PROCESSOR_BYTES * <usize>index;
}

export function answerWords(count: u32): void {
  resultWords = count;
}

/** Adds to one of this processor's counters; only it writes them, so a plain store does. */
export function count(counter: usize, by: u64): void {
  store<u64>(self + counter, load<u64>(self + counter) + by);
}

/** Leaves word why the answer will be what it is: a rule of rules.ts and up to two details. */
export function because(rule: u32, detail0: u64 = 0, detail1: u64 = 0): void {
  store<u64>(self + RULE, rule);
  store<u64>(self + RULE, detail0, 8);
  store<u64>(self + RULE, detail1, 16);
}

/** A further detail of the rule just given, `at` 0 to 8. */
export function becauseDetail(at: u32, detail: u64): void {
  store<u64>(self + RULE + 8 + (<usize>at << 3), detail);
}
