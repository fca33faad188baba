/**
 * Runs what a stream's submission ring holds and writes the answers into its completion ring.
 *
 * One processor runs a stream, so both rings have one writer and one reader. Contract with the other side
 * (src/rings/): a frame is copied in whole before SUBMISSION_TAIL moves; answers are whole before
 * COMPLETION_TAIL moves; a frame counts as CONSUMED before its last answers are published, so whoever has seen
 * all answers may use the credit again.
 *
 *   submission ring   ... [len|RECORDS][record record ...][len|RECORDS][record ...][0|SKIP]   (wraps to the start)
 *                          ^ SUBMISSION_HEAD   ^ EXECUTED_TO                     SUBMISSION_TAIL ^
 *
 * A frame is checked whole before its first record is executed, so a malformed frame changes nothing.
 * Work stops at a record boundary when the quantum is used up, when the completion ring has no room for the
 * next record's longest answer, or when another processor closes the gate.
 *
 * While the guest is PAUSED no hcall is begun: a guest's stream stands still, a host's goes on up to its first hcall.
 * That is looked at before each frame and after what takes long (by way of the look for room, so it costs the other
 * hcalls nothing); the main thread sets the word and then waits until
 * every processor has come out of `run` once. An hcall that a dead processor was in the middle of is finished
 * all the same, because nothing else may be executed before it. PAUSED_ALL stops control records too, of the frames
 * that are not begun.
 */
import { FAULT_BYTES, answerAt, answersEnd, beginAnswers, findRoom, forgetRoom, itemEnd, publish, publishFault, roomEnd, unpublished } from './answers';
import { countAnswer } from './answer-counts';
import { H_ENTER_BYTES, H_ENTER_HEAD, H_REMOVE_BYTES, H_REMOVE_HEAD, isCommonest, left as leftByCommonest, runCommonest } from './commonest';
import { execute } from './dispatch';
import { enterGate, gateIsClosed, leaveGate, stepAside } from './gate';
import {
  ANSWERED_TO, COMPLETION_RING_BYTES, CONSUMED, COUNT_RECORDS, EXECUTED_TO, FAULTED, FAULT_COUNT,
  FAULT_LENGTH, FAULT_VERSION, ITEM_HEADER_BYTES, ITEM_SKIP, PAUSED, PAUSED_ALL, ROLE_HOST, RULE, RULE_DETAILS, RUN_BACKGROUND, RUN_MORE, RUN_STALLED, SUBMISSION_HEAD, SUBMISSION_RING_BYTES, SUBMISSION_TAIL,
  completionRing, streamBlock, submissionRing,
} from './memory-map';
import { RULE_NONE } from './rules';
import { resizeIsZeroing } from './hcalls/resize';
import {
  CONTROL_BIT, HCALL_ANSWER_WORDS_MAX, OP_H_BLOCK_REMOVE, OP_H_BULK_REMOVE, answerWordsMax,
  isControl, wordsAllowed,
} from './opcodes';
import { JOURNAL_CONTROLS_ONLY, JOURNAL_STREAM, JOURNAL_WORDS_MASK, answerOf, isAnswerWaiting, journalAnswerTaken, journalProgress } from './journal';
import { EXPLAIN_BIT, RECORD_HEADER_BYTES, RECORD_VERSION, recordBytes, recordOpcode, recordWords } from './records';
import { answerWords, because, beginExplaining, beginRecord, beginStream, count, mayControl, recordAt, resultWords, self } from './this-processor';
import { touchAhead, touchingPays } from './touch-ahead';
import { AT_ANSWER, AT_FRAME, yieldPoint } from './yield-point';

const EXPLAIN_BYTES: usize = 8 * (1 + <usize>RULE_DETAILS);
/** Goes around an answer: an explanation, and the headers of items that may have to follow. */
const ROOM_AROUND: u32 = <u32>EXPLAIN_BYTES + 4 * <u32>ITEM_HEADER_BYTES;
const HCALL_ROOM: u32 = ROOM_AROUND + <u32>RECORD_HEADER_BYTES + 8 * HCALL_ANSWER_WORDS_MAX;
const SUBMISSION_MASK: u32 = <u32>SUBMISSION_RING_BYTES - 1;

/** Set when the completion ring has no room for what comes next. */
let stalled: bool = false;
/** The guest is paused: control records only. And: what comes next is an hcall, which has to wait for that. */
let controlsOnly: bool = false;
let waiting: bool = false;
/** The record at hand was begun by a processor that died: it is finished, pause or not. */
let finishing: bool = false;
let block: usize = 0;

