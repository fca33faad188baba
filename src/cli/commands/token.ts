/** `hptd token`: makes, lists and revokes the lines of an access file (docs/access.md). Works on the file, with no daemon. */
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { holderName, scope } from '../../../schemas/access.ts';
import { AccessFileError, makeToken, parseAccess } from '../../operations/access-file.ts';
import type { Holder } from '../../operations/access-file.ts';
import { type Command, parseWords, wholeNumber } from '../command.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { unknownWord } from '../suggest.ts';
import { complain, print, printJson, table } from '../output.ts';

const DAYS_MAX = 36_500;
const DAY_MILLIS = 86_400_000;

export const token: Command = {
  name: 'token',
  usage: 'token create NAME SCOPE… | list | revoke NAME  [--access-file FILE] [--days N] [--json]',
  summary: 'make, list and revoke tokens in an access file',
  help: () => `Writes the file that "hptd serve --access-file FILE" reads. A running daemon takes a change over within a second,
and closes the streams of who is revoked.

  hptd token create emulator hcalls:vm-* read --days 90
  hptd token list
  hptd token revoke emulator

A token is printed once, on standard output, and kept nowhere: the file has its hash. Scopes:

  read              everything that only looks: guests, tables, statistics, memory
  hcalls:GUEST      hcalls of a guest; one * stands for any letters
  admin             everything

  --access-file FILE   the file (HPTD_ACCESS_FILE); made if it is not there
  --days N             the token is valid for so many days; for ever unless given
  --json               print JSON

A line may name a certificate instead (docs/access.md).`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('token', words, {
    'access-file': { type: 'string' },
    days: { type: 'string' },
    json: { type: 'boolean', default: false },
  });
  const [action, name, ...scopes] = positionals;
  const file = values['access-file'] ?? process.env['HPTD_ACCESS_FILE'] ?? '';
  if (file === '') throw usageError('which file? Name it with --access-file', 'token');
  if (action === 'list' && name === undefined) return list(file, values.json);
  if (name === undefined) throw usageError('create NAME SCOPE…, list or revoke NAME', 'token');
  if (action === 'revoke' && scopes.length === 0) return revoke(file, name, values.json);
  if (action !== 'create')
    throw usageError(unknownWord('action', action ?? '', ['create', 'list', 'revoke']), 'token');
  return create(file, name, scopes, values);
}

function create(
  file: string,
  name: string,
  scopes: readonly string[],
  { days, json }: { days?: string | undefined; json: boolean },
): number {
  const named = holderName.safeParse(name);
  if (!named.success) throw usageError(`"${name}": ${named.error.issues[0]!.message}`, 'token');
  if (scopes.length === 0) throw usageError('which scopes? For example: read', 'token');
  for (const text of scopes) {
    const checked = scope.safeParse(text);
    if (!checked.success)
      throw usageError(`"${text}": ${checked.error.issues[0]!.message}`, 'token');
  }
  const { text, holders } = read(file);
  if (holders.has(name))
    throw new CliError(
      EXIT.data,
      `${file} has a ${name} already`,
      `revoke it first, or choose another name`,
    );
  const until =
    days === undefined ? undefined : dayAfter(wholeNumber('token', '--days', days, 1, DAYS_MAX));
  const made = makeToken(name, scopes, until);
  replace(file, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${made.line}\n`);
  if (json) printJson({ name, scopes, until: until ?? null, token: made.token });
  else {
    complain(`${name} may ${scopes.join(', ')}; this is the only time that its token is shown:`);
    print(made.token);
  }
  return EXIT.ok;
}

/** The whole last day counts: it ends with the beginning of this one. */
function dayAfter(days: number): string {
  return new Date(Date.now() + (days + 1) * DAY_MILLIS).toISOString().slice(0, 'YYYY-MM-DD'.length);
}

function revoke(file: string, name: string, json: boolean): number {
  const { text, holders } = read(file);
  if (!holders.has(name))
    throw new CliError(EXIT.data, `${file} has no ${name}`, 'see "hptd token list"');
  const lines = text.split('\n').filter((line) => line.trim().split(/\s+/)[0] !== name);
  replace(file, lines.join('\n'));
  if (json) printJson({ revoked: name });
  else print(`${name} is revoked`);
  return EXIT.ok;
}

function list(file: string, json: boolean): number {
  const rows = [...read(file).holders.values()].map((holder) => ({
    name: holder.name,
    scopes: holder.scopes,
    proof: holder.commonName === undefined ? 'token' : `cn:${holder.commonName}`,
    until: untilText(holder),
  }));
  if (json) printJson(rows);
  else {
    const columns = ['name', 'scopes', 'proof', 'until'].map((title) => ({ title }));
    const cells = rows.map(({ name, scopes, proof, until }) => [
      name,
      scopes.join(','),
      proof,
      until ?? '-',
    ]);
    print(rows.length === 0 ? `${file} lets nobody in` : table(columns, cells));
  }
  return EXIT.ok;
}

function untilText({ untilMillis }: Holder): string | null {
  return untilMillis === Infinity
    ? null
    : new Date(untilMillis).toISOString().slice(0, 'YYYY-MM-DD'.length);
}

function read(file: string): { text: string; holders: ReadonlyMap<string, Holder> } {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  try {
    return { text, holders: parseAccess(text, file).byName };
  } catch (error) {
    if (!(error instanceof AccessFileError)) throw error;
    throw new CliError(EXIT.data, error.message, 'mend that line first');
  }
}

/** At once, so that a daemon never reads half of it. */
function replace(file: string, text: string): void {
  const next = `${file}.new`;
  writeFileSync(next, text, { mode: 0o600 });
  chmodSync(next, 0o600);
  renameSync(next, file);
}
