/**
 * Calls with records, answered with records, over a stream of a guest: what REST and the JSON stream share.
 *
 * What is called in one turn of the event loop goes to the processor as one frame: a bell rung for each call would
 * wake the processor, and let it fall asleep again, once a call. A call that comes alone may need no processor at all.
 * Answers come in the order of the requests, one each, so a queue of calls is all the book-keeping there is. Records wait
 * here while the stream's credits are used up. Main thread only.
 */
import { FRAME_BYTES_MAX } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import { decodeAnswers, requestBytes, writeRequest } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import type { GuestStream, StreamEnd, StreamListener } from './types.ts';

export interface Caller {
  readonly stream: GuestStream;
  /** Records that are not answered yet. */
  unanswered(): number;
  /** Answers of the records, in order. Rejects with a problem when the stream ends first. */
  call(records: readonly RequestRecord[]): Promise<AnswerRecord[]>;
  /** Rejects calls that were made so long ago. Their records may still be executed. */
  giveUp(afterMillis: number, reason: ProblemError): void;
  /** Submits now what was called in this turn; whoever ends the stream does this before. */
  submit(): void;
}

interface Call {
  readonly expected: number;
  readonly since: number;
  readonly answers: AnswerRecord[];
  readonly resolve: (answers: AnswerRecord[]) => void;
  readonly reject: (reason: ProblemError) => void;
}

export interface CallerListener {
  /** False: the caller has enough answers for now, until `stream.resume`. */
  wantsMore(): boolean;
  /** The stream ended; every call was answered or rejected before. */
  onEnd(end: StreamEnd): void;
}

/** Every frame is made here: a stream copies what it accepts at once. */
const FRAME = new Uint8Array(FRAME_BYTES_MAX);
const FRAME_VIEW = new DataView(FRAME.buffer);

export function openCaller(
  open: (listener: StreamListener) => GuestStream,
  listener: CallerListener,
): Caller {
  const calls: Call[] = [];
  /** Not submitted yet, in order. */
  let waiting: RequestRecord[] = [];
  let unanswered = 0;
  let submitComes = false;
  let ended: StreamEnd | undefined;

  function submit(): void {
    submitComes = false;
    if (unanswered === 1 && waiting.length === 1 && executeAlone(waiting)) return;
    let first = 0;
    while (first < waiting.length) {
      const { bytes, end } = makeFrame(waiting, first);
      if (stream.submit(FRAME.subarray(0, bytes)) !== 'accepted') break;
      first = end;
    }
    waiting = first === waiting.length ? [] : waiting.slice(first);
  }

  /** The only call there is. */
  function executeAlone(records: RequestRecord[]): boolean {
    const { bytes } = makeFrame(records, 0);
    // Its answer comes before `execute` returns.
    waiting = [];
    if (stream.execute(FRAME.subarray(0, bytes))) return true;
    waiting = records;
    return false;
  }

  function takeAnswers(bytes: Uint8Array): boolean {
    for (const answer of decodeAnswers(bytes)) {
      const call = calls[0]!;
      unanswered--;
      call.answers.push(answer);
      if (call.answers.length === call.expected) calls.shift()!.resolve(call.answers);
    }
    // With a submission to come credits were not short.
    if (waiting.length > 0 && !submitComes) submit();
    return listener.wantsMore();
  }

  function endCalls(end: StreamEnd): void {
    ended = end;
    waiting = [];
    for (const call of calls.splice(0)) call.reject(endProblem(end));
    listener.onEnd(end);
  }

  const stream = open({ onAnswers: takeAnswers, onEnd: endCalls });
  return {
    stream,
    unanswered: () => unanswered,
    call(records) {
      if (ended !== undefined) return Promise.reject(endProblem(ended));
      if (records.length === 0) return Promise.resolve([]);
      for (const record of records) waiting.push(record);
      unanswered += records.length;
      if (!submitComes) setImmediate(submit);
      submitComes = true;
      return new Promise((resolve, reject) => {
        calls.push(newCall(records.length, resolve, reject));
      });
    },
    giveUp: (afterMillis, reason) => rejectOld(calls, afterMillis, reason),
    submit,
  };
}

function newCall(expected: number, resolve: Call['resolve'], reject: Call['reject']): Call {
  return { expected, since: performance.now(), answers: [], resolve, reject };
}

/** They stay in the queue: their answers are still to come, and are nobody's. */
function rejectOld(calls: readonly Call[], afterMillis: number, reason: ProblemError): void {
  const before = performance.now() - afterMillis;
  for (const call of calls) if (call.since < before) call.reject(reason);
}

/** Writes records from `first` on into FRAME, as many as it holds; `end` is behind the last. */
function makeFrame(
  records: readonly RequestRecord[],
  first: number,
): { readonly bytes: number; readonly end: number } {
  let bytes = 0;
  let end = first;
  for (; end < records.length; end++) {
    if (bytes + requestBytes(records[end]!) > FRAME_BYTES_MAX) break;
    bytes = writeRequest(FRAME_VIEW, bytes, records[end]!);
  }
  return { bytes, end };
}

/** What a request is told that a stream's end left without an answer. */
export function endProblem(end: StreamEnd): ProblemError {
  if (end.kind === 'deleted') return problem('guest-deleted', 'the guest was deleted');
  if (end.kind === 'shutdown') return problem('shutting-down', 'the daemon shuts down');
  if (end.kind === 'failed') return problem('guest-failed', `the guest failed: ${end.reason}`);
  return problem('internal', `the engine refused a frame that the daemon made: ${end.reason}`);
}
