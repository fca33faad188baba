/** Where a guest is, as people type it: GUEST, DAEMON/GUEST, or a daemon alone, where the name is that of the other side. */
import { daemonAddress } from '../../client/address.ts';
import type { Credentials } from '../../client/credentials.ts';

/** With what its daemon wants to know of who asks. */
export interface Place extends Credentials {
  readonly daemon: string;
  readonly guest: string;
}

const FORMS = 'write GUEST, http://HOST:PORT/GUEST or unix:PATH:GUEST';

/**
 * `http://HOST:PORT/GUEST`, `unix:PATH:GUEST`, `GUEST`, or a daemon without a guest. The address that the daemon itself
 * gives for a guest, …/v1/guests/GUEST, is taken too. Throws TypeError with one line for people.
 */
export function placeOf(text: string, daemon: string, guest?: string): Place {
  const place = apart(text, daemon);
  daemonAddress(place.daemon);
  const name = place.guest ?? guest;
  if (name === undefined) throw new TypeError(`"${text}" names no guest: ${FORMS}`);
  return { daemon: place.daemon, guest: name };
}

function apart(text: string, daemon: string): { daemon: string; guest?: string } {
  if (text.startsWith('unix:')) {
    const [, path, guest] = /^unix:([^:]+)(?::([^:/]+))?$/.exec(text) ?? [];
    return { daemon: `unix:${path ?? ''}`, ...(guest === undefined ? {} : { guest }) };
  }
  if (!text.includes('/')) return { daemon, guest: text };
  const [, origin, guest] =
    /^([a-z]+:\/\/[^/]+)(?:\/v1\/guests)?(?:\/([^/]+))?\/?$/.exec(text) ?? [];
  if (origin === undefined) throw new TypeError(`"${text}" is no place of a guest: ${FORMS}`);
  return { daemon: origin, ...(guest === undefined ? {} : { guest }) };
}

export function placeText({ daemon, guest }: Place): string {
  return daemon.startsWith('unix:') ? `${daemon}:${guest}` : `${daemon}/${guest}`;
}
