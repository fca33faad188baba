/**
 * The front door of the client: one daemon, as an object. REST by functions, streams by `stream`; 64-bit words are
 * bigints everywhere. docs/client.md is its manual.
 */
import type { z } from 'zod';
import type { guestConfig } from '../../schemas/guests.ts';
import { DEFAULT_URL, daemonAddress, streamUrl } from './address.ts';
import type { AnswerOf, AnswersOf, ArgumentsOf, Call, HcallName } from './call-types.ts';
import { answerOfJson, type Fields, jsonOf, operationNamed } from './call-words.ts';
import type { Credentials } from './credentials.ts';
import { type GuestStream, type GuestStreamOptions, openGuestStream } from './guest-stream.ts';
import { connectRest, type Rest } from './rest.ts';
import { connectStream, type HcallStream, type StreamOptions } from './stream.ts';

/** What a guest is created with; `order` is the only thing it needs. */
export type GuestDescription = z.input<typeof guestConfig>;

export interface Client extends Pick<Rest, 'getGuest' | 'listGuests' | 'deleteGuest' | 'getGroup'> {
  createGuest(name: string, description: GuestDescription): ReturnType<Rest['createGuest']>;
  /** One hcall over REST. */
  call<Name extends HcallName>(
    guest: string,
    name: Name,
    arguments_: ArgumentsOf<Name>,
  ): Promise<AnswerOf<Name>>;
  /** Many hcalls in one request, in order. */
  callMany<const Calls extends readonly Call<HcallName>[]>(
    guest: string,
    calls: Calls,
  ): Promise<AnswersOf<Calls>>;
  /** A stream with calls by name, which connects again when it is lost. */
  stream(guest: string, options?: GuestStreamOptions): Promise<GuestStream>;
  /** A stream of frames as they go over the wire, for speed: no names, no reconnecting. */
  rawStream(guest: string, options?: StreamOptions): Promise<HcallStream>;
  /** Any other resource; words are "0x…" strings there. */
  readonly send: Rest['send'];
}

/**
 * `url`: http://HOST:PORT, https://HOST:PORT or unix:PATH. Nothing is sent before the first request. `credentials` are for
 * all of it; a stream may have others.
 */
export function connect(url: string = DEFAULT_URL, credentials: Credentials = {}): Client {
  daemonAddress(url);
  const rest = connectRest(url, credentials);
  return {
    createGuest: (name, description) => rest.createGuest(name, description),
    getGuest: (name) => rest.getGuest(name),
    listGuests: () => rest.listGuests(),
    deleteGuest: (name) => rest.deleteGuest(name),
    getGroup: (guest, group) => rest.getGroup(guest, group),
    call: async (guest, name, arguments_) => {
      const operation = operationNamed(name);
      const answer = await rest.call(guest, name, jsonOf(operation, arguments_));
      return answerOfJson(operation, answer) as AnswerOf<typeof name>;
    },
    callMany: async <const Calls extends readonly Call<HcallName>[]>(
      guest: string,
      calls: Calls,
    ) => {
      const path = `/v1/guests/${encodeURIComponent(guest)}/hcalls`;
      const body = calls.map((call) => jsonOf(operationNamed(call.hcall), call));
      const { answers } = (await rest.send('POST', path, { calls: body })) as { answers: Fields[] };
      return answers.map((answer, i) =>
        answerOfJson(operationNamed(calls[i]!.hcall), answer),
      ) as AnswersOf<Calls>;
    },
    stream: (guest, options) =>
      openGuestStream(streamUrl(url, guest), { ...credentials, ...options }),
    rawStream: (guest, options) =>
      connectStream(streamUrl(url, guest), { ...credentials, ...options }),
    send: (method, path, body) => rest.send(method, path, body),
  };
}
