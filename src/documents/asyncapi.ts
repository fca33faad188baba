/**
 * The AsyncAPI 3 document of the hcall stream, from the tables of operations, close codes and the hello. Pure; kept in the
 * tree as docs/asyncapi.json.
 *
 * One address, two channels: the subprotocol decides what a message is. `send` and `receive` are the daemon's view, as
 * AsyncAPI wants it of the application that it describes. What no schema can say (the records in a binary frame, the codes
 * with which a stream closes) stands in members that begin with x-.
 */
import { BEARER_PROTOCOL_PREFIX } from '../../schemas/access.ts';
import { OPERATIONS, type Operation } from '../../schemas/operations.ts';
import { CONTROL_BIT, EXPLAIN_BIT, EXPLAIN_WORDS, RECORD_VERSION } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { CLOSE_CODES, JSON_STREAM_PROTOCOL, STREAM_PROTOCOL } from '../../schemas/stream.ts';
import { answerName, callName, type Json, jsonSchemas, reference } from './json-schemas.ts';

export function asyncApi(version: string): Json {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'hptd, the hcall stream',
      version,
      description: [
        'One stream stands for one processor of a guest. Its records are executed and answered in order; streams of one',
        'guest meet in its table. The daemon speaks first: a hello with the limits. Credits bound what may be unanswered;',
        'more closes the stream. The prose is docs/stream.md.',
      ].join(' '),
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      daemon: {
        host: '127.0.0.1:7808',
        protocol: 'ws',
        description: 'where the daemon listens unless told',
      },
    },
    channels: {
      binary: channel(STREAM_PROTOCOL, 'binary records, for programs', [
        'BinaryHello',
        'RequestFrame',
        'AnswerFrame',
      ]),
      json: channel(JSON_STREAM_PROTOCOL, 'the same calls in JSON, for people', [
        'JsonHello',
        'JsonCalls',
        'JsonAnswers',
      ]),
    },
    operations: {
      ...exchanges('binary', 'BinaryHello', 'RequestFrame', 'AnswerFrame'),
      ...exchanges('json', 'JsonHello', 'JsonCalls', 'JsonAnswers'),
    },
    components: { messages: messages(), schemas: streamSchemas() },
  };
}

function channel(protocol: string, summary: string, names: readonly string[]): Json {
  return {
    address: '/v1/guests/{guest}/stream',
    title: protocol,
    summary,
    servers: [{ $ref: '#/servers/daemon' }],
    parameters: { guest: { description: 'name of the guest' } },
    messages: Object.fromEntries(
      names.map((name) => [name, { $ref: `#/components/messages/${name}` }]),
    ),
    bindings: {
      ws: {
        method: 'GET',
        query: {
          type: 'object',
          properties: {
            role: {
              type: 'string',
              enum: ['guest', 'host'],
              default: 'guest',
              description: 'host: control records are answered too',
            },
          },
        },
        headers: {
          type: 'object',
          required: ['Sec-WebSocket-Protocol'],
          properties: {
            'Sec-WebSocket-Protocol': {
              type: 'string',
              description: `offers ${protocol}; and ${BEARER_PROTOCOL_PREFIX}TOKEN, from who cannot send an Authorization header`,
              examples: [protocol, `${protocol}, ${BEARER_PROTOCOL_PREFIX}hptd_NAME_SECRET`],
            },
          },
        },
        bindingVersion: '0.1.0',
      },
    },
    'x-close-codes': CLOSE_CODES,
  };
}

function exchanges(name: string, hello: string, request: string, answer: string): Json {
  const message = (of: string): Json => ({ $ref: `#/channels/${name}/messages/${of}` });
  const of = { $ref: `#/channels/${name}` };
  return {
    [`${name}Hello`]: {
      action: 'send',
      channel: of,
      summary: "the daemon's first message: who it is, and the limits",
      messages: [message(hello)],
    },
    [`${name}Calls`]: {
      action: 'receive',
      channel: of,
      summary: 'the client makes calls, and they are answered in order',
      messages: [message(request)],
      reply: { channel: of, messages: [message(answer)] },
    },
  };
}

function messages(): Json {
  const binary = { type: 'string', format: 'binary' };
  return {
    BinaryHello: text('the hello of a binary stream', 'BinaryHello'),
    JsonHello: text('the hello of a JSON stream', 'JsonHello'),
    RequestFrame: {
      summary: 'at least one whole request record; all words are little-endian',
      contentType: 'application/octet-stream',
      payload: binary,
      'x-record': {
        header: [
          { bytes: '0-1', meaning: 'opcode', bits: { control: CONTROL_BIT, explain: EXPLAIN_BIT } },
          {
            bytes: '2-3',
            meaning: `words that follow in bits 0-11, version ${RECORD_VERSION} above`,
          },
          { bytes: '4-7', meaning: 'tag, given back with the answer' },
        ],
        records: OPERATIONS.map(recordOf),
      },
    },
    AnswerFrame: {
      summary: 'whole answer records, in the order of the requests; frames need not be the same',
      contentType: 'application/octet-stream',
      payload: binary,
      'x-record': {
        header: [
          { bytes: '0-1', meaning: 'status (r3), signed', statuses: STATUSES },
          { bytes: '2-3', meaning: `words that follow; explained: ${EXPLAIN_WORDS} more` },
          { bytes: '4-7', meaning: "the request's tag" },
        ],
      },
    },
    JsonCalls: text('a call, or an array of calls', 'JsonCalls'),
    JsonAnswers: text('an answer, or an array of answers, as the calls were', 'JsonAnswers'),
  };
}

function text(summary: string, schema: string): Json {
  return { summary, contentType: 'application/json', payload: reference(schema) };
}

function recordOf(operation: Operation): Json {
  const { name, opcode, kind, arguments: args, wordsMin, dataWordsMax, results } = operation;
  return {
    name,
    opcode,
    kind,
    arguments: args.map((argument) => argument.name),
    wordsMin,
    ...(dataWordsMax === 0 ? {} : { dataWordsMax }),
    results,
    flags: operation.flags,
    statuses: operation.statuses,
    meaning: operation.meaning,
  };
}

/** What the messages refer to, and what that refers to. */
function streamSchemas(): Record<string, Json> {
  const all = jsonSchemas();
  const one = (names: readonly string[], more: readonly Json[] = []): Json => {
    const each = { anyOf: [...names.map(reference), ...more] };
    return { anyOf: [each, { type: 'array', items: each }] };
  };
  const names = OPERATIONS.map(({ name }) => name);
  const refused = {
    type: 'object',
    description: 'in the place of an answer, where the call could not be understood',
    required: ['problem'],
    properties: { tag: { type: 'integer' }, problem: reference('Problem') },
  };
  const kept = ['BinaryHello', 'JsonHello', 'Problem', 'Explanation'];
  for (const name of names) kept.push(callName(name), answerName(name));
  return {
    JsonCalls: one(names.map(callName)),
    JsonAnswers: one(names.map(answerName), [refused]),
    ...Object.fromEntries(kept.map((name) => [name, all[name]!])),
  };
}
