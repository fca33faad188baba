/** From what node and the daemon report to the errors of errors.ts. Shared by rest.ts and the stream's opening. */
import type { IncomingMessage } from 'node:http';
import { RefusedError, UnavailableError } from './errors.ts';

export async function collect(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** The error of an HTTP answer that is none of success: problem+json, or whatever a proxy in between says. */
export function problemOf(status: number, body: string): RefusedError {
  const problem = members(body);
  const text = (key: string, other: string): string => {
    const value = problem[key];
    return typeof value === 'string' ? value : other;
  };
  return new RefusedError({
    code: text('code', `http-${status}`),
    title: text('title', `the daemon answered HTTP ${status}`),
    detail: text('detail', ''),
    status,
    advice: text('whatToDo', 'see whether that is the address of a hptd daemon'),
  });
}

function members(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** What node says of a daemon's certificate that it does not trust. */
const UNTRUSTED =
  /^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|CERT_|ERR_TLS_CERT)/;

export function unavailable(where: string, cause: unknown): UnavailableError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (UNTRUSTED.test(code ?? ''))
    return new UnavailableError(
      `the daemon at ${where} is not trusted: ${(cause as Error).message}`,
      'name the certificates that sign its own with --ca (HPTD_CA), and the host as its certificate does',
      { cause },
    );
  const why =
    code === 'ECONNREFUSED' || code === 'ENOENT'
      ? 'nothing listens there'
      : (cause as Error).message || String(code);
  return new UnavailableError(
    `no daemon answers at ${where}: ${why}`,
    'start one with "hptd serve", or name another with --url',
    { cause },
  );
}
