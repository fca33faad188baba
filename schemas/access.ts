/**
 * Who may do what: scopes, and what a request needs. The words of access files (docs/access.md), of `hptd token` and
 * of the daemon's refusals. Pure functions.
 *
 *   read              everything that only looks: guests, tables, statistics, memory
 *   hcalls:PATTERN    hcalls of the guests whose name matches, over REST and on streams of the role guest
 *   admin             everything
 */
import { z } from 'zod';

/** What a request needs of who sends it. */
export type Need =
  | { readonly kind: 'known' }
  | { readonly kind: 'read' }
  | { readonly kind: 'admin' }
  | { readonly kind: 'hcalls'; readonly guest: string };

const SCOPE_FORM = 'a scope is read, admin or hcalls:GUEST, where GUEST may have one *';

export const scope = z
  .string()
  .regex(/^(read|admin|hcalls:[A-Za-z0-9._-]*\*?[A-Za-z0-9._-]*)$/, SCOPE_FORM)
  .refine((text) => text !== 'hcalls:', SCOPE_FORM);

/** The name behind a token or a certificate: part of the token, so no character of its separators. */
export const holderName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,31}$/,
    'a name is 1 to 32 small letters, digits and dashes, the first no dash',
  );

export function allows(scopes: readonly string[], need: Need): boolean {
  if (need.kind === 'known' || scopes.includes('admin')) return true;
  if (need.kind === 'admin') return false;
  if (need.kind === 'read') return scopes.includes('read');
  return scopes.some(
    (text) => text.startsWith('hcalls:') && matches(text.slice('hcalls:'.length), need.guest),
  );
}

/** One star at most, so no pattern can be slow to match. */
function matches(pattern: string, name: string): boolean {
  const star = pattern.indexOf('*');
  if (star === -1) return pattern === name;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail);
}

/** What to ask the operator for, in the words of a scope. */
export function needText(need: Need): string {
  if (need.kind === 'hcalls') return `hcalls:${need.guest}`;
  return need.kind === 'known' ? 'any scope' : need.kind;
}

/** A token is hptd_NAME_SECRET, so that people and scanners know one when they see it. */
export const TOKEN_FORM = /^hptd_([a-z0-9][a-z0-9-]{0,31})_[A-Za-z0-9_-]{43}$/;

/** Among the offered subprotocols, for browsers: their WebSockets cannot send an Authorization header. */
export const BEARER_PROTOCOL_PREFIX = 'hptd.bearer.';
