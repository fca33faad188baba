/**
 * The documents that describe hptd: valid, as the tree has them, and complete. What they say of the routes is held to real
 * answers in routes.test.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import { OPERATIONS } from '../../schemas/operations.ts';
import { PROBLEM_CODES } from '../../schemas/problems.ts';
import { ANYWHERE } from '../../schemas/routes.ts';
import { CLOSE_CODES } from '../../schemas/stream.ts';
import { asyncApi } from '../../src/documents/asyncapi.ts';
import { FILES } from '../../src/documents/files.ts';
import type { Json } from '../../src/documents/json-schemas.ts';
import { openApi } from '../../src/documents/openapi.ts';
import { VERSION } from '../../src/operations/version.ts';
import { lineDifference } from './difference.ts';

const OPENAPI = openApi(VERSION);
const ASYNCAPI = asyncApi(VERSION);

for (const { path, make } of FILES) {
  test(`${path} is what the tables say`, () => {
    const kept = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
    const difference = lineDifference(kept, make(VERSION));
    assert.equal(difference, '', `${path} is stale: "npm run documents" writes it\n${difference}`);
  });
}

test('the OpenAPI document is valid OpenAPI 3.1', async () => {
  const verdict = await new Validator().validate(structuredClone(OPENAPI));
  assert.deepEqual(verdict.errors ?? [], []);
  assert.equal(verdict.valid, true);
});

test('the AsyncAPI document is valid AsyncAPI 3.0', () => {
  const schema = createRequire(import.meta.url)(
    '@asyncapi/specs/schemas/3.0.0-without-$id.json',
  ) as Json;
  const check = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  check(ASYNCAPI);
  assert.deepEqual(check.errors ?? [], []);
});

for (const [name, document] of [
  ['OpenAPI', OPENAPI],
  ['AsyncAPI', ASYNCAPI],
] as const) {
  test(`every reference of the ${name} document leads somewhere in it, and every schema is used`, () => {
    const used = new Set<string>();
    for (const { key, value } of members(document)) {
      if (key !== '$ref') continue;
      assert.notEqual(at(document, String(value)), undefined, String(value));
      used.add(String(value));
    }
    const { schemas } = document.components as { schemas: Json };
    const unused = Object.keys(schemas).filter((id) => !used.has(`#/components/schemas/${id}`));
    assert.deepEqual(unused, []);
  });

  test(`no schema of the ${name} document lost its type`, () => {
    const { schemas } = document.components as { schemas: Record<string, Json> };
    for (const [id, schema] of Object.entries(schemas)) {
      for (const { key, value, path } of members(schema)) {
        if (!path.endsWith('/properties') || typeof value !== 'object') continue;
        const said = Object.keys(value as Json).filter((member) => member !== 'description');
        assert.notEqual(said.length, 0, `${id}: ${key} may be anything`);
      }
    }
  });
}

test('every operation has its address, its call and its answer', () => {
  const paths = OPENAPI.paths as Record<string, { post: Json }>;
  for (const { name, kind, arguments: args } of OPERATIONS) {
    const folder = kind === 'hcall' ? 'hcalls' : 'control';
    const body = paths[`/v1/guests/{guest}/${folder}/${name}`]?.post.requestBody;
    assert.ok(JSON.stringify(body).includes(`"#/components/schemas/${name}.call"`), name);
    const call = (OPENAPI.components as { schemas: Record<string, { properties: Json }> }).schemas[
      `${name}.call`
    ]!;
    for (const argument of args) assert.ok(argument.name in call.properties, argument.name);
  }
});

test('every problem is documented, where it comes or as one that any address may answer', () => {
  const said = JSON.stringify(OPENAPI.paths);
  const missing = PROBLEM_CODES.filter(
    (code) => !ANYWHERE.includes(code) && !said.includes(`${code}: `),
  );
  assert.deepEqual(missing, []);
});

test('the stream document has every record and every close code', () => {
  const { channels, components } = ASYNCAPI as {
    channels: Record<string, Json>;
    components: { messages: Record<string, Record<string, { records: { name: string }[] }>> };
  };
  for (const channel of Object.values(channels))
    assert.deepEqual(channel['x-close-codes'], CLOSE_CODES);
  const records = components.messages['RequestFrame']!['x-record']!.records;
  assert.deepEqual(
    records.map(({ name }) => name),
    OPERATIONS.map(({ name }) => name),
  );
});

test('names and paths in the documents are each there once', () => {
  const ids = Object.values(OPENAPI.paths as Record<string, Record<string, Json>>)
    .flatMap((methods) => Object.values(methods))
    .map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length);
});

interface Member {
  readonly key: string;
  readonly value: unknown;
  /** Of what the member stands in. */
  readonly path: string;
}

function* members(value: unknown, path = ''): Generator<Member> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inside] of Object.entries(value)) {
    yield { key, value: inside, path };
    yield* members(inside, `${path}/${key}`);
  }
}

/** What a reference inside the document means. */
function at(document: Json, reference: string): unknown {
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>((inside, key) => (inside as Json | undefined)?.[key], document);
}
