/**
 * The daemon's REST interface as functions. A refusal is a RefusedError, silence an UnavailableError;
 * an hcall's status is part of the answer, whatever it is. Over node:http, because fetch knows no Unix sockets.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type Credentials, requestTo } from './credentials.ts';
import { collect, problemOf, unavailable } from './problems.ts';

export type Json = Record<string, unknown>;

export interface Rest {
  createGuest(name: string, config: Json): Promise<Json>;
  deleteGuest(name: string): Promise<void>;
  getGuest(name: string): Promise<Json>;
  listGuests(): Promise<Json[]>;
  /** `arguments_` by name, as schemas/operations.ts spells them; `explain: true` asks for the reason. */
  call(guest: string, hcall: string, arguments_: Json): Promise<Json>;
  /** A control operation of the host, as `call`. */
  control(guest: string, operation: string, arguments_: Json): Promise<Json>;
  getGroup(guest: string, group: number): Promise<Json>;
  /** Any other resource; `path` starts with a slash. */
  send(method: string, path: string, body?: unknown): Promise<unknown>;
}

const REQUEST_MILLIS = 30_000;

/** `daemon`: http://HOST:PORT or unix:PATH. Connects with the first request. */
export function connectRest(daemon: string, credentials: Credentials = {}): Rest {
  const send = (method: string, path: string, body?: unknown): Promise<unknown> =>
    sendRequest(daemon, credentials, method, path, body);
  const guestPath = (name: string): string => `/v1/guests/${encodeURIComponent(name)}`;
  const object = async (method: string, path: string, body?: unknown): Promise<Json> =>
    (await send(method, path, body)) as Json;
  return {
    createGuest: (name, config) => object('PUT', guestPath(name), config),
    deleteGuest: async (name) => {
      await send('DELETE', guestPath(name));
    },
    getGuest: (name) => object('GET', guestPath(name)),
    listGuests: async () => {
      const answer = await send('GET', '/v1/guests');
      return (Array.isArray(answer) ? answer : (answer as { guests: Json[] }).guests) as Json[];
    },
    call: (guest, hcall, arguments_) =>
      object('POST', `${guestPath(guest)}/hcalls/${encodeURIComponent(hcall)}`, arguments_),
    control: (guest, operation, arguments_) =>
      object('POST', `${guestPath(guest)}/control/${encodeURIComponent(operation)}`, arguments_),
    getGroup: (guest, group) => object('GET', `${guestPath(guest)}/hpt/groups/${group}`),
    send,
  };
}

async function sendRequest(
  daemon: string,
  credentials: Credentials,
  method: string,
  path: string,
  body: unknown,
): Promise<unknown> {
  const { status, text } = await exchange(daemon, credentials, method, path, body);
  if (status < 200 || status > 299) throw problemOf(status, text);
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

function exchange(
  daemon: string,
  credentials: Credentials,
  method: string,
  path: string,
  body: unknown,
): Promise<{ status: number; text: string }> {
  const { origin, options } = requestTo(daemon, credentials);
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const start = origin.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = start(new URL(path, origin), {
      ...options,
      method,
      signal: AbortSignal.timeout(REQUEST_MILLIS),
      headers: {
        ...options.headers,
        ...(payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      },
    });
    request.on('error', (error) => reject(unavailable(daemon, error)));
    request.on('response', (response) => {
      collect(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, text }),
        (error: unknown) => reject(unavailable(daemon, error)),
      );
    });
    request.end(payload);
  });
}
