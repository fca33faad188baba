/**
 * Who runs this instance of the engine. An instance belongs to one processor and one guest, so what follows
 * are plain globals of that instance: no other thread sees them.
 */
import { PROCESSORS, PROCESSOR_BYTES, RULE } from './memory-map';

/** Address of this processor's block in the guest's memory. */
export let self: usize = 0;
/** This processor's number. */
export let selfIndex: u32 = 0;
/** May the stream being run send control records? */
export let mayControl: bool = false;
/** Did the hcall being executed ask to be explained? */
export let explaining: bool = false;
/** Words that the hcall just executed answers: set by its handler, 0 unless it says otherwise. */
export let resultWords: u32 = 0;

/** Place in its submission ring of the record at hand: what an answer in the journal belongs to. */
export let recordAt: u32 = 0;

/** Before the records of a stream. */
export function beginStream(role: u32): void {
  mayControl = role != 0;
}

/** Before each record. */
@inline
export function beginRecord(place: u32): void {
  recordAt = place;
}

/** Before and after a record that asks to be explained. */
export function beginExplaining(asked: bool): void {
  explaining = asked;
}

export function beProcessor(index: u32): void {
  selfIndex = index;
  self = PROCESSORS + PROCESSOR_BYTES * <usize>index;
}

@inline
export function answerWords(count: u32): void {
  resultWords = count;
}

/** Adds to one of this processor's counters; only it writes them, so a plain store does. */
@inline
export function count(counter: usize, by: u64): void {
  store<u64>(self + counter, load<u64>(self + counter) + by);
}

/**
 * Leaves word why the answer will be what it is, if that was asked for: a rule of rules.ts and up to two details.
 */
@inline
export function because(rule: u32, detail0: u64 = 0, detail1: u64 = 0): void {
  if (!explaining) return;
  store<u64>(self + RULE, rule);
  store<u64>(self + RULE, detail0, 8);
  store<u64>(self + RULE, detail1, 16);
}

/** A further detail of the rule just given, `at` 0 to 8. */
export function becauseDetail(at: u32, detail: u64): void {
  if (!explaining) return;
  store<u64>(self + RULE + 8 + (<usize>at << 3), detail);
}
