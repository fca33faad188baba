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

interface State {
  readonly listener: CallerListener;
  /** In the order of their records. */
  readonly calls: Call[];
  /** Not submitted yet, in order. */
  waiting: RequestRecord[];
  unanswered: number;
  submitComes: boolean;
  ended: StreamEnd | undefined;
}

export function openCaller(
  open: (listener: StreamListener) => GuestStream,
  listener: CallerListener,
): Caller {
  const state: State = {
    listener,
    calls: [],
    waiting: [],
    unanswered: 0,
    submitComes: false,
    ended: undefined,
  };
  const stream: GuestStream = open({
    onAnswers: (bytes) => takeAnswers(state, stream, bytes),
    onEnd: (end) => endCalls(state, end),
  });
  return {
    stream,
    unanswered: () => state.unanswered,
    call(records) {
      if (state.ended !== undefined) return Promise.reject(endProblem(state.ended));
      if (records.length === 0) return Promise.resolve([]);
      for (const record of records) state.waiting.push(record);
      state.unanswered += records.length;
      if (!state.submitComes) setImmediate(submit, state, stream);
      state.submitComes = true;
      return new Promise((resolve, reject) => {
        state.calls.push(newCall(records.length, resolve, reject));
      });
    },
    giveUp: (afterMillis, reason) => rejectOld(state.calls, afterMillis, reason),
    submit: () => submit(state, stream),
  };
}

function submit(state: State, stream: GuestStream): void {
  state.submitComes = false;
  const { waiting } = state;
  const isAlone = state.unanswered === 1;
  // What is executed is answered before `execute` returns.
  state.waiting = [];
  let first = 0;
  while (first < waiting.length) {
    const { bytes, end } = makeFrame(waiting, first);
    const frame = FRAME.subarray(0, bytes);
    if (!(isAlone && stream.execute(frame)) && stream.submit(frame) !== 'accepted') break;
    first = end;
  }
  if (first < waiting.length) state.waiting = waiting.slice(first);
}

function takeAnswers(state: State, stream: GuestStream, bytes: Uint8Array): boolean {
  const { calls, listener } = state;
  for (const answer of decodeAnswers(bytes)) {
    const call = calls[0]!;
    state.unanswered--;
    call.answers.push(answer);
    if (call.answers.length === call.expected) calls.shift()!.resolve(call.answers);
  }
  // With a submission to come credits were not short.
  if (state.waiting.length > 0 && !state.submitComes) submit(state, stream);
  return listener.wantsMore();
}

function endCalls(state: State, end: StreamEnd): void {
  state.ended = end;
  state.waiting = [];
  for (const call of state.calls.splice(0)) call.reject(endProblem(end));
  state.listener.onEnd(end);
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
