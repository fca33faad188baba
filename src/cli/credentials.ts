/** Who a command is to a daemon, and whom it trusts: from files that options or the environment name, checked. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Credentials } from '../client/credentials.ts';
import { CliError, EXIT, usageError } from './errors.ts';

export const CREDENTIAL_OPTIONS = {
  'token-file': { type: 'string' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
} as const;

export const CREDENTIAL_OPTIONS_HELP = `  --token-file FILE   a file with the token that the daemon wants (else HPTD_TOKEN)
  --ca FILE           certificates in PEM that sign the daemon's (HPTD_CA; those that Node knows unless given)
  --cert FILE         a certificate in PEM to show the daemon (HPTD_CERT)
  --key FILE          its private key in PEM (HPTD_KEY)`;

type Values = { readonly [Name in keyof typeof CREDENTIAL_OPTIONS]?: string | undefined };

/** Throws a usage error, or says which file is of no use. */
export function credentialsOf(command: string, values: Values): Credentials {
  const file = (name: 'ca' | 'cert' | 'key'): string | undefined =>
    values[name] ?? (process.env[`HPTD_${name.toUpperCase()}`] || undefined);
  const [ca, cert, key] = [file('ca'), file('cert'), file('key')];
  if ((cert === undefined) !== (key === undefined))
    throw usageError('a certificate and its key are given together: --cert and --key', command);
  const credentials = {
    token: tokenOf(values['token-file']),
    ca: contentsOf('--ca', ca),
    cert: contentsOf('--cert', cert),
    key: contentsOf('--key', key),
  };
  mustBeUsable('--ca', ca, () => new X509Certificate(credentials.ca!));
  mustBeUsable('--cert and --key', cert, () =>
    createSecureContext({ cert: credentials.cert, key: credentials.key }),
  );
  return credentials;
}

/** From the option's file, the environment, or none. */
export function tokenOf(file: string | undefined): string | undefined {
  const token = contentsOf('--token-file', file)?.trim() ?? process.env['HPTD_TOKEN'];
  return token === '' ? undefined : token;
}

function contentsOf(option: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const why = (error as Error).message;
    throw new CliError(EXIT.data, `${file} cannot be read (${why})`, `name another with ${option}`);
  }
}

function mustBeUsable(option: string, file: string | undefined, check: () => unknown): void {
  if (file === undefined) return;
  try {
    check();
  } catch (error) {
    const why = (error as Error).message;
    throw new CliError(EXIT.data, `${file} is of no use (${why})`, `give PEM files with ${option}`);
  }
}
