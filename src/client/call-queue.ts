/**
 * The calls of a stream from being made to being answered, in order, across connections. Plain data and functions,
 * owned by guest-stream.ts.
 *
 * What is made together (`callMany`; a single call is one alone) is a batch. Records leave in frames, in order, and
 * are answered in order, so two numbers of each batch say everything: how many of its records were sent, and how many
 * answered. From them follows what can be said when the connection is lost.
 */
import { CLIENT_WAITING_BYTES_MAX } from '../../schemas/limits.ts';
import {
  type AnswerRecord,
  encodeRequests,
  type RequestRecord,
  requestBytes,
} from '../../schemas/records.ts';
import { deferred, type Deferred } from './deferred.ts';
import { CallsLostError, type CallOutcome, ProtocolError } from './errors.ts';

interface Batch {
  readonly records: readonly RequestRecord[];
  /** Makes of an answer what the caller is given. */
  readonly finish: (answer: AnswerRecord, index: number) => unknown;
  readonly answers: unknown[];
  /** Records of it that were given to a connection. */
  sent: number;
  readonly done: Deferred<unknown[]>;
}

export interface CallQueue {
  /** Not wholly answered, the oldest at `head`. */
  readonly batches: Batch[];
  head: number;
  /** The oldest that is not wholly sent; behind the last when there is none. */
  sending: number;
  /** Bytes of records that were not sent. */
  waitingBytes: number;
  /** Of the next record: 32 bits, so that an answer that belongs to another call is noticed. */
  nextTag: number;
}

export interface Frame {
  readonly bytes: Uint8Array;
  readonly records: number;
}

/** Answered batches are dropped from the array's front only when there are this many. */
const COMPACT_AT = 4096;

export function openCallQueue(): CallQueue {
  return { batches: [], head: 0, sending: 0, waitingBytes: 0, nextTag: 0 };
}

/** Throws RangeError when too much waits already. */
export function enqueue(
  queue: CallQueue,
  records: readonly RequestRecord[],
  finish: Batch['finish'],
): Promise<unknown[]> {
  const bytes = records.reduce((sum, record) => sum + requestBytes(record), 0);
  if (queue.waitingBytes + bytes > CLIENT_WAITING_BYTES_MAX) {
    throw new RangeError(
      `${queue.waitingBytes} bytes of calls wait to be sent, at most ${CLIENT_WAITING_BYTES_MAX} may: wait for answers before you make more`,
    );
  }
  for (const record of records) {
    record.tag = queue.nextTag;
    queue.nextTag = (queue.nextTag + 1) >>> 0;
  }
  queue.waitingBytes += bytes;
  const batch = { records, finish, answers: [], sent: 0, done: deferred<unknown[]>() };
  queue.batches.push(batch);
  return batch.done.promise;
}

/** The next frame of at most so many bytes; undefined: nothing waits. `markSent` takes it off the queue. */
export function nextFrame(queue: CallQueue, bytesMax: number): Frame | undefined {
  const records: RequestRecord[] = [];
  let bytes = 0;
  for (let at = queue.sending; at < queue.batches.length; at++) {
    const batch = queue.batches[at]!;
    for (let i = batch.sent; i < batch.records.length; i++) {
      const record = batch.records[i]!;
      const more = requestBytes(record);
      if (records.length > 0 && bytes + more > bytesMax) return frameOf(records);
      bytes += more;
      records.push(record);
    }
  }
  return records.length === 0 ? undefined : frameOf(records);
}

function frameOf(records: readonly RequestRecord[]): Frame {
  return { bytes: encodeRequests(records), records: records.length };
}

export function markSent(queue: CallQueue, frame: Frame): void {
  queue.waitingBytes -= frame.bytes.byteLength;
  let left = frame.records;
  while (left > 0) {
    const batch = queue.batches[queue.sending]!;
    const taken = Math.min(left, batch.records.length - batch.sent);
    batch.sent += taken;
    left -= taken;
    if (batch.sent === batch.records.length) queue.sending++;
  }
}

/** Gives the next answers to their calls. Throws ProtocolError when one belongs to another call. */
export function takeAnswers(queue: CallQueue, answers: readonly AnswerRecord[]): void {
  for (const answer of answers) {
    const batch = queue.batches[queue.head]!;
    const index = batch.answers.length;
    const { tag } = batch.records[index]!;
    if (answer.tag !== tag)
      throw new ProtocolError(`the answer to call ${tag} came with the tag ${answer.tag}`);
    batch.answers.push(batch.finish(answer, index));
    if (batch.answers.length === batch.records.length) {
      batch.done.resolve(batch.answers);
      queue.head++;
    }
  }
  if (queue.head >= COMPACT_AT) {
    queue.batches.splice(0, queue.head);
    queue.sending -= queue.head;
    queue.head = 0;
  }
}

/** How many calls a loss took and how many it left. */
export interface Loss {
  readonly callsLost: number;
  readonly callsKept: number;
}

/**
 * The connection is gone. Batches of which anything was sent are rejected; those of which nothing was are kept for
 * the next connection, or rejected as well.
 */
export function loseCalls(queue: CallQueue, cause: Error, keepUnsent: boolean): Loss {
  const all = queue.batches.slice(queue.head);
  const kept = keepUnsent ? all.filter((batch) => batch.sent === 0) : [];
  const lost = keepUnsent ? all.filter((batch) => batch.sent > 0) : all;
  queue.batches.splice(0, queue.batches.length, ...kept);
  queue.head = 0;
  queue.sending = 0;
  const count = (batches: readonly Batch[]): number =>
    batches.reduce((sum, batch) => sum + batch.records.length - batch.answers.length, 0);
  queue.waitingBytes = kept.reduce(
    (sum, { records }) => records.reduce((bytes, record) => bytes + requestBytes(record), sum),
    0,
  );
  for (const batch of lost) batch.done.reject(new CallsLostError(outcomesOf(batch), cause));
  return { callsLost: count(lost), callsKept: count(kept) };
}

function outcomesOf({ records, answers, sent }: Batch): CallOutcome[] {
  return records.map((_, i) => {
    if (i < answers.length) return { outcome: 'answered', answer: answers[i] };
    return { outcome: i < sent ? 'unknown' : 'not-sent' };
  });
}
