/**
 * The opening of a stream: from a WebSocket that is connecting to the daemon's hello, or to one clear error.
 * Used by stream.ts only.
 */
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { type BinaryHello, binaryHello } from '../../schemas/stream.ts';
import { deferred } from './deferred.ts';
import { ProtocolError, StreamEndedError } from './errors.ts';
import { collect, problemOf, unavailable } from './problems.ts';

/**
 * The hello is caught by a listener set before the socket opens: a later one would miss it. After the hello the daemon
 * is silent until it is asked, so the caller has time to set its own.
 */
export async function awaitHello(socket: WebSocket, millis: number): Promise<BinaryHello> {
  const outcome = deferred<BinaryHello>();
  const timer = setTimeout(() => {
    outcome.reject(unavailable(socket.url, new Error(`no hello within ${millis} ms`)));
  }, millis);
  const listeners = {
    message: (data: Buffer, isBinary: boolean) => {
      outcome.resolve(parseHello(data, isBinary));
    },
    'unexpected-response': (_request: unknown, response: IncomingMessage) => {
      outcome.resolve(refused(response));
    },
    error: (error: Error) => outcome.reject(unavailable(socket.url, error)),
    close: (code: number, reason: Buffer) =>
      outcome.reject(new StreamEndedError(code, reason.toString())),
  };
  for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  try {
    return await outcome.promise;
  } catch (error) {
    socket.once('error', () => {});
    socket.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
    for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
  }
}

/** Async, so that what is wrong with it rejects: a throw in a socket's listener would end the process. */
async function parseHello(data: Buffer, isBinary: boolean): Promise<BinaryHello> {
  if (isBinary) throw new ProtocolError('the first message of the stream was not a hello');
  const checked = binaryHello.safeParse(JSON.parse(data.toString()));
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    throw new ProtocolError(
      `the daemon's hello is not understood: ${issue.path.join('.')}: ${issue.message}`,
    );
  }
  return checked.data;
}

async function refused(response: IncomingMessage): Promise<never> {
  throw problemOf(response.statusCode ?? 0, await collect(response));
}
