/**
 * The main thread's side of a completion ring: answers come out. See stream-memory.ts for the protocol.
 *
 * Items are gathered, never looked into, so that one wake-up costs one message to the client. Main thread only.
 */
import { COMPLETION_RING_BYTES } from '../../schemas/limits.ts';
import type { StreamMemory } from './stream-memory.ts';

const MASK = COMPLETION_RING_BYTES - 1;
const HEADER_BYTES = 8;
/** The rest of an item's second word is its stamp. */
const KINDS = 0xf;

/** Answers gathered into one message: enough to make its own cost vanish, little enough to keep a socket moving. */
const GATHER_BYTES = 128 * 1024;
/** Small messages are cut from a slab, because allocating each would cost more than copying it. */
const SLAB_BYTES = 64 * 1024;

export interface CompletionRing {
  readonly memory: StreamMemory;
  /** What COMPLETION_HEAD holds; the main thread is its only writer. */
  head: number;
  /** A stream has its own slab, so that a peer which never reads keeps no more alive than its own messages. */
  slab: Uint8Array<ArrayBuffer>;
  slabAt: number;
}

/** A frame that the engine refused: FAULT_ number and byte offset. */
export interface Fault {
  readonly fault: number;
  readonly offset: number;
}

const NO_SLAB = new Uint8Array(0);

export function openCompletionRing(memory: StreamMemory): CompletionRing {
  return { memory, head: 0, slab: NO_SLAB, slabAt: 0 };
}

/**
 * Answer records that wait in the ring, some or all; or the fault that ends them; undefined: nothing waits. `limit`: where
 * an item ends, up to which they may be taken.
 */
export function takeCompletions(
  ring: CompletionRing,
  limit?: number,
): Uint8Array<ArrayBuffer> | Fault | undefined {
  const { completionWords: words, at } = ring.memory;
  const tail = limit ?? completionTail(ring);
  if (tail === ring.head) return undefined;
  let bytes = 0;
  let end = ring.head;
  while (end !== tail && bytes < GATHER_BYTES) {
    const place = (end & MASK) >> 2;
    const kind = words[place + 1]! & KINDS;
    if (kind === at.skip) {
      end = ((end | MASK) + 1) | 0;
      continue;
    }
    if (kind === at.fault) break;
    const length = words[place]!;
    bytes += length;
    end = (end + HEADER_BYTES + length) | 0;
  }
  if (bytes !== 0) return copyOut(ring, end, bytes);
  giveBack(ring, end);
  return end === tail ? undefined : takeFault(ring);
}

/**
 * Shows a recording the stamped items from `from` on, without taking them; gives where to go on. They must not have been
 * given back, so it looks before anybody takes.
 */
export function showItems(
  { completion, completionWords: words, block, at }: StreamMemory,
  from: number,
  onItem: (stamp: number, answers: Uint8Array, end: number) => void,
): number {
  const tail = Atomics.load(block, at.completionTail);
  let item = from;
  while (item !== tail) {
    const place = item & MASK;
    const kind = words[(place >> 2) + 1]!;
    if ((kind & KINDS) === at.skip) {
      item = ((item | MASK) + 1) | 0;
      continue;
    }
    const length = words[place >> 2]!;
    const first = place + HEADER_BYTES;
    // A fault answers no record; its stamp has its place in the order all the same.
    const answers = (kind & KINDS) === at.fault ? 0 : length;
    item = (item + HEADER_BYTES + length) | 0;
    if ((kind & at.stamped) !== 0)
      onItem(kind >>> at.stampShift, completion.subarray(first, first + answers), item);
  }
  return item;
}

/**
 * Was everything taken that there will be? ORDER: asked when all frames are known to be consumed; their last answers may be
 * gathered and not published by then. What is gathered is read before what is published, because publishing moves
 * the one onto the other.
 */
export function isEverythingTaken(ring: CompletionRing): boolean {
  const { block, at } = ring.memory;
  const gathered = Atomics.load(block, at.answeredTo);
  const published = completionTail(ring);
  return published === ring.head && ((gathered - published) | 0) <= HEADER_BYTES;
}

/** The message of an answer that came another way. */
export function copyAnswer(ring: CompletionRing, answer: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = room(ring, answer.byteLength);
  message.set(answer);
  return message;
}

/** Bytes that wait in the ring, headers of items and what is skipped included. */
export function bytesWaiting(ring: CompletionRing): number {
  return (completionTail(ring) - ring.head) >>> 0;
}

/** Throws away what waits in the ring, for a stream that nobody listens to. `limit`: as for takeCompletions. */
export function dropCompletions(ring: CompletionRing, limit?: number): void {
  giveBack(ring, limit ?? completionTail(ring));
}

/** Behind the last item that is published. */
export function completionTail({ memory: { block, at } }: CompletionRing): number {
  return Atomics.load(block, at.completionTail);
}

function copyOut(ring: CompletionRing, end: number, bytes: number): Uint8Array<ArrayBuffer> {
  const { completion, completionWords: words, at } = ring.memory;
  const message = room(ring, bytes);
  let filled = 0;
  for (let item = ring.head; item !== end; ) {
    const place = item & MASK;
    if (words[(place >> 2) + 1] === at.skip) {
      item = ((item | MASK) + 1) | 0;
      continue;
    }
    const length = words[place >> 2]!;
    message.set(completion.subarray(place + HEADER_BYTES, place + HEADER_BYTES + length), filled);
    filled += length;
    item = (item + HEADER_BYTES + length) | 0;
  }
  giveBack(ring, end);
  return message;
}

function takeFault(ring: CompletionRing): Fault {
  const { completionWords: words } = ring.memory;
  const place = (ring.head & MASK) >> 2;
  const fault = { fault: words[place + 2]!, offset: words[place + 3]! };
  giveBack(ring, (ring.head + HEADER_BYTES + words[place]!) | 0);
  return fault;
}

/** ORDER: after the items' bytes were copied, because the processor may overwrite them from now on. */
function giveBack(ring: CompletionRing, head: number): void {
  ring.head = head;
  Atomics.store(ring.memory.block, ring.memory.at.completionHead, head);
}

function room(ring: CompletionRing, bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(bytes);
  if (ring.slabAt + bytes > ring.slab.byteLength) {
    ring.slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    ring.slabAt = 0;
  }
  const message = ring.slab.subarray(ring.slabAt, ring.slabAt + bytes);
  ring.slabAt += bytes;
  return message;
}
