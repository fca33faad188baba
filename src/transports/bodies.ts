/**
 * The JSON body of a request that is not a call, checked against its schema; what is wrong with it as a problem that
 * names every member at fault. Main thread.
 */
import type { z } from 'zod';
import { nearest } from '../../schemas/nearest.ts';
import { problem, shortened, type ProblemPart } from '../../schemas/problems.ts';

/** Findings beyond these help nobody. */
const PARTS_MAX = 16;

/** Throws body-invalid, field-unknown or argument-invalid. A body that is left out is an empty object. */
export function readBody<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  body: unknown,
): z.output<z.ZodObject<Shape>> {
  const given = body ?? {};
  if (typeof given !== 'object' || Array.isArray(given))
    throw problem('body-invalid', 'the body is a JSON object');
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys');
  const parts =
    unknown === undefined
      ? issues.slice(0, PARTS_MAX).map((issue) => partOf(schema, given as Fields, issue))
      : unknown.keys.slice(0, PARTS_MAX).map((key) => unknownPart(schema, key));
  const detail = `${parts[0]!.path} ${parts[0]!.message}`;
  throw problem(unknown === undefined ? 'argument-invalid' : 'field-unknown', detail, {
    errors: parts,
  });
}

type Fields = Record<string, unknown>;

function unknownPart(schema: z.ZodObject, key: string): ProblemPart {
  const known = Object.keys(schema.shape);
  const meant = nearest(key, known);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return {
    path: shortened(key),
    message: `is not known; there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}${hint}`,
  };
}

function partOf(schema: z.ZodObject, given: Fields, issue: z.core.$ZodIssue): ProblemPart {
  const member = String(issue.path[0]);
  const value = given[member];
  const fault = value === undefined ? 'is missing' : `is ${shortened(JSON.stringify(value))}`;
  const wanted = (schema.shape[member] as z.ZodType | undefined)?.description ?? issue.message;
  return { path: member, message: `${fault}; wanted: ${wanted}` };
}
