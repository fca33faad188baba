/**
 * A guest's stream in comfort: hcalls by name, answers as objects, and a connection that comes back. For programs
 * that count in thousands a second; who needs millions takes the frames of stream.ts.
 *
 * Calls overlap: those made in one turn of the event loop leave in one frame, and every one is answered in its order.
 * What is promised when the connection is lost is told in docs/client.md, and rests on one rule: a record is given to
 * a connection once and never again.
 */
import { decodeAnswers } from '../../schemas/records.ts';
import type { BinaryHello } from '../../schemas/stream.ts';
import {
  type CallQueue,
  enqueue,
  type Frame,
  loseCalls,
  markSent,
  nextFrame,
  openCallQueue,
  takeAnswers,
} from './call-queue.ts';
import type { AnswerOf, AnswersOf, ArgumentsOf, Call, OperationName } from './call-types.ts';
import { answerOf, type Fields, operationNamed, recordOf } from './call-words.ts';
import { CallsLostError } from './errors.ts';
import { type Backoff, isTemporary, waitMillis } from './reconnect.ts';
import { connectStream, type HcallStream, type StreamOptions } from './stream.ts';

/** What a program can show of a stream. */
export type StreamState =
  /** Connected. `sameGuest` is false when a guest of this name was created since: its table knows nothing of earlier calls. */
  | { readonly state: 'open'; readonly hello: BinaryHello; readonly sameGuest: boolean }
  /** Not connected; the next attempt comes in `waitMillis`. `callsKept` wait for it. */
  | {
      readonly state: 'lost';
      readonly cause: Error;
      readonly attempt: number;
      readonly waitMillis: number;
      readonly callsLost: number;
      readonly callsKept: number;
    }
  /** For ever. No cause: it was closed here. */
  | { readonly state: 'ended'; readonly cause: Error | undefined };

export interface GuestStreamOptions extends StreamOptions {
  /** How to come back after a loss; false: the first loss is the end. */
  readonly reconnect?: Backoff | false;
  /** Of calls that were not sent when the connection was lost: keep them for the next one (default), or reject them. */
  readonly unsent?: 'keep' | 'reject';
  /** Is told every change of state. */
  readonly onState?: (state: StreamState) => void;
}

export interface GuestStream {
  /** What the daemon said at the latest opening. */
  readonly hello: BinaryHello;
  /** One operation by name, words as bigints. Rejects with CallsLostError when it will not be answered. */
  call<Name extends OperationName>(
    name: Name,
    arguments_: ArgumentsOf<Name>,
  ): Promise<AnswerOf<Name>>;
  /** Many calls in a row, in as few frames as they fit in; other calls of the stream do not come in between. */
  callMany<const Calls extends readonly Call[]>(calls: Calls): Promise<AnswersOf<Calls>>;
  /** Ends the stream. Calls that are not answered yet are rejected: await them first. */
  close(): Promise<void>;
}

interface State {
  readonly url: string;
  readonly options: GuestStreamOptions;
  readonly queue: CallQueue;
  hello: BinaryHello;
  /** Undefined while the connection is lost, and after the end. */
  stream: HcallStream | undefined;
  /** Cut and encoded, but waiting for credits. */
  frame: Frame | undefined;
  flushScheduled: boolean;
  /** Why no call is taken any more. */
  end: Error | undefined;
  /** Cuts a wait between attempts short. */
  hurry: () => void;
}

/** Rejects if the first connection fails: then an address or a name is wrong, and nothing was lost yet. */
export async function openGuestStream(
  url: string,
  options: GuestStreamOptions = {},
): Promise<GuestStream> {
  const stream = await connectStream(url, options);
  const state: State = {
    url,
    options,
    queue: openCallQueue(),
    hello: stream.hello,
    stream: undefined,
    frame: undefined,
    flushScheduled: false,
    end: undefined,
    hurry: () => {},
  };
  attach(state, stream);
  return {
    get hello() {
      return state.hello;
    },
    call: async (name, arguments_) => {
      const [answer] = await send(state, [{ ...arguments_, hcall: name }]);
      return answer as AnswerOf<typeof name>;
    },
    callMany: async <const Calls extends readonly Call[]>(calls: Calls) =>
      (await send(state, calls)) as AnswersOf<Calls>,
    close: () => close(state),
  };
}

