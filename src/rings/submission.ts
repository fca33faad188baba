/**
 * The main thread's side of a submission ring: frames go in. See stream-memory.ts for the protocol.
 *
 * Frames are copied, never looked into: the engine checks them. Main thread only, one ring a stream.
 */
import { CREDIT_BYTES, FRAME_OVERHEAD_BYTES, SUBMISSION_RING_BYTES } from '../../schemas/limits.ts';
import type { StreamMemory } from './stream-memory.ts';

const MASK = SUBMISSION_RING_BYTES - 1;
const HEADER_BYTES = 8;

export interface SubmissionRing {
  readonly memory: StreamMemory;
  /** What SUBMISSION_TAIL holds; the main thread is its only writer. */
  tail: number;
  /** Frames and their overheads so far, modulo 2^32: what CONSUMED counts, on this side. */
  submitted: number;
  /** A frame that is not a multiple of 8 bytes went in: the processor will refuse it, and what follows is lost. */
  misaligned: boolean;
}

export function openSubmissionRing(memory: StreamMemory): SubmissionRing {
  return { memory, tail: 0, submitted: 0, misaligned: false };
}

/** Bytes that count against the stream's credits now. */
export function bytesInFlight(ring: SubmissionRing): number {
  return (ring.submitted - Atomics.load(ring.memory.block, ring.memory.at.consumed)) >>> 0;
}

/** Copies a frame in and shows it to the processor. False: the credits do not allow it, nothing was taken. */
export function putFrame(ring: SubmissionRing, frame: Uint8Array): boolean {
  const cost = frame.byteLength + FRAME_OVERHEAD_BYTES;
  if (bytesInFlight(ring) + cost > CREDIT_BYTES) return false;
  // No whole record can follow a frame of odd length, and nothing after it would be executed: keep the ring aligned.
  if (ring.misaligned) return true;
  const { submission, submissionWords, block, at } = ring.memory;
  let place = ring.tail & MASK;
  if (place + HEADER_BYTES + frame.byteLength > SUBMISSION_RING_BYTES) {
    submissionWords[place >> 2] = 0;
    submissionWords[(place >> 2) + 1] = at.skip;
    ring.tail = ((ring.tail | MASK) + 1) | 0;
    place = 0;
  }
  submissionWords[place >> 2] = frame.byteLength;
  submissionWords[(place >> 2) + 1] = at.records;
  submission.set(frame, place + HEADER_BYTES);
  ring.tail = (ring.tail + HEADER_BYTES + frame.byteLength) | 0;
  ring.submitted = (ring.submitted + cost) | 0;
  ring.misaligned = (frame.byteLength & 7) !== 0;
  // ORDER: the frame, and the skip before it, are whole before the tail shows them.
  Atomics.store(block, at.submissionTail, ring.tail);
  return true;
}

/**
 * Copies of the frames, or their rests, that are not executed yet. Only while no processor runs the stream: a guest that
 * is recorded has its turn in the main thread's hands then.
 */
export function unexecutedFrames(ring: SubmissionRing): Uint8Array[] {
  const { submission, submissionWords: words, block, at } = ring.memory;
  const executedTo = Atomics.load(block, at.executedTo);
  const frames: Uint8Array[] = [];
  let head = Atomics.load(block, at.submissionHead);
  while (head !== ring.tail) {
    const place = head & MASK;
    if (words[(place >> 2) + 1] === at.skip) {
      head = ((head | MASK) + 1) | 0;
      continue;
    }
    const length = words[place >> 2]!;
    const done = Math.max(0, ((executedTo - head) | 0) - HEADER_BYTES);
    const first = place + HEADER_BYTES;
    frames.push(submission.slice(first + done, first + length));
    head = (head + HEADER_BYTES + length) | 0;
  }
  return frames;
}
