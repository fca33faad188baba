/**
 * What can go wrong between a client and the daemon, each with what to do about it (`advice`).
 * An hcall's status is never one of these: it is an answer.
 */
import { CLOSE_CODES } from '../../schemas/stream.ts';

/** The daemon refused a request (problem+json, schemas/problems.ts). `code` is stable, `detail` is for people. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly status: number;
  readonly advice: string;

  constructor(problem: {
    code: string;
    title: string;
    detail: string;
    status: number;
    advice: string;
  }) {
    super(problem.detail === '' ? problem.title : problem.detail);
    this.code = problem.code;
    this.title = problem.title;
    this.detail = problem.detail;
    this.status = problem.status;
    this.advice = problem.advice;
  }
}

/** No daemon answered at that address, or not as one. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
  readonly advice: string;

  constructor(message: string, advice: string, options?: ErrorOptions) {
    super(message, options);
    this.advice = advice;
  }
}

/** The stream ended while something was still to be sent or answered. */
export class StreamEndedError extends Error {
  override readonly name = 'StreamEndedError';
  /** The WebSocket close code; 1006 when the connection was lost. */
  readonly code: number;
  readonly reason: string;
  readonly advice: string;

  constructor(code: number, reason: string) {
    const known = CLOSE_CODES.find((row) => row.code === code);
    const meaning =
      known?.meaning ?? (code === 1006 ? 'the connection was lost' : 'the stream was closed');
    super(`${meaning} (close code ${code}${reason === '' ? '' : `: ${reason}`})`);
    this.code = code;
    this.reason = reason;
    this.advice = known?.advice ?? 'see whether the daemon still runs, and connect again';
  }
}

/** What is known of a call when its stream was lost. */
export type CallOutcome<Answer = unknown> =
  | { readonly outcome: 'answered'; readonly answer: Answer }
  /** It was sent: it may or may not have happened. */
  | { readonly outcome: 'unknown' }
  /** It was never sent: it did not happen, and will not. */
  | { readonly outcome: 'not-sent' };

/** A call, or some of a `callMany`, will not be answered. `cause` is what ended the connection. */
export class CallsLostError<Answer = unknown> extends Error {
  override readonly name = 'CallsLostError';
  /** One for each call, in their order. */
  readonly outcomes: readonly CallOutcome<Answer>[];
  /** At least one call was sent and not answered, so nobody here can say whether it was executed. */
  readonly mayHaveHappened: boolean;
  readonly advice: string;

  constructor(outcomes: readonly CallOutcome<Answer>[], cause: Error) {
    const count = (of: CallOutcome['outcome']): number =>
      outcomes.filter(({ outcome }) => outcome === of).length;
    const [answered, unknown, unsent] = [count('answered'), count('unknown'), count('not-sent')];
    const said = [
      ...(answered > 0 ? [`${answered} answered`] : []),
      ...(unknown > 0 ? [`${unknown} may or may not have happened`] : []),
      ...(unsent > 0 ? [`${unsent} not sent`] : []),
    ];
    super(
      `of ${outcomes.length} call${outcomes.length === 1 ? '' : 's'} ${said.join(', ')}: ${cause.message}`,
      { cause },
    );
    this.outcomes = outcomes;
    this.mayHaveHappened = unknown > 0;
    this.advice =
      unknown > 0
        ? 'look with H_READ what the table holds before you repeat a call that changes it'
        : 'what was not sent can be made again';
  }
}

/** The daemon broke the protocol: a defect to report, whoever's it is. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
