/**
 * Runs what a stream's submission ring holds and writes the answers into its completion ring.
 *
 * One processor runs a stream, so both rings have one writer and one reader. Contract with the other side
 * (src/rings/): a frame is copied in whole before SUBMISSION_TAIL moves; answers are whole before
 * COMPLETION_TAIL moves; a frame counts as CONSUMED before its last answers are published, so whoever has seen
 * all answers may use the credit again.
 *
 *   submission ring   ... [len|RECORDS][record record ...][len|RECORDS][record ...][0|SKIP]   (wraps to the start)
 *                          ^ SUBMISSION_HEAD, FRAME_AT bytes into it           SUBMISSION_TAIL ^
 *
 * A frame is checked whole before its first record is executed, so a malformed frame changes nothing.
 * Work stops at a record boundary when the quantum is used up, when the completion ring has no room for the
 * next record's longest answer, or when another processor closes the gate.
 */
import { execute } from './dispatch';
import { enterGate, gateIsClosed, leaveGate, stepAside } from './gate';
import {
  COMPLETION_HEAD, COMPLETION_RING_BYTES, COMPLETION_TAIL, CONSUMED, COUNT_RECORDS, FAULTED, FAULT_COUNT,
  FAULT_LENGTH, FAULT_VERSION, FRAME_AT, ITEM_FAULT, ITEM_HEADER_BYTES, ITEM_RECORDS, ITEM_SKIP, ROLE_HOST,
  RULE, RULE_DETAILS, RUN_BACKGROUND, RUN_MORE, RUN_STALLED, SUBMISSION_HEAD, SUBMISSION_RING_BYTES, SUBMISSION_TAIL,
  completionRing, streamBlock, submissionRing,
} from './memory-map';
import { RULE_NONE } from './rules';
import { resizeIsZeroing } from './hcalls/resize';
import { answerWordsMax, wordsAllowed } from './opcodes';
import { answerWords, because, count, resultWords, self } from './this-processor';

const RECORD_HEADER_BYTES: usize = 8;
const RECORD_VERSION: u32 = 1;
const EXPLAIN_BIT: u32 = 0x4000;
const EXPLAIN_BYTES: usize = 8 * (1 + <usize>RULE_DETAILS);
const SUBMISSION_MASK: u32 = <u32>SUBMISSION_RING_BYTES - 1;
const COMPLETION_MASK: u32 = <u32>COMPLETION_RING_BYTES - 1;

/** A refused frame: which fault, and where. */
const FAULT_BYTES: u32 = 8;

/** Set when the completion ring has no room for what comes next. */
let stalled: bool = false;
/** The answers being gathered: an item of the completion ring that is not published yet. */
let completions: usize = 0;
let block: usize = 0;
/** Free-running positions: where the item starts, and where its next answer goes. */
let itemStart: u32 = 0;
let itemEnd: u32 = 0;

/** Executes up to `quantum` records of a stream. Gives the number executed, with the RUN_ bits. */
export function run(stream: u32, quantum: u32): u32 {
  block = streamBlock(stream);
  if (atomic.load<u32>(block + SUBMISSION_TAIL) == load<u32>(block + SUBMISSION_HEAD)) return background();
  completions = completionRing(stream);
  itemStart = load<u32>(block + COMPLETION_TAIL);
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES;
  const ring = submissionRing(stream);
  let executed: u32 = 0;
  stalled = false;
  enterGate();
  while (executed < quantum && !stalled) {
    const frame = frameAtHead(ring);
    if (frame == 0) break;
    executed += runFrame(frame, quantum - executed);
  }
  leaveGate();
  publish();
  count(COUNT_RECORDS, executed);
  let bits: u32 = stalled ? RUN_STALLED : 0;
  if (atomic.load<u32>(block + SUBMISSION_TAIL) != load<u32>(block + SUBMISSION_HEAD)) bits |= RUN_MORE;
  return executed | bits | background();
}

function background(): u32 {
  return resizeIsZeroing() ? RUN_BACKGROUND : 0;
}

/** Address of the first frame item that is not finished, checked; 0 when there is none, or no room to refuse it. */
function frameAtHead(ring: usize): usize {
  let head = load<u32>(block + SUBMISSION_HEAD);
  while (head != atomic.load<u32>(block + SUBMISSION_TAIL)) {
    const item = ring + <usize>(head & SUBMISSION_MASK);
    const length = load<u32>(item);
    if (load<u32>(item, 4) == ITEM_SKIP) {
      atomic.store<u32>(block + SUBMISSION_HEAD, (head | SUBMISSION_MASK) + 1);
    } else if (load<u32>(block + FAULTED) != 0) {
      finishFrame(length);
    } else {
      if (load<u32>(block + FRAME_AT) != 0) return item;
      if (!roomFor(FAULT_BYTES)) {
        stalled = true;
        return 0;
      }
      if (frameIsWellFormed(item, length)) return item;
      finishFrame(length);
    }
    head = load<u32>(block + SUBMISSION_HEAD);
  }
  return 0;
}

function finishFrame(length: u32): void {
  store<u32>(block + FRAME_AT, 0);
  const cost = length + <u32>ITEM_HEADER_BYTES;
  // ORDER: before the answers are published, see the head of this file.
  atomic.store<u32>(block + CONSUMED, load<u32>(block + CONSUMED) + cost);
  atomic.store<u32>(block + SUBMISSION_HEAD, load<u32>(block + SUBMISSION_HEAD) + cost);
}

