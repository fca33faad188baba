/**
 * How the command line ends: sysexits codes, and errors that say what to do next. Commands throw; hptd.ts alone
 * turns what was thrown into a message and an exit code.
 */
import { ProblemError, StreamEndedError, UnavailableError } from '../client/errors.ts';

export const EXIT = { ok: 0, mismatch: 1, usage: 64, data: 65, unavailable: 69, internal: 70 } as const;

export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;
  readonly advice: string;

  constructor(exitCode: number, message: string, advice: string) {
    super(message);
    this.exitCode = exitCode;
    this.advice = advice;
  }
}

export function usageError(message: string, command?: string): CliError {
  return new CliError(EXIT.usage, message, `see "hptd help${command === undefined ? '' : ` ${command}`}"`);
}

/** What an error of any origin means for the person at the terminal. */
export function explainError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof UnavailableError) return new CliError(EXIT.unavailable, error.message, error.advice);
  if (error instanceof StreamEndedError) {
    const exitCode = error.code === 4400 || error.code === 4413 || error.code === 4500 ? EXIT.internal : EXIT.unavailable;
    return new CliError(exitCode, error.message, error.advice);
  }
  if (error instanceof ProblemError) return explainProblem(error);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliError(EXIT.internal, text, 'this is a defect of hptd: please report it with the command that showed it');
}

function explainProblem(problem: ProblemError): CliError {
  const message = `${problem.message} (${problem.code}, HTTP ${problem.status})`;
  if (problem.status === 503) return new CliError(EXIT.unavailable, message, 'try again, or see the daemon\'s log');
  if (problem.status >= 500) return new CliError(EXIT.internal, message, 'see the daemon\'s log');
  return new CliError(EXIT.data, message, 'mend what it names; "hptd guests" lists the guests there are');
}
