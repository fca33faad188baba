/**
 * The decoders of JSON frames and of REST bodies, with everything behind them: what they understand is executed by the
 * engine on a guest in this thread.
 */
import assert from 'node:assert/strict';
import Fastify from 'fastify';
import type { WebSocket } from 'ws';
import { OPERATIONS } from '../../schemas/operations.ts';
import { encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import type { Guest, Guests } from '../../src/guests/types.ts';
import { httpRoutes } from '../../src/transports/http.ts';
import { problemServerOptions } from '../../src/transports/problems.ts';
import { openJsonStream } from '../../src/transports/stream-json.ts';
import type { TestGuest } from '../engine/harness.ts';
import { noRecordings } from '../transports/http-support.ts';
import { checkTable } from '../engine/invariants.ts';
import type { Random } from '../rings/random.ts';
import { pick } from './decoder.ts';
import type { Decoder, Target } from './decoder.ts';
import { newGuest } from './frames.ts';

/** As in frames.ts. */
const GUEST_INPUTS = 500;
const SOURCES = /\/(schemas|src\/transports|src\/guests)\//;
const ODD: readonly unknown[] = JSON.parse(`[
  null, true, -1, 1.5, 1152921504606846976, "", "0x", "0x1", "0xfffffffffffffffff", "18446744073709551616",
  [], {}, ["H_EXACT"], ["X"], "__proto__", "\u00e9", ["H_EXACT", "H_EXACT"], "0x123456000001"
]`) as unknown[];
const MORE_MEMBERS = ['tag', 'explain', 'data', 'nonsense', '__proto__', 'constructor'];

/** A call by name, nearly right. */
function randomCall(random: Random): Record<string, unknown> {
  const { name, arguments: args } = pick(random, OPERATIONS);
  const body: Record<string, unknown> = random.below(4) === 0 ? {} : { hcall: name };
  for (const member of args.map((one) => one.name)) {
    if (random.below(6) === 0) continue;
    body[member] = random.below(4) === 0 ? pick(random, ODD) : `0x${random.below(64).toString(16)}`;
  }
  if (random.below(4) === 0) {
    // An own member even of the name __proto__.
    const value = pick(random, ODD);
    Object.defineProperty(body, pick(random, MORE_MEMBERS), { value, enumerable: true });
  }
  return body;
}

function callText(random: Random): string {
  const one = random.below(3) > 0;
  const body = one
    ? randomCall(random)
    : Array.from({ length: random.below(5) }, () => randomCall(random));
  return JSON.stringify(body);
}

/** Bytes of a text, some of them changed now and then. */
function bytesOf(random: Random, text: string): Buffer {
  const bytes = Buffer.from(text);
  for (let i = random.below(4) === 0 ? 1 + random.below(3) : 0; i > 0 && bytes.length > 0; i--)
    bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
}

/** A guest as transports see it, on a test guest: what is asked is done before the asker goes on. */
function guestHere(on: TestGuest): Guest {
  const answersOf = (frame: Uint8Array): AnswerRecord[] => {
    const answers = on.frame(frame);
    assert.ok(Array.isArray(answers), 'the daemon made a frame that the engine refuses');
    return answers;
  };
  return {
    name: 'g',
    config: on.config,
    createdAt: new Date(0),
    status: () => ({ order: on.order(), streams: 1, state: 'running' }),
    async changeState() {},
    memslots: () => [],
    journal: () => undefined,
    resize: () => ({ state: 0, order: 0, zeroedBytes: 0, bytes: 0 }),
    counters: () => [],
    async allPassed() {},
    answers: () => [],
    runs: () => ({ micros: [0, 0], records: [0, 0] }),
    ringFill: () => ({ submittedBytes: 0, answerBytes: 0 }),
    recordings: noRecordings(),
    checkStream() {},
    openStream: (_role, listener) => ({
      processor: 0,
      submit(frame) {
        const bytes = Buffer.concat(answersOf(frame).map(answerBytes));
        queueMicrotask(() => listener.onAnswers(bytes));
        return 'accepted';
      },
      mayExecute: () => false,
      execute: () => false,
      refuse() {},
      resume() {},
      close() {},
    }),
    run: async (records) => answersOf(encodeRequests(records)),
    runPlain: () => undefined,
    runOne: (record) => answersOf(encodeRequests([record]))[0]!,
  };
}

/** A record as it comes out of a completion ring. */
function answerBytes({ tag, status, words }: AnswerRecord): Buffer {
  const bytes = Buffer.alloc(8 + 8 * words.length);
  bytes.writeInt16LE(status);
  bytes.writeUInt16LE(words.length, 2);
  bytes.writeUInt32LE(tag, 4);
  for (const [i, word] of words.entries()) bytes.writeBigUInt64LE(word, 8 + 8 * i);
  return bytes;
}

/** What a client may be told: an answer's status, or a problem that is not the daemon's own fault. */
function checkAnswer(answer: unknown): void {
  const { status, problem } = answer as { status?: unknown; problem?: { code?: unknown } };
  if (problem === undefined) assert.equal(typeof status, 'string', JSON.stringify(answer));
  else assert.notEqual(problem.code, 'internal', JSON.stringify(answer));
}

async function openJsonFrames(): Promise<Target> {
  let guest = newGuest();
  let inputs = 0;
  return {
    async perform(input) {
      if (++inputs % GUEST_INPUTS === 0) guest = newGuest();
      const sent: string[] = [];
      const socket = {
        bufferedAmount: 0,
        send: (text: string) => sent.push(text),
        close: (code: number) => sent.push(`close ${code}`),
      } as unknown as WebSocket;
      const stream = openJsonStream(guestHere(guest), 'host', socket, () => {});
      stream.onMessage(Buffer.from(input), false);
      await new Promise(setImmediate);
      assert.equal(sent.length, 1, `one message answers one, not ${sent.length}`);
      const answer: unknown = JSON.parse(sent[0]!);
      for (const one of Array.isArray(answer) ? answer : [answer]) checkAnswer(one);
    },
    close: async () => void checkTable(guest),
  };
}

/** Method, address and type; a star stands for the input as text, else it is the body. */
const ROUTES = [
  ['PUT', '/v1/guests/new', 'application/json'],
  ['POST', '/v1/guests/g/hcalls', 'application/json'],
  ...OPERATIONS.map(({ kind, name }) => [
    'POST',
    `/v1/guests/g/${kind === 'hcall' ? 'hcalls' : 'control'}/${name}`,
    'application/json',
  ]),
  ['PUT', '/v1/guests/g/memory?gpa=0x1000', 'application/octet-stream'],
  ['PUT', '/v1/guests/g/memory?*', 'application/octet-stream'],
  ['GET', '/v1/guests/g/memory?*', ''],
  ['GET', '/v1/guests/g/hpt/entries/*', ''],
  ['GET', '/v1/guests/g/hpt/groups/*', ''],
  ['PUT', '/v1/guests/*', 'application/json'],
  ['POST', '/v1/guests/g/hcalls/*', 'application/json'],
] as const;
const GUEST_MEMBERS: readonly [string, unknown][] = [
  ['order', 18],
  ['ramBytes', 2 ** 26],
  ['hostPageBytes', 65536],
  ['backingPageBytes', 65536],
  ['isa300', true],
  ['memory', 'backed'],
  ['slotSearch', 'two-pass'],
  ['memslots', [{ base: '0x0', bytes: 65536, kind: 'ram' }]],
];

function guestText(random: Random): string {
  const members = GUEST_MEMBERS.filter(() => random.below(2) === 0).map(([name, value]) => [
    name,
    random.below(4) === 0 ? pick(random, ODD) : value,
  ]);
  return JSON.stringify(Object.fromEntries(members));
}

function restText(random: Random, address: string): string {
  if (address.startsWith('/v1/guests/g/hcalls'))
    return random.below(2) === 0
      ? callText(random)
      : JSON.stringify({ calls: [randomCall(random)] });
  if (address.includes('/control/')) return JSON.stringify(randomCall(random));
  if (address.includes('?'))
    return `gpa=0x${random.below(2 ** 25).toString(16)}&bytes=${random.below(200)}`;
  if (address.includes('/hpt/'))
    return pick(random, ['0', '0x10', '16383', '16384', '-1', '0x', 'a']);
  return guestText(random);
}

/** The first byte of an input says which of ROUTES it goes to. */
function drawRest(random: Random): Uint8Array {
  const route = random.below(ROUTES.length);
  const body = bytesOf(random, restText(random, ROUTES[route]![1]));
  return Buffer.concat([Buffer.of(route), body]);
}

async function openRest(): Promise<Target> {
  let guest = guestHere(newGuest());
  let inputs = 0;
  const guests: Guests = {
    state: undefined,
    create: async (name, config) => ({ ...guest, name, config }),
    get: (name) => (name === 'g' ? guest : undefined),
    list: () => [guest],
    processors: () => [{ index: 0, alive: true, streams: 0, deaths: 0 }],
    async remove() {},
    async close() {},
  };
  const app = Fastify(problemServerOptions);
  await app.register(httpRoutes, { guests });
  return {
    async perform(input) {
      if (++inputs % GUEST_INPUTS === 0) guest = guestHere(newGuest());
      const [method, address, type] = ROUTES[(input[0] ?? 0) % ROUTES.length]!;
      const rest = Buffer.from(input.subarray(1));
      const url = address.replace('*', () => encoded(rest));
      const headers = type === '' ? {} : { 'content-type': type };
      const payload = type === '' ? {} : { payload: rest };
      const reply = await app.inject({ method: method as 'GET', url, headers, ...payload });
      assert.ok(reply.statusCode < 500, `${method} ${url}: ${reply.statusCode} ${reply.payload}`);
      if (reply.statusCode < 400) return;
      assert.match(String(reply.headers['content-type']), /^application\/problem\+json/);
      assert.equal(typeof reply.json<{ code?: unknown }>().code, 'string');
    },
    close: () => app.close(),
  };
}

/** As part of an address: what has a meaning there stays, everything else is escaped. */
function encoded(bytes: Buffer): string {
  return encodeURIComponent(bytes.toString('latin1').slice(0, 200))
    .replaceAll('%3D', '=')
    .replaceAll('%26', '&');
}

export const JSON_FRAMES: Decoder = {
  name: 'json-frames',
  sources: SOURCES,
  draw: (random) => bytesOf(random, callText(random)),
  open: openJsonFrames,
};

export const REST_BODIES: Decoder = {
  name: 'rest-bodies',
  sources: SOURCES,
  draw: drawRest,
  open: openRest,
};
