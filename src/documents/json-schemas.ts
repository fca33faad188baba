/**
 * The JSON schemas behind both documents, by name: bodies and calls as they are sent, answers as they come. Pure.
 */
import { z } from 'zod';
import { ANSWERS, CALL_ANSWERS } from '../../schemas/answers.ts';
import { callSchema } from '../../schemas/calls.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import { BODIES } from '../../schemas/route.ts';
import { binaryHello, jsonHello } from '../../schemas/stream.ts';

export type Json = { [member: string]: unknown };

const COMPONENTS = '#/components/schemas/';

export function reference(name: string): Json {
  return { $ref: `${COMPONENTS}${name}` };
}

export const callName = (operation: string): string => `${operation}.call`;
export const answerName = (operation: string): string => `${operation}.answer`;

/** Every schema that a document may refer to. */
export function jsonSchemas(): Record<string, Json> {
  const calls = OPERATIONS.map(({ name }) => [callName(name), callSchema(name)!] as const);
  const answers = [...CALL_ANSWERS].map(([name, schema]) => [answerName(name), schema] as const);
  return {
    ...converted([...Object.entries(BODIES), ...calls], 'input'),
    ...converted(
      [
        ...Object.entries(ANSWERS),
        ...answers,
        ['BinaryHello', binaryHello],
        ['JsonHello', jsonHello],
      ],
      'output',
    ),
  };
}

/** A schema by itself, for a parameter. */
export function inlineSchema(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' }) as Json;
  return rest;
}

function converted(
  named: readonly (readonly [string, z.ZodType])[],
  io: 'input' | 'output',
): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of named) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io,
    uri: (id) => `${COMPONENTS}${id}`,
    override: io === 'output' ? loosen : () => {},
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _dialect, $id: _id, ...schema }]) => [
      id,
      schema as Json,
    ]),
  );
}

/**
 * Answers only grow: who reads one must not stumble over a member that came later. And that a JSON number is exact up to
 * 2^53 is no bound that the daemon sets.
 */
function loosen({ jsonSchema }: { jsonSchema: Json }): void {
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}
