/** Resources that are no JSON: a file, whose bytes go into a stream as they come, and text. Errors as those of rest.ts. */
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import { type Credentials, requestTo } from './credentials.ts';
import { collect, problemOf, unavailable } from './problems.ts';

/** Ends `output`. `path` starts with a slash. */
export async function download(
  daemon: string,
  path: string,
  output: Writable,
  credentials: Credentials = {},
): Promise<void> {
  const response = await responseTo(daemon, path, credentials);
  const status = response.statusCode ?? 0;
  if (status !== 200) throw problemOf(status, await collect(response));
  await pipeline(response, output);
}

/** A resource that is text. */
export async function fetchText(
  daemon: string,
  path: string,
  credentials: Credentials = {},
): Promise<string> {
  const response = await responseTo(daemon, path, credentials);
  const text = await collect(response);
  if (response.statusCode !== 200) throw problemOf(response.statusCode ?? 0, text);
  return text;
}

function responseTo(
  daemon: string,
  path: string,
  credentials: Credentials,
): Promise<IncomingMessage> {
  const { origin, options } = requestTo(daemon, credentials);
  const start = origin.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = start(new URL(path, origin), options);
    request.on('error', (error) => reject(unavailable(daemon, error)));
    request.on('response', resolve);
    request.end();
  });
}
