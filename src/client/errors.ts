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

/** The daemon broke the protocol: a defect to report, whoever's it is. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
