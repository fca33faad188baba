/**
 * How the command line ends: sysexits codes, and errors that say what to do next. Commands throw; hptd.ts alone
 * turns what was thrown into a message and an exit code.
 */
import { RefusedError, StreamEndedError, UnavailableError } from '../client/errors.ts';

export const EXIT = {
  ok: 0,
  mismatch: 1,
  usage: 64,
  data: 65,
  unavailable: 69,
  internal: 70,
  cannotCreate: 73,
  permission: 77,
  config: 78,
} as const;

/** For manuals. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done',
  mismatch: 'an answer or a table is not as recorded',
  usage: 'the command line is wrong',
  data: 'the daemon, or a file, does not take what was given',
  unavailable: 'no daemon answers, or it ended',
  internal: 'a defect of hptd',
  cannotCreate: 'the state directory cannot be used',
  permission: 'the token does not allow it',
  config: 'the configuration is wrong',
};

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
  return new CliError(
    EXIT.usage,
    message,
    `see "hptd help${command === undefined ? '' : ` ${command}`}"`,
  );
}

/** What an error of any origin means for the person at the terminal. */
export function explainError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof UnavailableError)
    return new CliError(EXIT.unavailable, error.message, error.advice);
  if (error instanceof StreamEndedError) {
    const exitCode =
      error.code === 4400 || error.code === 4413 || error.code === 4500
        ? EXIT.internal
        : EXIT.unavailable;
    return new CliError(exitCode, error.message, error.advice);
  }
  if (error instanceof RefusedError) return explainRefusal(error);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliError(
    EXIT.internal,
    text,
    'this is a defect of hptd: please report it with the command that showed it',
  );
}

function explainRefusal(refused: RefusedError): CliError {
  const message = `${refused.message} (${refused.code}, HTTP ${refused.status})`;
  if (refused.status === 401 || refused.status === 403)
    return new CliError(EXIT.permission, message, refused.advice);
  if (refused.status === 503) return new CliError(EXIT.unavailable, message, refused.advice);
  return new CliError(refused.status >= 500 ? EXIT.internal : EXIT.data, message, refused.advice);
}
