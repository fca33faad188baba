/** A resource that is a file: its bytes into a stream as they come. Errors as those of rest.ts. */
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import { daemonAddress } from './address.ts';
import { collect, problemOf, unavailable } from './problems.ts';

/** Ends `output`. `path` starts with a slash. */
export async function download(daemon: string, path: string, output: Writable): Promise<void> {
  const response = await responseTo(daemon, path);
  const status = response.statusCode ?? 0;
  if (status !== 200) throw problemOf(status, await collect(response));
  await pipeline(response, output);
}

function responseTo(daemon: string, path: string): Promise<IncomingMessage> {
  const { origin, socketPath } = daemonAddress(daemon);
  const start = origin.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const options = socketPath === undefined ? {} : { socketPath };
    const request = start(new URL(path, origin), options);
    request.on('error', (error) => reject(unavailable(daemon, error)));
    request.on('response', resolve);
    request.end();
  });
}
