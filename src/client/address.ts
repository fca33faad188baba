/**
 * Where a daemon is: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`, as `hptd serve --listen` says it.
 */

export const DEFAULT_URL = 'http://127.0.0.1:7808';

export interface DaemonAddress {
  /** Scheme, host and port of requests; over a Unix socket the host is only a name. */
  readonly origin: URL;
  readonly socketPath?: string;
}

/** Throws TypeError with one line for people when `text` is no address of a daemon. */
export function daemonAddress(text: string): DaemonAddress {
  if (text.startsWith('unix:') && text.length > 'unix:'.length) {
    return { origin: new URL('http://localhost'), socketPath: text.slice('unix:'.length) };
  }
  const origin = URL.canParse(text) ? new URL(text) : undefined;
  if (origin === undefined || (origin.protocol !== 'http:' && origin.protocol !== 'https:')) {
    throw new TypeError(`"${text}" is no daemon address: write http://HOST:PORT or unix:PATH`);
  }
  return { origin };
}

/** The address of a guest's stream, for `connectStream`. */
export function streamUrl(daemon: string, guest: string): string {
  const { origin, socketPath } = daemonAddress(daemon);
  const path = `/v1/guests/${encodeURIComponent(guest)}/stream`;
  if (socketPath !== undefined) return `ws+unix:${socketPath}:${path}`;
  return `${origin.protocol === 'https:' ? 'wss' : 'ws'}://${origin.host}${path}`;
}

/** True where no machine between client and daemon can see the bytes. */
export function isLocal(url: string): boolean {
  if (url.startsWith('ws+unix:')) return true;
  const host = new URL(url).hostname;
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
