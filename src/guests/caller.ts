/**
 * Calls with records, answered with records, over a stream of a guest: what REST and the JSON stream share.
 *
 * Answers come in the order of the requests, one each, so a queue of calls is all the book-keeping there is.
 * Frames wait here while the stream's credits are used up. Main thread only.
 */
import { FRAME_BYTES_MAX } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import { decodeAnswers, encodeRequests, requestBytes } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import type { GuestStream, StreamEnd, StreamListener } from './types.ts';

export interface Caller {
  readonly stream: GuestStream;
  /** Calls that are not answered yet. */
  unanswered(): number;
  /** Answers of the records, in order. Rejects with a problem when the stream ends first. */
  call(records: readonly RequestRecord[]): Promise<AnswerRecord[]>;
}

interface Call {
  readonly expected: number;
  readonly answers: AnswerRecord[];
  readonly result: PromiseWithResolvers<AnswerRecord[]>;
}

export interface CallerListener {
  /** False: the caller has enough answers for now, until `stream.resume`. */
  wantsMore(): boolean;
  /** The stream ended; every call was answered or rejected before. */
  onEnd(end: StreamEnd): void;
}

export function openCaller(
  open: (listener: StreamListener) => GuestStream,
  listener: CallerListener,
): Caller {
  const calls: Call[] = [];
  const frames: Uint8Array[] = [];
  let ended: StreamEnd | undefined;

  function submitFrames(): void {
    while (frames.length > 0 && stream.submit(frames[0]!) === 'accepted') frames.shift();
  }

  function takeAnswers(bytes: Uint8Array): boolean {
    for (const answer of decodeAnswers(bytes)) {
      const call = calls[0]!;
      call.answers.push(answer);
      if (call.answers.length === call.expected) calls.shift()!.result.resolve(call.answers);
    }
    if (frames.length > 0) submitFrames();
    return listener.wantsMore();
  }

  function endCalls(end: StreamEnd): void {
    ended = end;
    for (const call of calls.splice(0)) call.result.reject(endProblem(end));
    listener.onEnd(end);
  }

  const stream = open({ onAnswers: takeAnswers, onEnd: endCalls });
  return {
    stream,
    unanswered: () => calls.length,
    call(records) {
      if (ended !== undefined) return Promise.reject(endProblem(ended));
      if (records.length === 0) return Promise.resolve([]);
      const call = {
        expected: records.length,
        answers: [],
        result: Promise.withResolvers<AnswerRecord[]>(),
      };
      calls.push(call);
      frames.push(...framesOf(records));
      submitFrames();
      return call.result.promise;
    },
  };
}

/** The records in frames of the stream's size. */
function* framesOf(records: readonly RequestRecord[]): Generator<Uint8Array> {
  let first = 0;
  let bytes = 0;
  for (const [i, record] of records.entries()) {
    const more = requestBytes(record);
    if (bytes + more > FRAME_BYTES_MAX) {
      yield encodeRequests(records.slice(first, i));
      first = i;
      bytes = 0;
    }
    bytes += more;
  }
  yield encodeRequests(first === 0 ? records : records.slice(first));
}

/** What a request is told that a stream's end left without an answer. */
export function endProblem(end: StreamEnd): ProblemError {
  if (end.kind === 'deleted') return problem('guest-deleted', 'the guest was deleted');
  if (end.kind === 'shutdown') return problem('shutting-down', 'the daemon shuts down');
  if (end.kind === 'failed') return problem('guest-failed', `the guest failed: ${end.reason}`);
  return problem('internal', `the engine refused a frame that the daemon made: ${end.reason}`);
}
