/** What a load profile is to the front door, and how it reads its command line. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';

export const EXIT = { ok: 0, failed: 1, usage: 64, internal: 70 } as const;

export interface Profile {
  readonly name: string;
  readonly summary: string;
  /** Options and remarks, for `--help`. */
  readonly help: string;
  /** The words behind the profile's name; gives the exit code. Ends by itself. */
  readonly run: (words: readonly string[]) => Promise<number>;
}

/** A command line that cannot be understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Options only. */
export function parseOptions<const Options extends ParseArgsOptionsConfig>(
  words: readonly string[],
  options: Options,
) {
  return parse(words, options, false).values;
}

/** Options, and the names of files among them. */
export function parseOptionsAndFiles<const Options extends ParseArgsOptionsConfig>(
  words: readonly string[],
  options: Options,
) {
  const { values, positionals } = parse(words, options, true);
  return { values, files: positionals };
}

/** parseArgs with its complaints as usage errors. */
function parse<const Options extends ParseArgsOptionsConfig>(
  words: readonly string[],
  options: Options,
  allowPositionals: boolean,
) {
  try {
    return parseArgs({ args: [...words], options, strict: true, allowPositionals });
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')) throw error;
    throw new UsageError((error as Error).message);
  }
}

/** A number within bounds, or a usage error that names the option. */
export function numberWithin(name: string, text: string, least: number, most: number): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${name} takes a number from ${least} to ${most}, not "${text}"`);
  }
  return value;
}

/** "18,24" or "1..4" as whole numbers within bounds. */
export function wholeNumbers(name: string, text: string, least: number, most: number): number[] {
  return text.split(',').flatMap((part) => {
    const [first = '', last = first] = part.split('..');
    const from = wholeNumber(name, first, least, most);
    const to = wholeNumber(name, last, from, most);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = numberWithin(name, text, least, most);
  if (!Number.isInteger(value)) throw new UsageError(`${name} takes whole numbers, not "${text}"`);
  return value;
}
