/**
 * hcalls over REST: one by name, a batch, and the host's control operations. An hcall's status is
 * in the answer and never an HTTP status: 200 says that the hcall was executed. Main thread; the
 * hot path of REST.
 */
import type { FastifyInstance } from 'fastify';
import {
  isFields,
  parseBatch,
  parseCall,
  renderAnswer,
  type JsonAnswer,
  type ParsedCall,
} from '../../schemas/calls.ts';
import { operationByName } from '../../schemas/operations.ts';
import { glance, plainAnswer, PLAIN_WORDS_BYTES } from '../../schemas/plain-calls.ts';
import { problem } from '../../schemas/problems.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import type { Guest, Guests } from '../guests/types.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

type CallRoute = { Params: GuestParams & { name: string } };

/** JSON that is there already; Fastify takes a string for plain text. */
interface Written {
  readonly text: string;
}

/** A route that answers what is written. */
const WRITTEN = {
  schema: { response: { 200: {} } },
  serializerCompiler: () => (answer: Written) => answer.text,
} as const;

export function hcallRoutes(app: FastifyInstance, guests: Guests): void {
  app.post<CallRoute>('/v1/guests/:guest/hcalls/:name', WRITTEN, ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    return (
      runPlain(guest, params.name, body) ?? runOne(guest, parseCall(orEmpty(body), params.name))
    );
  });

  app.post<CallRoute>('/v1/guests/:guest/control/:name', WRITTEN, async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    if (operationByName(params.name)?.kind === 'hcall') {
      throw problem(
        'hcall-unknown',
        `${params.name} is an hcall, not a control operation: post it to hcalls/${params.name}`,
      );
    }
    return runOne(guest, parseCall(orEmpty(body), params.name, { control: true }));
  });

  app.post<{ Params: GuestParams }>('/v1/guests/:guest/hcalls', async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    const calls = parseBatch(body);
    const answers = await guest.run(calls.map((call) => call.record));
    return { answers: calls.map((call, index) => answerJson(call, answers[index]!)) };
  });
}

/** A call without arguments needs no body. */
function orEmpty(body: unknown): unknown {
  return body === undefined ? {} : body;
}

/** Where the words of a plain call lie, until it is executed. */
const words = new DataView(new ArrayBuffer(PLAIN_WORDS_BYTES));

/** Undefined: the call is not plain, or cannot be executed at once. Nothing was done. */
function runPlain(guest: Guest, name: string, body: unknown): Written | undefined {
  const operation = operationByName(name);
  if (operation?.kind !== 'hcall' || !isFields(body)) return undefined;
  const count = glance(operation, body, words);
  if (count === undefined) return undefined;
  const answer = guest.runPlain(operation.opcode, words, count);
  return answer && { text: plainAnswer(operation, answer) };
}

function runOne(guest: Guest, call: ParsedCall): Written | Promise<Written> {
  const answer = guest.runOne(call.record);
  return answer instanceof Promise
    ? answer.then((late) => written(call, late))
    : written(call, answer);
}

function written(call: ParsedCall, answer: AnswerRecord): Written {
  return { text: JSON.stringify(answerJson(call, answer)) };
}

function answerJson(call: ParsedCall, answer: AnswerRecord): JsonAnswer {
  const json = renderAnswer(call.operation, answer, call.record.explain === true);
  if (call.tag !== undefined) json.tag = call.tag;
  return json;
}