async function send(state: State, calls: readonly Fields[]): Promise<unknown[]> {
  const named = calls.map((call) => ({ call, operation: operationNamed(String(call.hcall)) }));
  const records = named.map(({ operation, call }) => recordOf(operation, call));
  if (state.end !== undefined) {
    const outcomes = calls.map(() => ({ outcome: 'not-sent' }) as const);
    throw new CallsLostError(outcomes, state.end);
  }
  if (records.length === 0) return [];
  const answers = enqueue(state.queue, records, (answer, i) =>
    answerOf(named[i]!.operation, answer, named[i]!.call.explain === true),
  );
  if (!state.flushScheduled) {
    state.flushScheduled = true;
    queueMicrotask(() => {
      state.flushScheduled = false;
      flush(state);
    });
  }
  return answers;
}

/** Sends what credits allow. A frame leaves when it fits whole, so that scarce credits do not make small frames. */
function flush(state: State): void {
  const { stream, queue } = state;
  if (stream === undefined) return;
  const { frameBytes, creditBytes, frameOverheadBytes } = stream.hello.limits;
  const bytesMax = Math.min(frameBytes, creditBytes - frameOverheadBytes);
  for (;;) {
    state.frame ??= nextFrame(queue, bytesMax);
    if (state.frame === undefined) return;
    if (state.frame.bytes.byteLength + frameOverheadBytes > stream.creditsLeft()) return;
    const { bytes, records } = state.frame;
    // Before it is sent: if that fails, nobody can say that it was not.
    markSent(queue, state.frame);
    state.frame = undefined;
    const refused = stream.sendFrame(bytes, records);
    // The stream has failed, and its end is about to be told.
    if (refused !== undefined) return void refused.catch(() => {});
  }
}

function attach(state: State, stream: HcallStream): void {
  const sameGuest = stream.hello.createdAt === state.hello.createdAt;
  state.stream = stream;
  state.hello = stream.hello;
  stream.onAnswers((bytes) => {
    if (state.end !== undefined) return;
    takeAnswers(state.queue, decodeAnswers(bytes));
    flush(state);
  });
  void watch(state, stream);
  tell(state, { state: 'open', hello: stream.hello, sameGuest });
  if (!sameGuest) {
    const replaced = new Error('the guest was created anew, so its table is another');
    loseCalls(state.queue, replaced, false);
  }
  flush(state);
}

/** Waits for the end of a connection, says what became of its calls, and brings the next one. */
async function watch(state: State, stream: HcallStream): Promise<void> {
  const closed = await stream.ended;
  // What failed here first, an answer out of turn for example, says more than the close that followed.
  const cause = await stream.drained().then(
    () => closed,
    (failure: Error) => failure,
  );
  state.stream = undefined;
  state.frame = undefined;
  if (state.end !== undefined) return;
  const { reconnect = {}, unsent = 'keep' } = state.options;
  if (reconnect === false || !isTemporary(cause)) return end(state, cause);
  const loss = loseCalls(state.queue, cause, unsent === 'keep');
  const next = await connectAgain(state, cause, reconnect, loss);
  if (next !== undefined) attach(state, next);
}

async function connectAgain(
  state: State,
  lost: Error,
  backoff: Backoff,
  { callsLost }: { readonly callsLost: number },
): Promise<HcallStream | undefined> {
  let cause = lost;
  for (let attempt = 1; ; attempt++) {
    const millis = waitMillis(attempt, backoff);
    if (millis === undefined || !isTemporary(cause)) {
      end(state, cause);
      return undefined;
    }
    tell(state, {
      state: 'lost',
      cause,
      attempt,
      waitMillis: millis,
      callsLost: attempt === 1 ? callsLost : 0,
      callsKept: waitingCalls(state.queue),
    });
    await pause(state, millis);
    if (state.end !== undefined) return undefined;
    try {
      const stream = await connectStream(state.url, state.options);
      if (state.end === undefined) return stream;
      await stream.close();
      return undefined;
    } catch (error) {
      cause = error as Error;
    }
  }
}

function waitingCalls({ batches, head }: CallQueue): number {
  return batches.slice(head).reduce((sum, { records, sent }) => sum + records.length - sent, 0);
}

/** The timer keeps the process alive: calls wait behind it. */
function pause(state: State, millis: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis);
    state.hurry = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function end(state: State, cause: Error | undefined): void {
  if (state.end !== undefined) return;
  state.end = cause ?? new Error('the stream was closed here');
  loseCalls(state.queue, state.end, false);
  state.hurry();
  tell(state, { state: 'ended', cause });
}

async function close(state: State): Promise<void> {
  const { stream } = state;
  end(state, undefined);
  await stream?.close();
}

/** In a turn of its own: what a listener throws must not stop the stream half-way. */
function tell({ options: { onState } }: State, change: StreamState): void {
  if (onState !== undefined) queueMicrotask(() => onState(change));
}
