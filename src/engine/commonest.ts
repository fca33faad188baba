/**
 * The loop that runs H_ENTERs and H_REMOVEs, nine of ten records of a Linux guest, and nothing else: what is rare leaves it, so
 * that what is common stays in the core's registers. processor.ts runs everything else, one record at a time.
 *
 * Runs on a processor, inside the gate, in the middle of a frame that is well-formed. What a record may meet
 * here is what it may meet there: the gate, the room for its answer, the journal.
 */
import { answerAt, answersEnd, itemEnd, roomEnd } from './answers';
import { countAnswer } from './answer-counts';
import { gateIsClosed } from './gate';
import { enter } from './hcalls/enter';
import { remove } from './hcalls/remove';
import { OP_H_ENTER, OP_H_REMOVE } from './opcodes';
import { journalProgress } from './journal';
import { RECORD_HEADER_BYTES, RECORD_VERSION } from './records';
import { H_SUCCESS } from './status';
import { beginRecord } from './this-processor';
import { AT_ANSWER, yieldPoint } from './yield-point';

/** The whole head of such a record, when nobody asks for an explanation. */
export const H_ENTER_HEAD: u32 = OP_H_ENTER | (4 << 16) | (RECORD_VERSION << 28);
export const H_ENTER_BYTES: usize = RECORD_HEADER_BYTES + 4 * 8;
export const H_REMOVE_HEAD: u32 = OP_H_REMOVE | (3 << 16) | (RECORD_VERSION << 28);
export const H_REMOVE_BYTES: usize = RECORD_HEADER_BYTES + 3 * 8;

@inline
export function isCommonest(head: u32): bool {
  return head == H_ENTER_HEAD || head == H_REMOVE_HEAD;
}

/** Words that a success answers. */
const H_ENTER_ANSWERS: u32 = 1;
const H_REMOVE_ANSWERS: u32 = 2;

/** Records that the last run may still run. */
export let left: u32 = 0;

/**
 * Runs records of the stream at `block` from `record` on, at most `quantum` and none at `stop` or behind it. `room`: bytes of the
 * completion ring that a record asks for. `toPlace`: from a record's address to its place in the submission ring. Gives the
 * address of the first record that it did not run.
 */
export function runCommonest(block: usize, record: usize, stop: usize, quantum: u32, room: u32, toPlace: u32): usize {
  // No answer of this run comes to the ring's end, so an address is a position, shifted.
  const fromPlace = <u32>answerAt(itemEnd) - itemEnd;
  const lastAnswer = <i32>(roomEnd - room + fromPlace);
  let answer = answerAt(itemEnd);
  let at = record;
  let runs = quantum;
  beginRecord(toPlace + <u32>at);
  while (at < stop) {
    if (<i32>answer > lastAnswer) break;
    if (gateIsClosed()) break;
    const head = load<u32>(at);
    if (head == H_ENTER_HEAD) {
      yieldPoint(AT_ANSWER);
      const status = enter(at + RECORD_HEADER_BYTES, answer + RECORD_HEADER_BYTES, false);
      answer += answered(OP_H_ENTER, status, H_ENTER_ANSWERS, answer, at);
      at += H_ENTER_BYTES;
    } else {
      if (head != H_REMOVE_HEAD) break;
      yieldPoint(AT_ANSWER);
      const status = remove(at + RECORD_HEADER_BYTES, answer + RECORD_HEADER_BYTES, false);
      answer += answered(OP_H_REMOVE, status, H_REMOVE_ANSWERS, answer, at);
      at += H_REMOVE_BYTES;
    }
    const place = toPlace + <u32>at;
    journalProgress(block, place, <u32>answer - fromPlace);
    beginRecord(place);
    if (--runs == 0) break;
  }
  left = runs;
  answersEnd(<u32>answer - fromPlace);
  return at;
}

/** Writes an answer's head: with `words` words if it is a success, else without any. Gives the answer's bytes. */
@inline
function answered(opcode: u32, status: i32, words: u32, answer: usize, record: usize): usize {
  yieldPoint(AT_ANSWER);
  store<u32>(answer, load<u32>(record, 4), 4);
  if (status != H_SUCCESS) return answeredNothing(opcode, status, answer);
  countAnswer(opcode, H_SUCCESS);
  store<u32>(answer, words << 16);
  return RECORD_HEADER_BYTES + 8 * <usize>words;
}

function answeredNothing(opcode: u32, status: i32, answer: usize): usize {
  countAnswer(opcode, status);
  store<u32>(answer, <u32>status & 0xffff);
  return RECORD_HEADER_BYTES;
}
