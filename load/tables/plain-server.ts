/**
 * A worker thread with the yardstick of the profile `tables`: an HTTP server that gives as many bytes as its path says, and
 * takes any number. Tells its port.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { parentPort } from 'node:worker_threads';

const CHUNK = Buffer.alloc(64 * 1024, 7);

function* chunks(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= CHUNK.length)
    yield left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
}

const server = createServer((request, response) => {
  if (request.method === 'GET') Readable.from(chunks(Number(request.url!.slice(1)))).pipe(response);
  else request.resume().on('end', () => response.end('{}'));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
parentPort!.postMessage((server.address() as AddressInfo).port);
