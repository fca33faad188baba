/** Who asks, and whom it trusts: the same for requests, uploads, downloads and streams. */
import { daemonAddress } from './address.ts';

export interface Credentials {
  /** Says who asks, where the daemon wants to know. */
  readonly token?: string | undefined;
  /** Certificates in PEM that sign the daemon's; those that Node knows unless given. */
  readonly ca?: string | undefined;
  /** A certificate in PEM that says who asks, with those it is signed with, and its private key. Both or none. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** As node's request and ws take them. They count over TLS alone, but for the token. */
export function requestOptions({ token, ca, cert, key }: Credentials) {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  };
}

/** Also where it is. */
export function requestTo(daemon: string, credentials: Credentials) {
  const { origin, socketPath } = daemonAddress(daemon);
  const options = requestOptions(credentials);
  return { origin, options: socketPath === undefined ? options : { ...options, socketPath } };
}
