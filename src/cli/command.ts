/** What a subcommand is to the front door, and how it reads its command line. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { DEFAULT_URL, daemonAddress } from '../client/address.ts';
import { connectRest } from '../client/rest.ts';
import type { Rest } from '../client/rest.ts';
import { CREDENTIAL_OPTIONS, CREDENTIAL_OPTIONS_HELP, credentialsOf } from './credentials.ts';
import { usageError } from './errors.ts';
import { unknownWord } from './suggest.ts';

export interface Command {
  readonly name: string;
  /** The line behind `hptd`, as people type it. */
  readonly usage: string;
  readonly summary: string;
  /**
   * For `hptd help NAME`, which sets its paragraphs under headings (manual.ts): those that begin with `  --` are options,
   * those whose lines begin with `  hptd ` examples, `Exit codes: …` what it says. Completion reads the options too.
   */
  readonly help: () => string;
  /** The words behind the command's name; gives the exit code. */
  readonly run: (words: readonly string[]) => Promise<number>;
}

/** parseArgs with its complaints as usage errors. */
export function parseWords<const Options extends ParseArgsOptionsConfig>(
  command: string,
  words: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')) throw error;
    throw usageError(complaint(error as Error, words, Object.keys(options)), command);
  }
}

/** An option that is not known with the one that was probably meant; anything else as Node says it. */
function complaint(error: Error, words: readonly string[], known: readonly string[]): string {
  const unknown = /^Unknown option '(--[^']*)'/.exec(error.message)?.[1];
  if (unknown === undefined || !words.some((word) => word.startsWith(unknown)))
    return error.message;
  return unknownWord(
    'option',
    unknown,
    known.map((name) => `--${name}`),
  );
}

/** The options of every command that speaks to a running daemon. */
export const DAEMON_OPTIONS = {
  url: { type: 'string' },
  ...CREDENTIAL_OPTIONS,
  json: { type: 'boolean', default: false },
} as const;

export const DAEMON_OPTIONS_HELP = `  --url URL           the daemon: http://HOST:PORT, https://HOST:PORT or unix:PATH (HPTD_URL, else ${DEFAULT_URL})
${CREDENTIAL_OPTIONS_HELP}
  --json              print JSON instead of a table`;

/** The daemon's address, from the option, the environment or the default; checked. */
export function daemonUrl(command: string, option: string | undefined): string {
  const url = option ?? process.env['HPTD_URL'] ?? DEFAULT_URL;
  try {
    daemonAddress(url);
  } catch (error) {
    throw usageError((error as Error).message, command);
  }
  return url;
}

/** The running daemon that the options of DAEMON_OPTIONS name. */
export function daemonOf(
  command: string,
  values: Parameters<typeof credentialsOf>[1] & { readonly url?: string | undefined },
): Rest {
  return connectRest(daemonUrl(command, values.url), credentialsOf(command, values));
}

/** A whole number within bounds, or a usage error that names the option. */
export function wholeNumber(
  command: string,
  name: string,
  text: string,
  least: number,
  most: number,
): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw usageError(
      `${name} takes a whole number from ${least} to ${most}, not "${text}"`,
      command,
    );
  }
  return value;
}

/** `name=value` words as an object; each name once. */
export function assignments(command: string, words: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1) throw usageError(`"${word}" is no NAME=VALUE`, command);
    const name = word.slice(0, equals);
    if (Object.hasOwn(values, name)) throw usageError(`${name} is given twice`, command);
    values[name] = word.slice(equals + 1);
  }
  return values;
}
