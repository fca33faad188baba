/**
 * The access file: who may do what, one holder of a token or certificate a line (docs/access.md).
 *
 *     NAME  SCOPE[,SCOPE…]  sha256:HEX | cn:COMMON-NAME  [until=YYYY-MM-DD]
 *
 * A token has 256 random bits, so a plain SHA-256 keeps it as safe as a slow hash would; a slow one is for secrets that
 * people think up. The digest found by the token's name is compared in constant time. Main thread, and `hptd token`.
 *
 * SPEC: OWASP ASVS 5, 6.5.2: lookup secrets with 112 bits of entropy or more may have a standard hash.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { holderName, scope, TOKEN_FORM } from '../../schemas/access.ts';
import { ACCESS_ROWS_MAX } from '../../schemas/limits.ts';

export interface Holder {
  readonly name: string;
  readonly scopes: readonly string[];
  /** SHA-256 of the token; undefined: the holder shows a certificate. */
  readonly digest: Buffer | undefined;
  readonly commonName: string | undefined;
  /** The first moment at which it is no longer valid. */
  readonly untilMillis: number;
}

export interface AccessList {
  readonly byName: ReadonlyMap<string, Holder>;
  readonly byCommonName: ReadonlyMap<string, Holder>;
}

/** A line that cannot be read; the message names file and line. */
export class AccessFileError extends Error {
  override readonly name = 'AccessFileError';
}

/** Throws AccessFileError, with what to do. */
export function readAccessFile(path: string): AccessList {
  let text: string;
  try {
    // Who may write the file may do everything.
    if ((statSync(path).mode & 0o022) !== 0)
      throw new AccessFileError(`${path} can be written by others: chmod 600 it`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof AccessFileError) throw error;
    throw new AccessFileError(`${path} cannot be read (${(error as Error).message})`, {
      cause: error,
    });
  }
  return parseAccess(text, path);
}

export function parseAccess(text: string, path: string): AccessList {
  const byName = new Map<string, Holder>();
  const byCommonName = new Map<string, Holder>();
  for (const [i, line] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const refuse = (why: string): never => {
      throw new AccessFileError(`${path} line ${i + 1}: ${why}`);
    };
    const holder = parseLine(line, refuse);
    if (byName.has(holder.name)) refuse(`there is a ${holder.name} already`);
    if (byName.size === ACCESS_ROWS_MAX) refuse(`more than ${ACCESS_ROWS_MAX} lines`);
    byName.set(holder.name, holder);
    if (holder.commonName === undefined) continue;
    if (byCommonName.has(holder.commonName)) refuse(`cn:${holder.commonName} is there already`);
    byCommonName.set(holder.commonName, holder);
  }
  return { byName, byCommonName };
}

function parseLine(line: string, refuse: (why: string) => never): Holder {
  const [name = '', scopeText = '', proof = '', until, ...rest] = line.trim().split(/\s+/);
  const named = holderName.safeParse(name);
  if (!named.success) refuse(`"${name}": ${named.error.issues[0]!.message}`);
  const scopes = scopeText.split(',');
  for (const text of scopes) {
    const checked = scope.safeParse(text);
    if (!checked.success) refuse(`"${text}": ${checked.error.issues[0]!.message}`);
  }
  const digest = /^sha256:([0-9a-f]{64})$/.exec(proof)?.[1];
  const commonName = /^cn:(\S+)$/.exec(proof)?.[1];
  if (digest === undefined && commonName === undefined)
    refuse(`"${proof}" is neither sha256: with 64 hexadecimal digits nor cn:COMMON-NAME`);
  const untilMillis = until === undefined ? Infinity : untilOf(until);
  if (Number.isNaN(untilMillis) || rest.length > 0)
    refuse('after the proof comes until=YYYY-MM-DD or nothing');
  return {
    name,
    scopes,
    digest: digest === undefined ? undefined : Buffer.from(digest, 'hex'),
    commonName,
    untilMillis,
  };
}

/** NaN: no such day. Valid to the end of the day before, in UTC. */
function untilOf(text: string): number {
  const day = /^until=(\d{4}-\d{2}-\d{2})$/.exec(text)?.[1];
  return day === undefined ? Number.NaN : Date.parse(`${day}T00:00:00Z`);
}

/** The holder of a token; undefined: nobody's, or no longer. */
export function holderOfToken(list: AccessList, token: string): Holder | undefined {
  const name = TOKEN_FORM.exec(token)?.[1];
  if (name === undefined) return undefined;
  const holder = list.byName.get(name);
  if (holder?.digest === undefined) return undefined;
  const digest = hash('sha256', token, 'buffer');
  return timingSafeEqual(digest, holder.digest) && isCurrent(holder) ? holder : undefined;
}

export function isCurrent(holder: Holder): boolean {
  return holder.untilMillis === Infinity || Date.now() < holder.untilMillis;
}

/** A new token for `name`, and the line that lets the daemon know it. The token itself is kept nowhere. */
export function makeToken(
  name: string,
  scopes: readonly string[],
  until: string | undefined,
): { token: string; line: string } {
  const token = `hptd_${name}_${randomBytes(32).toString('base64url')}`;
  const digest = hash('sha256', token);
  const end = until === undefined ? '' : ` until=${until}`;
  return { token, line: `${name} ${scopes.join(',')} sha256:${digest}${end}` };
}
