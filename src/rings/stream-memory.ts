/**
 * A stream's two rings, as both threads see them in the guest's memory.
 *
 *     main thread                                                        processor
 *     submission.ts    [len|kind][request records]...   SUBMISSION_TAIL ->    engine's run()
 *                      <- SUBMISSION_HEAD, CONSUMED
 *     completion.ts    COMPLETION_HEAD ->                                     engine's run()
 *                      <- COMPLETION_TAIL       ...[answer records][len|kind]
 *
 *     a ring           0                                                       1 MiB
 *                      | item | item | free ............ | item | item | SKIP  |
 *                              ^ tail: the writer's       ^ head: the reader's
 *
 * - Every word has one writer: tails belong to the side that puts items in, heads to the side that takes them out.
 *   They are free-running byte counts modulo 2^32; a ring's length is a power of two, so `count & mask` is the place.
 * - ORDER: an item's bytes are stored before the tail that shows them, and read before the head that gives their
 *   room back. Both moves are sequentially consistent (Atomics here, atomic.store in the engine).
 * - An item never wraps. The writer that finds too little room before the ring's end leaves a SKIP item there (its
 *   header always fits: everything is a multiple of 8 bytes) and starts over at the ring's beginning.
 * - Credits: the main thread lets CREDIT_BYTES be in flight at most, counted as items are (length plus header);
 *   SKIP items are not counted. What was submitted less CONSUMED is in flight. The processor moves CONSUMED
 *   before it publishes a frame's last answers, so a client that has every answer has every credit.
 *   CREDIT_BYTES plus one frame lost to a SKIP fit the ring, so a frame within the credits always has room.
 * - Only the processor knows that a stream is done: CONSUMED may be seen before the answers that follow it. Whoever
 *   must know (closing) asks the processor to detach the stream.
 */
import type { MemoryMap } from './engine.ts';

/** The bytes of one stream. The views are small on purpose: V8 is slow on arrays of gigabytes. */
export interface StreamMemory {
  /** The stream's block: heads, tails, flags. Indexes are below. */
  readonly block: Int32Array<SharedArrayBuffer>;
  readonly submission: Uint8Array<SharedArrayBuffer>;
  readonly submissionWords: Int32Array<SharedArrayBuffer>;
  readonly completion: Uint8Array<SharedArrayBuffer>;
  readonly completionWords: Int32Array<SharedArrayBuffer>;
  readonly at: StreamIndexes;
}

/** Word indexes in a stream's block, and the engine's names for kinds of items. */
export interface StreamIndexes {
  readonly submissionHead: number;
  readonly consumed: number;
  readonly executedTo: number;
  readonly answeredTo: number;
  readonly submissionTail: number;
  readonly completionTail: number;
  readonly completionHead: number;
  readonly roleHost: number;
  readonly records: number;
  readonly skip: number;
  readonly fault: number;
  readonly stamped: number;
  readonly stampShift: number;
}

export function streamIndexes(map: MemoryMap): StreamIndexes {
  return {
    submissionHead: map.SUBMISSION_HEAD >> 2,
    consumed: map.CONSUMED >> 2,
    executedTo: map.EXECUTED_TO >> 2,
    answeredTo: map.ANSWERED_TO >> 2,
    submissionTail: map.SUBMISSION_TAIL >> 2,
    completionTail: map.COMPLETION_TAIL >> 2,
    completionHead: map.COMPLETION_HEAD >> 2,
    roleHost: map.ROLE_HOST >> 2,
    records: map.ITEM_RECORDS,
    skip: map.ITEM_SKIP,
    fault: map.ITEM_FAULT,
    stamped: map.ITEM_STAMPED,
    stampShift: map.ITEM_STAMP_SHIFT,
  };
}

/** Views over stream number `slot` of a guest. */
export function streamMemory(
  buffer: SharedArrayBuffer,
  map: MemoryMap,
  slot: number,
): StreamMemory {
  const submissionAt = map.RINGS + map.RING_PAIR_BYTES * slot;
  const completionAt = submissionAt + map.SUBMISSION_RING_BYTES;
  return {
    block: new Int32Array(buffer, map.STREAMS + map.STREAM_BYTES * slot, map.STREAM_BYTES >> 2),
    submission: new Uint8Array(buffer, submissionAt, map.SUBMISSION_RING_BYTES),
    submissionWords: new Int32Array(buffer, submissionAt, map.SUBMISSION_RING_BYTES >> 2),
    completion: new Uint8Array(buffer, completionAt, map.COMPLETION_RING_BYTES),
    completionWords: new Int32Array(buffer, completionAt, map.COMPLETION_RING_BYTES >> 2),
    at: streamIndexes(map),
  };
}

/** Makes a stream's block new. Only while no processor has the stream. */
export function resetStream(stream: StreamMemory, host: boolean): void {
  stream.block.fill(0);
  Atomics.store(stream.block, stream.at.roleHost, host ? 1 : 0);
}
