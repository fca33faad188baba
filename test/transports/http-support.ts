/**
 * Guests that live in this process: they keep the records they are given and answer as a test
 * wants.
 */
import Fastify, { type FastifyInstance } from 'fastify';
import type { GuestState } from '../../schemas/guest-states.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import { operationByOpcode } from '../../schemas/operations.ts';
import { problem } from '../../schemas/problems.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import type { Guest, Guests } from '../../src/guests/types.ts';
import { httpRoutes } from '../../src/transports/http.ts';
import { problemServerOptions } from '../../src/transports/problems.ts';

/** What an operation answers; words only, or a status too. */
export type Answer = (words: readonly bigint[]) => readonly bigint[] | { status: number };

export interface FakeGuests extends Guests {
  /** Every record that was run, with its operation's name. */
  readonly ran: { name: string; words: readonly bigint[]; explain: boolean }[];
  /** By operation. What has none answers H_SUCCESS without words. */
  readonly answers: Map<string, Answer>;
  /** Thrown by the next run, if set. */
  failure: Error | undefined;
}

export function fakeGuests(): FakeGuests {
  const byName = new Map<string, Guest>();
  const fake: FakeGuests = {
    state: undefined,
    ran: [],
    answers: new Map(),
    failure: undefined,
    async create(name, config) {
      const guest = fakeGuest(fake, name, config);
      byName.set(name, guest);
      return guest;
    },
    get: (name) => byName.get(name),
    list: () => [...byName.values()],
    processors: () => [{ index: 0, alive: true, streams: 0, deaths: 0 }],
    async remove(name) {
      if (!byName.delete(name)) throw problem('guest-not-found', `there is no guest "${name}"`);
    },
    async close() {},
  };
  return fake;
}

function fakeGuest(fake: FakeGuests, name: string, config: GuestConfig): Guest {
  let state: GuestState = config.state;
  return {
    name,
    config,
    createdAt: new Date(0),
    status: () => ({ order: config.order, streams: 0, state }),
    async changeState(to) {
      state = to;
    },
    memslots: () =>
      (config.memslots ?? []).map((slot, number) => ({
        number,
        ...slot,
        bytes: slot.bytes,
      })),
    counters: () => [],
    answers: () => [],
    runs: () => ({ micros: [0, 0], records: [0, 0] }),
    ringFill: () => ({ submittedBytes: 0, answerBytes: 0 }),
    recordings: noRecordings(),
    journal: () => undefined,
    resize: () => ({ state: 0, order: 0, zeroedBytes: 0, bytes: 0 }),
    async allPassed() {},
    checkStream() {},
    openStream() {
      throw problem('stream-limit', 'a fake has no streams');
    },
    async run(records) {
      if (fake.failure !== undefined) throw fake.failure;
      return records.map((record) => answerOf(fake, record));
    },
    runPlain: () => undefined,
    async runOne(record) {
      if (fake.failure !== undefined) throw fake.failure;
      return answerOf(fake, record);
    },
  };
}

/** For guests that are none. */
export function noRecordings(): Guest['recordings'] {
  const refuse = (): never => {
    throw problem('recording-not-found', 'a fake is not recorded');
  };
  return {
    start: async () => refuse(),
    list: () => [],
    facts: refuse,
    end: async () => refuse(),
    file: refuse,
    remove: refuse,
  };
}

function answerOf(
  fake: FakeGuests,
  { opcode, words, explain = false }: RequestRecord,
): AnswerRecord {
  const { name } = operationByOpcode(opcode)!;
  fake.ran.push({ name, words, explain });
  const answer = fake.answers.get(name)?.(words) ?? [];
  if ('status' in answer) return { tag: 0, status: answer.status, words: [] };
  return { tag: 0, status: 0, words: [...answer] };
}

export interface Reply {
  status: number;
  type: string;
  headers: Record<string, unknown>;
  json: Record<string, unknown>;
  bytes: Buffer;
}

export interface Http {
  readonly app: FastifyInstance;
  readonly guests: FakeGuests;
  send(method: string, url: string, body?: unknown): Promise<Reply>;
  /** With a body that is sent as it is. */
  sendRaw(method: string, url: string, type: string, body: string | Buffer): Promise<Reply>;
}

/** The REST interface over fakes, with the guests `g` (order 18) and `bare` (no table). */
export async function openHttp(isReady?: () => boolean): Promise<Http> {
  const guests = fakeGuests();
  const app = Fastify(problemServerOptions);
  await app.register(httpRoutes, { guests, ...(isReady === undefined ? {} : { isReady }) });
  const sendRaw: Http['sendRaw'] = async (method, url, type, body) => {
    const headers = type === '' ? {} : { 'content-type': type };
    const answer = await app.inject({ method: method as 'GET', url, headers, payload: body });
    const isJson = String(answer.headers['content-type']).includes('json');
    return {
      status: answer.statusCode,
      type: String(answer.headers['content-type']),
      headers: answer.headers,
      json: isJson ? answer.json<Record<string, unknown>>() : {},
      bytes: answer.rawPayload,
    };
  };
  const send: Http['send'] = (method, url, body) =>
    body === undefined
      ? sendRaw(method, url, '', '')
      : sendRaw(method, url, 'application/json', JSON.stringify(body));
  await send('PUT', '/v1/guests/g', { order: 18 });
  await send('PUT', '/v1/guests/bare', { order: 0 });
  return { app, guests, send, sendRaw };
}
