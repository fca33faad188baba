/**
 * The OpenAPI 3.1 document of the HTTP interface, from the table of routes. Pure; kept in the tree as docs/openapi.json.
 *
 * Each hcall and each control operation has an address of its own in it, with its own body and answer, though the daemon
 * has one route for all: who reads the document wants to know what H_ENTER takes, not that hcalls take something.
 */
import { HCALLS, OPERATIONS, type Operation } from '../../schemas/operations.ts';
import { PROBLEMS, type ProblemCode } from '../../schemas/problems.ts';
import {
  PATH_PARAMETERS,
  TAGS,
  type Answer,
  type Parameter,
  type Route,
} from '../../schemas/route.ts';
import { ANYWHERE, ROUTES } from '../../schemas/routes.ts';
import {
  answerName,
  callName,
  inlineSchema,
  type Json,
  jsonSchemas,
  reference,
} from './json-schemas.ts';

export function openApi(version: string): Json {
  return {
    openapi: '3.1.1',
    info: {
      title: 'hptd',
      version,
      summary: "a POWER guest's hashed page table and its hypercalls as a networked daemon",
      description: [
        "An hcall's status is an answer: HTTP says 200 whatever it is. What is wrong with a request itself comes as",
        'application/problem+json with a stable `code`, and its `type` leads to a page that says what to do.',
        `Any address may also answer ${ANYWHERE.join(', ')}.`,
        'Words of 64 bits are "0x…" strings; numbers are taken too where they are exact. Under /v1 members are added, never',
        'taken away: do not stumble over one that you do not know.',
      ].join(' '),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      { url: 'http://127.0.0.1:7808', description: 'where the daemon listens unless told' },
    ],
    // Whether a token is wanted depends on how the daemon was started.
    security: [{}, { token: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: paths(),
    components: {
      schemas: httpSchemas(),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'hptd_NAME_SECRET, for a daemon with an access file. GET needs the scope read, hcalls need hcalls:GUEST, the rest admin.',
        },
      },
    },
  };
}

/** The hellos travel over the stream only. */
function httpSchemas(): Record<string, Json> {
  const { BinaryHello: _binary, JsonHello: _json, ...schemas } = jsonSchemas();
  return schemas;
}

function paths(): Json {
  const found: Record<string, Json> = {};
  for (const route of ROUTES) {
    for (const [path, operation] of addresses(route))
      (found[path] ??= {})[route.method.toLowerCase()] = describe(route, path, operation);
  }
  return found;
}

/** One address, or one for each operation that the route stands for. */
function addresses({ path, each }: Route): [path: string, operation?: Operation][] {
  if (each === undefined) return [[path]];
  return (each === 'hcall' ? HCALLS : OPERATIONS.filter(({ kind }) => kind === 'control')).map(
    (operation) => [path.replace('{name}', operation.name), operation],
  );
}

function describe(route: Route, path: string, operation: Operation | undefined): Json {
  const { body, query = [] } = route;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name!,
    ...PATH_PARAMETERS[name!]!,
    required: true,
  }));
  const parameters = [
    ...inPath.map((row) => parameter(row, 'path')),
    ...query.map((row) => parameter(row, 'query')),
  ];
  return {
    operationId: operation === undefined ? route.id : `${route.id}_${operation.name}`,
    tags: [route.tag],
    summary: operation === undefined ? route.summary : operation.meaning,
    ...(operation === undefined ? {} : { description: operationText(operation) }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: operation === undefined || operation.wordsMin > 0,
            content: content(body, operation, callName),
          },
        }),
    responses: { ...answers(route, operation), ...refusals(route.problems) },
  };
}

function operationText({ opcode, kind, flags, statuses, source }: Operation): string {
  const what = kind === 'hcall' ? 'hcall' : 'control operation';
  return [
    `${what} 0x${opcode.toString(16)}.`,
    ...(flags.length === 0 ? [] : [`Flags: ${flags.join(', ')}.`]),
    `Statuses: ${statuses.join(', ')}.`,
    `Source: ${source}.`,
  ].join(' ');
}

function parameter({ name, meaning, schema, required }: Parameter, where: 'path' | 'query'): Json {
  return { name, in: where, required, description: meaning, schema: inlineSchema(schema) };
}

function answers(route: Route, operation: Operation | undefined): Json {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, answer]: [string, Answer]) => [
      status,
      {
        description: answer.meaning,
        ...(answer.content === undefined
          ? {}
          : { content: content(answer.content, operation, answerName) }),
      },
    ]),
  );
}

/** `what`: a media type, `call`, or the name of a schema. */
function content(
  what: string,
  operation: Operation | undefined,
  named: (operation: string) => string,
): Json {
  if (what.includes('/')) return { [what]: {} };
  const name = what === 'call' ? named(operation!.name) : what;
  return { 'application/json': { schema: reference(name) } };
}

/** Problems come by their HTTP status, so several share a response. */
function refusals(codes: readonly ProblemCode[]): Json {
  const byStatus = Map.groupBy(new Set(codes), (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, sharing]) => [
      String(status),
      {
        description: sharing.map((code) => `${code}: ${PROBLEMS[code].title}`).join('; '),
        content: { 'application/problem+json': { schema: reference('Problem') } },
      },
    ]),
  );
}