/** Executes up to `quantum` records of a stream. Gives the number executed, with the RUN_ bits. */
export function run(stream: u32, quantum: u32): u32 {
  block = streamBlock(stream);
  if (atomic.load<u32>(block + SUBMISSION_TAIL) == load<u32>(block + SUBMISSION_HEAD) && unpublished(block) == 0) {
    return background();
  }
  beginAnswers(stream);
  beginStream(load<u32>(block + ROLE_HOST));
  const ring = submissionRing(stream);
  let executed: u32 = 0;
  stalled = false;
  waiting = false;
  enterGate();
  finishing = load<u32>(self + JOURNAL_STREAM) == stream + 1 && load<u32>(self + JOURNAL_CONTROLS_ONLY) == 0;
  store<u32>(self + JOURNAL_STREAM, stream + 1);
  while (executed < quantum && !stalled && !waiting) {
    const paused = finishing ? 0 : atomic.load<u32>(PAUSED);
    controlsOnly = paused != 0;
    store<u32>(self + JOURNAL_CONTROLS_ONLY, controlsOnly ? 1 : 0);
    waiting = paused == PAUSED_ALL || (controlsOnly && !mayControl);
    const frame: usize = waiting ? 0 : frameAtHead(ring);
    if (frame == 0) break;
    executed += runFrame(frame, finishing ? 1 : quantum - executed);
    finishing = false;
  }
  // What a dead processor left behind a record that it had finished: another stream may have a record at that place.
  if (!stalled) journalAnswerTaken();
  store<u32>(self + JOURNAL_STREAM, 0);
  leaveGate();
  publish();
  count(COUNT_RECORDS, executed);
  let bits: u32 = stalled ? RUN_STALLED : 0;
  if (!waiting && atomic.load<u32>(block + SUBMISSION_TAIL) != load<u32>(block + SUBMISSION_HEAD)) bits |= RUN_MORE;
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
      if (frameProgress(head) != 0) return item;
      if (!findRoom(ROOM_AROUND + FAULT_BYTES)) {
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

/** Bytes of the frame at `head` that are executed. */
function frameProgress(head: u32): u32 {
  const done = <i32>(load<u32>(block + EXECUTED_TO) - head) - <i32>ITEM_HEADER_BYTES;
  return done > 0 ? <u32>done : 0;
}

/** Moves SUBMISSION_HEAD and CONSUMED, in one store so that no death comes between. */
function finishFrame(length: u32): void {
  const cost = length + <u32>ITEM_HEADER_BYTES;
  const head = load<u32>(block + SUBMISSION_HEAD) + cost;
  const consumed = load<u32>(block + CONSUMED) + cost;
  yieldPoint(AT_FRAME);
  // ORDER: before the answers are published, see the head of this file.
  atomic.store<u64>(block + SUBMISSION_HEAD, <u64>head | (<u64>consumed << 32));
}

/** Whole records of version 1 with a word count their opcode allows? If not, publishes the fault. */
function frameIsWellFormed(item: usize, length: u32): bool {
  const records = item + ITEM_HEADER_BYTES;
  const end = records + <usize>length;
  if (length == 0) return refuse(FAULT_LENGTH, 0);
  let record = records;
  let last = records;
  while (record < end) {
    const head = load<u32>(record);
    last = record;
    // The commonest hcalls have their lengths written out: the core guesses the branch, and need not wait for this
    // record's head to know where the next one is.
    if (head == H_ENTER_HEAD) record += H_ENTER_BYTES;
    else if (head == H_REMOVE_HEAD) record += H_REMOVE_BYTES;
    else {
      const fault = recordFault(record, end);
      if (fault != 0) return refuse(fault, <u32>(record - records));
      record += recordBytes(head);
    }
  }
  return record == end || refuse(FAULT_LENGTH, <u32>(last - records));
}

/** What is wrong with a record; 0: nothing. */
function recordFault(record: usize, end: usize): u32 {
  if (end - record < RECORD_HEADER_BYTES) return FAULT_LENGTH;
  const head = load<u32>(record);
  if (head >> 28 != RECORD_VERSION) return FAULT_VERSION;
  const allowed = wordsAllowed(recordOpcode(head));
  const words = recordWords(head);
  return words < (allowed & 0xffff) || words > allowed >> 16 ? FAULT_COUNT : 0;
}

function refuse(fault: u32, at: u32): bool {
  publishFault(fault, at);
  store<u32>(block + FAULTED, 1);
  return false;
}

/** Executes records of the frame that are not executed yet, at most `quantum`; finishes the frame at its end. */
function runFrame(item: usize, quantum: u32): u32 {
  const length = load<u32>(item);
  const records = item + ITEM_HEADER_BYTES;
  const end = records + <usize>length;
  const head = load<u32>(block + SUBMISSION_HEAD);
  /** From a record's address to its place in the ring. */
  const toPlace = head + <u32>ITEM_HEADER_BYTES - <u32>records;
  let record = records + <usize>frameProgress(head);
  // Progress beyond its frame is a defect: better a death that is seen than a loop that is not.
  if (record > end) unreachable();
  let touchedTo = touchingPays() ? record : end;
  let left = quantum;
  const stop = controlsOnly ? firstHcall(record, end) : end;
  while (record < stop) {
    if (record >= touchedTo) touchedTo = touchAhead(record, end);
    let recordHead = load<u32>(record);
    if (isCommonest(recordHead) && !isAnswerWaiting()) {
      record = runCommonest(block, record, min<usize>(stop, touchedTo), left, HCALL_ROOM, toPlace);
      left = leftByCommonest;
      if (left == 0 || record == stop) break;
      if (record == touchedTo) continue;
      recordHead = load<u32>(record);
    }
    const need = roomNeeded(record, recordHead);
    if (<i32>(roomEnd - itemEnd) < <i32>need && !goesOn(need)) break;
    if (gateIsClosed()) stepAside();
    runRecord(record, recordHead, toPlace + <u32>record);
    record += recordBytes(recordHead);
    journalProgress(block, toPlace + <u32>record, itemEnd);
    if (--left == 0) break;
  }
  if (record == end) finishFrame(length);
  else if (record == stop) waiting = true;
  return quantum - left;
}

/** Is there room for a record's answer, and no pause that began behind the frame? */
function goesOn(need: u32): bool {
  if (!controlsOnly && !finishing && atomic.load<u32>(PAUSED) != 0) return false;
  stalled = !findRoom(need);
  return !stalled;
}

/** At an hcall that may take long: a pause that has begun is met before the next record, not the next frame. */
export function lookForPause(): void {
  if (atomic.load<u32>(PAUSED) != 0) forgetRoom();
}

/** The first record from `record` on that is an hcall; `end` if none is. */
function firstHcall(record: usize, end: usize): usize {
  while (record < end && (load<u32>(record) & CONTROL_BIT) != 0) record += recordBytes(load<u32>(record));
  return record;
}

/** Bytes of the completion ring that a record's answer may take, with all that may have to go around it. */
@inline
function roomNeeded(record: usize, head: u32): u32 {
  if ((head & CONTROL_BIT) == 0 || !isControl(recordOpcode(head))) return HCALL_ROOM;
  const words = answerWordsMax(recordOpcode(head), record + RECORD_HEADER_BYTES);
  return ROOM_AROUND + <u32>RECORD_HEADER_BYTES + words * 8;
}

function runRecord(record: usize, head: u32, place: u32): void {
  const answer = answerAt(itemEnd);
  const results = answer + RECORD_HEADER_BYTES;
  const explain = (head & EXPLAIN_BIT) != 0;
  beginRecord(place);
  answerWords(0);
  if (explain) beginExplanation();
  yieldPoint(AT_ANSWER);
  let status: i32;
  if (isAnswerWaiting() && answerOf(recordAt) != 0) status = takeAnswer();
  else status = execute(recordOpcode(head), recordWords(head), record + RECORD_HEADER_BYTES, results);
  if (explain) addExplanation(results);
  yieldPoint(AT_ANSWER);
  countAnswer(recordOpcode(head), status);
  const words = resultWords;
  store<u64>(answer, <u64>(<u32>status & 0xffff | words << 16) | <u64>load<u32>(record, 4) << 32);
  answersEnd(itemEnd + <u32>RECORD_HEADER_BYTES + words * 8);
}

/** A dead processor executed the record, and its journal has what is left to say. */
function takeAnswer(): i32 {
  const happened = answerOf(recordAt);
  answerWords(<u32>(happened >> 16) & JOURNAL_WORDS_MASK);
  return <i32>happened;
}

function beginExplanation(): void {
  beginExplaining(true);
  memory.fill(self + RULE, 0, EXPLAIN_BYTES);
  because(RULE_NONE);
}

function addExplanation(results: usize): void {
  memory.copy(results + (<usize>resultWords << 3), self + RULE, EXPLAIN_BYTES);
  answerWords(resultWords + 1 + RULE_DETAILS);
  beginExplaining(false);
}

/** Place in its submission ring of the record that a dead processor was in the middle of. `dead`: its block. */
export function interruptedRecord(dead: usize): u32 {
  const stream = streamBlock(load<u32>(dead + JOURNAL_STREAM) - 1);
  const first = load<u32>(stream + SUBMISSION_HEAD) + <u32>ITEM_HEADER_BYTES;
  const executedTo = load<u32>(stream + EXECUTED_TO);
  return <i32>(executedTo - first) > 0 ? executedTo : first;
}

/** A removal that a dead processor had answered in a bulk or block removal is undone: its word is the request again. */
export function undoPair(dead: usize, index: u32): void {
  const running = load<u32>(dead + JOURNAL_STREAM);
  if (running == 0) return;
  const record = submissionRing(running - 1) + <usize>(interruptedRecord(dead) & SUBMISSION_MASK);
  const answer = completionRing(running - 1) +
    <usize>(load<u32>(streamBlock(running - 1) + ANSWERED_TO) & (<u32>COMPLETION_RING_BYTES - 1));
  const args = record + RECORD_HEADER_BYTES;
  const results = answer + RECORD_HEADER_BYTES;
  const opcode = recordOpcode(load<u32>(record));
  if (opcode == OP_H_BULK_REMOVE) store<u64>(results + (<usize>index << 4), load<u64>(args + (<usize>index << 4)));
  if (opcode == OP_H_BLOCK_REMOVE) store<u64>(results + (<usize>index << 3), load<u64>(args + 8 + (<usize>index << 3)));
}