/** Whole records of version 1 with a word count their opcode allows? If not, publishes the fault. */
function frameIsWellFormed(item: usize, length: u32): bool {
  const records = item + ITEM_HEADER_BYTES;
  let at: u32 = 0;
  while (at < length) {
    if (length - at < <u32>RECORD_HEADER_BYTES) return refuse(FAULT_LENGTH, at);
    const head = load<u32>(records + <usize>at);
    const words = (head >> 16) & 0xfff;
    if (head >> 28 != RECORD_VERSION) return refuse(FAULT_VERSION, at);
    const allowed = wordsAllowed(head & 0xffff & ~EXPLAIN_BIT);
    if (words < (allowed & 0xffff) || words > allowed >> 16) return refuse(FAULT_COUNT, at);
    const bytes = <u32>RECORD_HEADER_BYTES + words * 8;
    if (length - at < bytes) return refuse(FAULT_LENGTH, at);
    at += bytes;
  }
  return at != 0 || refuse(FAULT_LENGTH, 0);
}

function refuse(fault: u32, at: u32): bool {
  publish();
  const item = completions + <usize>(itemStart & COMPLETION_MASK);
  store<u32>(item, fault, ITEM_HEADER_BYTES);
  store<u32>(item, at, ITEM_HEADER_BYTES + 4);
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES + FAULT_BYTES;
  close(ITEM_FAULT);
  store<u32>(block + FAULTED, 1);
  return false;
}

/** Executes records of the frame from FRAME_AT on, at most `quantum`; finishes the frame at its end. */
function runFrame(item: usize, quantum: u32): u32 {
  const length = load<u32>(item);
  const records = item + ITEM_HEADER_BYTES;
  const mayControl = load<u32>(block + ROLE_HOST) != 0;
  let at = load<u32>(block + FRAME_AT);
  let executed: u32 = 0;
  while (at < length && executed < quantum) {
    const record = records + <usize>at;
    const head = load<u32>(record);
    const words = (head >> 16) & 0xfff;
    const answerMax = answerWordsMax(head & 0xffff & ~EXPLAIN_BIT, record + RECORD_HEADER_BYTES);
    if (!roomFor(<u32>RECORD_HEADER_BYTES + answerMax * 8)) {
      stalled = true;
      break;
    }
    if (gateIsClosed()) stepAside();
    runRecord(record, head, words, mayControl);
    at += <u32>RECORD_HEADER_BYTES + words * 8;
    executed++;
  }
  if (at == length) finishFrame(length);
  else store<u32>(block + FRAME_AT, at);
  return executed;
}

function runRecord(record: usize, head: u32, words: u32, mayControl: bool): void {
  const answer = completions + <usize>(itemEnd & COMPLETION_MASK);
  const results = answer + RECORD_HEADER_BYTES;
  const explain = (head & EXPLAIN_BIT) != 0;
  if (explain) {
    memory.fill(self + RULE, 0, EXPLAIN_BYTES);
    because(RULE_NONE);
  }
  answerWords(0);
  const status = execute(head & 0xffff & ~EXPLAIN_BIT, words, record + RECORD_HEADER_BYTES, results, mayControl);
  let answered = resultWords;
  if (explain) {
    memory.copy(results + (<usize>answered << 3), self + RULE, EXPLAIN_BYTES);
    answered += 1 + RULE_DETAILS;
  }
  store<u32>(answer, (<u32>status & 0xffff) | (answered << 16));
  store<u32>(answer, load<u32>(record, 4), 4);
  itemEnd += <u32>RECORD_HEADER_BYTES + answered * 8;
}

/**
 * Can the item take `bytes` more (plus an explanation, plus the headers of items that may have to follow)?
 * Moves on to the ring's start where the end is too near.
 */
function roomFor(bytes: u32): bool {
  const need = bytes + <u32>EXPLAIN_BYTES + 4 * <u32>ITEM_HEADER_BYTES;
  const toRingEnd = <u32>COMPLETION_RING_BYTES - (itemStart & COMPLETION_MASK) - (itemEnd - itemStart);
  if (<i32>toRingEnd < <i32>need) {
    if (free() < toRingEnd + need) return false;
    publish();
    if ((itemStart & COMPLETION_MASK) != 0) skipToStart();
  }
  return free() >= need;
}

/** Bytes of the ring behind the item that the main thread has taken. */
function free(): u32 {
  return <u32>COMPLETION_RING_BYTES - (itemEnd - atomic.load<u32>(block + COMPLETION_HEAD));
}

function skipToStart(): void {
  const item = completions + <usize>(itemStart & COMPLETION_MASK);
  store<u32>(item, 0);
  store<u32>(item, ITEM_SKIP, 4);
  itemStart = (itemStart | COMPLETION_MASK) + 1;
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES;
  atomic.store<u32>(block + COMPLETION_TAIL, itemStart);
}

/** Hands the gathered answers to the main thread. */
function publish(): void {
  if (itemEnd - itemStart > <u32>ITEM_HEADER_BYTES) close(ITEM_RECORDS);
}

function close(kind: u32): void {
  const item = completions + <usize>(itemStart & COMPLETION_MASK);
  store<u32>(item, itemEnd - itemStart - <u32>ITEM_HEADER_BYTES);
  store<u32>(item, kind, 4);
  // ORDER: the item's bytes before the tail that shows them.
  atomic.store<u32>(block + COMPLETION_TAIL, itemEnd);
  itemStart = itemEnd;
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES;
}
