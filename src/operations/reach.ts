/**
 * Who can reach the daemon, and whether that is allowed: what several options mean together. Everything that can be
 * known before anything listens; `--check-config` ends here. Main thread, at start.
 */
import { readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';
import { AccessFileError, readAccessFile } from './access-file.ts';
import type { AccessList } from './access-file.ts';
import { DEFAULT_LISTEN, listenAddress } from './config.ts';
import type { ListenAddress, ServeOptions } from './config.ts';
import { ConfigurationError } from './configuration.ts';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** A name other than localhost may mean any machine. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host === 'localhost' : LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

export function refuseOpenDoor(place: string): never {
  throw new ConfigurationError(
    `${place} can be reached from other machines, and nobody would be asked who he is`,
    'make an access file ("hptd help token") and name it with --access-file, or listen on 127.0.0.1',
    { member: 'listen' },
  );
}

export interface TlsFiles extends SecureContextOptions {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Clients may show a certificate that one of these signed. */
  readonly ca?: Buffer;
}

/** What the files that options name hold; throws ConfigurationError when a daemon cannot run like that. */
export function readReach(options: ServeOptions): {
  access: AccessList | undefined;
  tls: TlsFiles | undefined;
} {
  const tls = readTls(options);
  const access = options.accessFile === undefined ? undefined : readAccess(options.accessFile);
  if (options.tlsClientCa !== undefined && access === undefined)
    throw missing('tlsClientCa', 'accessFile', 'it says what each certificate may do');
  if (access === undefined) {
    for (const text of options.listen) {
      const address = listenAddress(text)!;
      if ('host' in address && !isLoopback(address.host)) refuseOpenDoor(text);
    }
  }
  return { access, tls };
}

/** Throws ConfigurationError. */
export function readAccess(path: string): AccessList {
  try {
    return readAccessFile(path);
  } catch (error) {
    if (!(error instanceof AccessFileError)) throw error;
    throw new ConfigurationError(`accessFile: ${error.message}`, 'see "hptd help token"', {
      member: 'accessFile',
      cause: error,
    });
  }
}

/** Undefined: no TLS. */
export function readTls({ tlsCert, tlsKey, tlsClientCa }: ServeOptions): TlsFiles | undefined {
  if (tlsCert === undefined) {
    if (tlsKey !== undefined) throw missing('tlsKey', 'tlsCert', 'a key is nothing without it');
    if (tlsClientCa !== undefined)
      throw missing('tlsClientCa', 'tlsCert', 'clients show certificates in TLS only');
    return undefined;
  }
  if (tlsKey === undefined) throw missing('tlsCert', 'tlsKey', 'both are needed for TLS');
  const files: TlsFiles = {
    cert: readPem('tlsCert', tlsCert),
    key: readPem('tlsKey', tlsKey),
    ...(tlsClientCa === undefined ? {} : { ca: readPem('tlsClientCa', tlsClientCa) }),
  };
  try {
    createSecureContext(files);
  } catch (error) {
    throw new ConfigurationError(
      `tlsCert, tlsKey: not a certificate and its key (${(error as Error).message})`,
      'both are files in PEM, and belong together',
      { member: 'tlsCert', cause: error },
    );
  }
  return files;
}

function readPem(member: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigurationError(
      `${member}: ${path} cannot be read (${(error as Error).message})`,
      'name a file that the daemon may read',
      { member, cause: error },
    );
  }
}

function missing(member: string, wanted: string, why: string): ConfigurationError {
  return new ConfigurationError(`${member} needs ${wanted}: ${why}`, 'see "hptd help serve"', {
    member,
  });
}

/** Everything to listen on, the socket last. */
export function addressesOf({ listen, socket }: ServeOptions): ListenAddress[] {
  const path = socket === 'auto' ? automaticSocket(listen) : socket;
  const addresses = listen.map((text) => listenAddress(text)!);
  return path === undefined || path === 'none' ? addresses : [...addresses, { path }];
}

/** Names in Host headers that mean this daemon, beside addresses and localhost. */
export function hostNamesOf({ listen, allowedHosts }: ServeOptions): string[] {
  const addresses = listen.map((text) => listenAddress(text)!);
  const named = addresses.flatMap((address) => ('host' in address ? [address.host] : []));
  return [...allowedHosts, ...named.map((host) => host.toLowerCase())];
}

function automaticSocket(listen: readonly string[]): string | undefined {
  return listen.length === 1 && listen[0] === DEFAULT_LISTEN ? userSocket() : undefined;
}

/** Where a user's programs keep what outlives them. SPEC: XDG Base Directory Specification 0.8, XDG_STATE_HOME. */
export function userStateDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment['XDG_STATE_HOME'] ?? '';
  return join(base.startsWith('/') ? base : join(homedir(), '.local', 'state'), 'hptd');
}

/** Where a user's programs keep their sockets; without such a directory one of his own (listen.ts makes it). */
export function userSocket(environment: NodeJS.ProcessEnv = process.env): string {
  const directory = environment['XDG_RUNTIME_DIR'] ?? '';
  return join(
    directory === '' ? join(tmpdir(), `hptd-${process.getuid?.() ?? 'user'}`) : directory,
    'hptd.sock',
  );
}
