/**
 * A guest's table as a stream of bytes, read from and loaded into a daemon (docs/htab.md). Nothing here keeps a table:
 * what is read is a Readable, what is loaded is one.
 */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Credentials, requestTo } from './credentials.ts';
import { collect, problemOf, unavailable } from './problems.ts';

/** A daemon, and who asks there. */
export interface Where extends Credentials {
  readonly daemon: string;
}

export interface Pass {
  readonly bytes: Readable;
  /** Path of the reader that gives the next pass, where there is one. */
  readonly reader: string | undefined;
}

/** `path`: …/htab with its query, or a reader's. An end that comes too early is an error of `bytes`. */
export async function readTable(where: Where, path: string, signal: AbortSignal): Promise<Pass> {
  const request = start(where, 'GET', path, signal);
  request.end();
  const response = await answered(where, request);
  if (response.statusCode !== 200)
    throw problemOf(response.statusCode ?? 0, await collect(response));
  return { bytes: response, reader: response.headers.location };
}

export interface Loaded {
  readonly bytes: number;
  readonly records: number;
  readonly entries: number;
}

/** Loads all of `bytes` into a paused guest. A refusal that comes before all is sent is thrown as itself. */
export async function loadTable(
  where: Where,
  path: string,
  bytes: Readable,
  signal: AbortSignal,
): Promise<Loaded> {
  const request = start(where, 'PUT', path, signal);
  request.setHeader('content-type', 'application/octet-stream');
  // Whichever fails first says why: a source that ends early, or a daemon that is gone.
  let first: unknown;
  bytes.once('error', (error) => (first ??= error));
  const answer = answered(where, request).catch((error: unknown) => {
    throw (first ??= error);
  });
  const sent = pipeline(bytes, request);
  sent.catch(() => {});
  const response = await answer;
  const text = await collect(response).catch((error: unknown) => {
    throw unavailable(where.daemon, error);
  });
  if (response.statusCode !== 200) {
    request.destroy();
    throw problemOf(response.statusCode ?? 0, text);
  }
  await sent;
  return JSON.parse(text) as Loaded;
}

function start(where: Where, method: string, path: string, signal: AbortSignal) {
  const { origin, options } = requestTo(where.daemon, where);
  const begin = origin.protocol === 'https:' ? httpsRequest : httpRequest;
  return begin(new URL(path, origin), { ...options, method, signal });
}

function answered({ daemon }: Where, request: ReturnType<typeof start>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', (error) => reject(unavailable(daemon, error)));
    request.on('response', resolve);
  });
}
