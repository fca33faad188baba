/**
 * The subprotocol hptd.v1.json on one socket: calls by name for people and scripts. Main thread.
 *
 * Each message is one call or an array of calls, answered by one message of the same shape, in the order in which
 * they came; a call that cannot be understood has a problem in its place, and the stream goes on.
 */
import type { WebSocket } from 'ws';
import { parseCall, renderAnswer } from '../../schemas/calls.ts';
import type { ParsedCall } from '../../schemas/calls.ts';
import { JSON_FRAME_BYTES_MAX, JSON_IN_FLIGHT_MAX } from '../../schemas/limits.ts';
import { renderProblem } from '../../schemas/problem-document.ts';
import { ProblemError, problem } from '../../schemas/problems.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { JSON_STREAM_PROTOCOL } from '../../schemas/stream.ts';
import { openCaller } from '../guests/caller.ts';
import type { Caller } from '../guests/caller.ts';
import type { Guest, Role, StreamEnd } from '../guests/types.ts';
import { opening, takesMore } from './stream-peer.ts';
import type { PeerStream } from './stream-peer.ts';

/** A call that was understood, or the problem that stands in its answer's place. */
type Entry =
  | { readonly call: ParsedCall }
  | { readonly tag: unknown; readonly problem: ProblemError };

/** A message that waits for its answers, and for those before it. */
interface Exchange {
  readonly entries: readonly Entry[];
  readonly isArray: boolean;
  answers: readonly AnswerRecord[] | undefined;
}

interface State {
  readonly socket: WebSocket;
  readonly role: Role;
  readonly exchanges: Exchange[];
  /** Calls whose answers have not gone to the socket. */
  inFlight: number;
}

export function openJsonStream(
  guest: Guest,
  role: Role,
  socket: WebSocket,
  onEnd: (end: StreamEnd) => void,
): PeerStream {
  const state: State = { socket, role, exchanges: [], inFlight: 0 };
  const caller = openCaller((listener) => guest.openStream(role, listener), {
    wantsMore: () => takesMore(socket),
    // The last answers are promises resolved in this very turn: let them go out before the close.
    onEnd: (end) => void setImmediate(onEnd, end),
  });
  return {
    hello: {
      ...opening(guest, role, caller.stream),
      protocol: JSON_STREAM_PROTOCOL,
      limits: { frameBytes: JSON_FRAME_BYTES_MAX, inFlightHcalls: JSON_IN_FLIGHT_MAX },
    },
    onMessage(data, isBinary) {
      if (!isBinary) return receive(state, caller, data);
      caller.submit();
      caller.stream.refuse(`a binary message; the messages of ${JSON_STREAM_PROTOCOL} are text`);
    },
    onDrain() {
      sendAnswers(state);
      caller.stream.resume();
    },
    onClose: () => end(caller),
  };
}

function end(caller: Caller): void {
  caller.submit();
  caller.stream.close();
}

function receive(state: State, caller: Caller, data: Buffer): void {
  const exchange = readMessage(data, state.role === 'host');
  state.inFlight += exchange.entries.length;
  if (state.inFlight > JSON_IN_FLIGHT_MAX) {
    state.socket.close(4413, `more than ${JSON_IN_FLIGHT_MAX} calls unanswered`);
    return end(caller);
  }
  state.exchanges.push(exchange);
  const records = exchange.entries.flatMap((entry) => ('call' in entry ? [entry.call.record] : []));
  caller.call(records).then(
    (answers) => {
      exchange.answers = answers;
      sendAnswers(state);
    },
    // A stream that ends says so by its close code; the calls it leaves behind have no answer.
    () => {},
  );
}

/** What is answered goes out in the order of its coming, as long as the socket takes more. */
function sendAnswers(state: State): void {
  const { exchanges, socket } = state;
  while (exchanges[0]?.answers !== undefined && takesMore(socket)) {
    const exchange = exchanges.shift()!;
    state.inFlight -= exchange.entries.length;
    socket.send(render(exchange, exchange.answers!));
  }
}

function readMessage(data: Buffer, control: boolean): Exchange {
  let body: unknown;
  try {
    body = JSON.parse(data.toString());
  } catch (error) {
    const detail = `the message is not JSON: ${(error as Error).message}`;
    return {
      entries: [{ tag: undefined, problem: problem('body-invalid', detail) }],
      isArray: false,
      answers: undefined,
    };
  }
  const bodies: unknown[] = Array.isArray(body) ? body : [body];
  return {
    entries: bodies.map((one) => readCall(one, control)),
    isArray: Array.isArray(body),
    answers: undefined,
  };
}

function readCall(body: unknown, control: boolean): Entry {
  try {
    return { call: parseCall(body, undefined, { control }) };
  } catch (error) {
    if (error instanceof ProblemError) return { tag: tagOf(body), problem: error };
    return {
      tag: tagOf(body),
      problem: problem('internal', 'the daemon was not written for this call', { cause: error }),
    };
  }
}

function tagOf(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'tag' in body ? body.tag : undefined;
}

function render({ entries, isArray }: Exchange, answers: readonly AnswerRecord[]): string {
  let next = 0;
  const rendered = entries.map((entry) => {
    if ('problem' in entry) return { tag: entry.tag, problem: renderProblem(entry.problem) };
    const { operation, record, tag } = entry.call;
    return { tag, ...renderAnswer(operation, answers[next++]!, record.explain === true) };
  });
  return JSON.stringify(isArray ? rendered : rendered[0]);
}
