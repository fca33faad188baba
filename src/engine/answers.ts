/**
 * The answers that a processor is gathering: an item of its stream's completion ring that is not published yet.
 * Called by the processor that runs the stream, which is the ring's only writer.
 *
 *   completion ring   ... [len|RECORDS][answer answer ...][len|RECORDS][answer answer
 *                                         COMPLETION_TAIL, itemStart ^   itemEnd, ANSWERED_TO ^      roomEnd ^
 */
import {
  ANSWERED_TO, COMPLETION_HEAD, COMPLETION_RING_BYTES, COMPLETION_TAIL, ITEM_FAULT, ITEM_HEADER_BYTES, ITEM_RECORDS, ITEM_SKIP, ITEM_STAMPED,
  ITEM_STAMP_SHIFT, RECORDING, STAMPS, completionRing, streamBlock,
} from './memory-map';
import { AT_FRAME, yieldPoint } from './yield-point';

const COMPLETION_MASK: u32 = <u32>COMPLETION_RING_BYTES - 1;
/** A refused frame: which fault, and where. */
export const FAULT_BYTES: u32 = 8;

let ring: usize = 0;
let block: usize = 0;
/** Free-running positions: where the item starts, and where its next answer goes. */
let itemStart: u32 = 0;
export let itemEnd: u32 = 0;
/** Up to here answers have room for sure; to find more the ring's other side has to be asked. */
export let roomEnd: u32 = 0;

/** Goes on behind what a dead processor wrote and did not publish. */
export function beginAnswers(stream: u32): void {
  block = streamBlock(stream);
  ring = completionRing(stream);
  itemStart = load<u32>(block + COMPLETION_TAIL);
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES + unpublished(block);
  store<u32>(block + ANSWERED_TO, itemEnd);
  roomEnd = itemEnd;
}

/** Bytes of answers that a dead processor wrote and did not publish. */
export function unpublished(block: usize): u32 {
  const bytes = load<i32>(block + ANSWERED_TO) - load<i32>(block + COMPLETION_TAIL) - <i32>ITEM_HEADER_BYTES;
  return bytes > 0 ? <u32>bytes : 0;
}

/** Where the answer that ends at no more than roomEnd goes. `position`: itemEnd, or how far it has come. */
@inline
export function answerAt(position: u32): usize {
  return ring + <usize>(position & COMPLETION_MASK);
}

/** The answers reach up to here. */
@inline
export function answersEnd(position: u32): void {
  itemEnd = position;
}

/** The next record shall ask for room, whatever room there is. */
export function forgetRoom(): void {
  roomEnd = itemEnd;
}

/**
 * Can the item take `need` bytes more? Moves on to the ring's start where the end is too near, and notes in roomEnd
 * how far answers may go before somebody has to ask again.
 */
export function findRoom(need: u32): bool {
  if (<i32>toRingEnd() < <i32>need) {
    if (free() < toRingEnd() + need) return false;
    publish();
    if ((itemStart & COMPLETION_MASK) != 0) skipToStart();
  }
  roomEnd = itemEnd + min<u32>(free(), toRingEnd());
  return free() >= need;
}

function toRingEnd(): u32 {
  return <u32>COMPLETION_RING_BYTES - (itemStart & COMPLETION_MASK) - (itemEnd - itemStart);
}

/** Bytes of the ring behind the item that the main thread has taken. */
function free(): u32 {
  return <u32>COMPLETION_RING_BYTES - (itemEnd - atomic.load<u32>(block + COMPLETION_HEAD));
}

function skipToStart(): void {
  const item = ring + <usize>(itemStart & COMPLETION_MASK);
  store<u32>(item, 0);
  store<u32>(item, ITEM_SKIP, 4);
  yieldPoint(AT_FRAME);
  itemStart = (itemStart | COMPLETION_MASK) + 1;
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES;
  atomic.store<u32>(block + COMPLETION_TAIL, itemStart);
  store<u32>(block + ANSWERED_TO, itemEnd);
}

/** Tells the main thread that the frame is refused: which fault, and at which of its bytes. */
export function publishFault(fault: u32, at: u32): void {
  publish();
  const item = ring + <usize>(itemStart & COMPLETION_MASK);
  store<u32>(item, fault, ITEM_HEADER_BYTES);
  store<u32>(item, at, ITEM_HEADER_BYTES + 4);
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES + FAULT_BYTES;
  close(ITEM_FAULT);
}

/** Hands the gathered answers to the main thread. */
export function publish(): void {
  if (itemEnd - itemStart > <u32>ITEM_HEADER_BYTES) close(ITEM_RECORDS);
}

function close(kind: u32): void {
  const item = ring + <usize>(itemStart & COMPLETION_MASK);
  store<u32>(item, itemEnd - itemStart - <u32>ITEM_HEADER_BYTES);
  store<u32>(item, kind | stamp(), 4);
  yieldPoint(AT_FRAME);
  // ORDER: the item's bytes before the tail that shows them.
  atomic.store<u32>(block + COMPLETION_TAIL, itemEnd);
  yieldPoint(AT_FRAME);
  itemStart = itemEnd;
  itemEnd = itemStart + <u32>ITEM_HEADER_BYTES;
  store<u32>(block + ANSWERED_TO, itemEnd);
}

/** While the guest is recorded: which of all its items this is. Dense, because whoever merges them waits for each. */
function stamp(): u32 {
  if (load<u32>(RECORDING) == 0) return 0;
  return ITEM_STAMPED | atomic.add<u32>(STAMPS, 1) << ITEM_STAMP_SHIFT;
}
