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
import { ProblemError, problem, renderProblem } from '../../schemas/problems.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { JSON_STREAM_PROTOCOL } from '../../schemas/stream.ts';
import { openCaller } from '../guests/caller.ts';
import type { Guest, Role, StreamEnd } from '../guests/types.ts';
import { opening, takesMore } from './stream-peer.ts';
import type { PeerStream } from './stream-peer.ts';

/** A call that was understood, or the problem that stands in its answer's place. */
type Entry = { readonly call: ParsedCall } | { readonly tag: unknown; readonly problem: ProblemError };

/** A message that waits for its answers, and for those before it. */
interface Exchange {
  readonly entries: readonly Entry[];
  readonly isArray: boolean;
  answers: readonly AnswerRecord[] | undefined;
}

export function openJsonStream(
  guest: Guest, role: Role, socket: WebSocket, onEnd: (end: StreamEnd) => void,
): PeerStream {
  const exchanges: Exchange[] = [];
  let inFlight = 0;
  const caller = openCaller((listener) => guest.openStream(role, listener), {
    wantsMore: () => takesMore(socket),
    // The last answers are promises resolved in this very turn: let them go out before the close.
    onEnd: (end) => setImmediate(onEnd, end),
  });

  function answered(exchange: Exchange, answers: readonly AnswerRecord[]): void {
    exchange.answers = answers;
    sendAnswers();
  }

  function sendAnswers(): void {
    while (exchanges[0]?.answers !== undefined && takesMore(socket)) {
      const exchange = exchanges.shift()!;
      inFlight -= exchange.entries.length;
      socket.send(render(exchange, exchange.answers!));
    }
  }

  return {
    hello: {
      ...opening(guest, role, caller.stream),
      protocol: JSON_STREAM_PROTOCOL,
      limits: { frameBytes: JSON_FRAME_BYTES_MAX, inFlightHcalls: JSON_IN_FLIGHT_MAX },
    },
    onMessage(data, isBinary) {
      if (isBinary) return caller.stream.refuse(`a binary message; the messages of ${JSON_STREAM_PROTOCOL} are text`);
      const exchange = readMessage(data, role === 'host');
      inFlight += exchange.entries.length;
      if (inFlight > JSON_IN_FLIGHT_MAX) {
        socket.close(4413, `more than ${JSON_IN_FLIGHT_MAX} calls unanswered`);
        return caller.stream.close();
      }
      exchanges.push(exchange);
      const records = exchange.entries.flatMap((entry) => ('call' in entry ? [entry.call.record] : []));
      // A stream that ends says so by its close code; the calls it leaves behind have no answer.
      caller.call(records).then((answers) => answered(exchange, answers), () => {});
    },
    onDrain() {
      sendAnswers();
      caller.stream.resume();
    },
    onClose: () => caller.stream.close(),
  };
}

function readMessage(data: Buffer, control: boolean): Exchange {
  let body: unknown;
  try {
    body = JSON.parse(data.toString());
  } catch (error) {
    const detail = `the message is not JSON: ${(error as Error).message}`;
    return { entries: [{ tag: undefined, problem: problem('body-invalid', detail) }], isArray: false, answers: undefined };
  }
  const bodies: unknown[] = Array.isArray(body) ? body : [body];
  return { entries: bodies.map((one) => readCall(one, control)), isArray: Array.isArray(body), answers: undefined };
}

function readCall(body: unknown, control: boolean): Entry {
  try {
    return { call: parseCall(body, undefined, { control }) };
  } catch (error) {
    if (error instanceof ProblemError) return { tag: tagOf(body), problem: error };
    return { tag: tagOf(body), problem: problem('internal', 'the daemon was not written for this call', { cause: error }) };
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
