/**
 * Calls and answers in JSON, generated from the table of operations: what REST takes in a body and
 * the JSON stream in a message, and what both answer.
 *
 *   {"hcall": "H_ENTER", "flags": ["H_EXACT"], "ptex": "0x190b8", "pteh": "0x…", "ptel": "0x…"}
 *   {"hcall": "H_ENTER", "status": "H_SUCCESS", "code": 0, "ptex": "0x190b8"}
 *
 * One schema an operation is built when this file is loaded. A plain call is seen to be right at a glance (plain-calls.ts);
 * any other costs one pass of zod, whose findings call-problems.ts puts into words.
 */
import { z } from 'zod';
import { callRefused, hcallUnknown, inBatch } from './call-problems.ts';
import { FLAG_NAMES_MAX, FLAGS, type FlagName } from './flags.ts';
import { BATCH_HCALLS_MAX } from './limits.ts';
import { OPERATIONS, type Argument, type Operation } from './operations.ts';
import { glance, PLAIN_WORDS_BYTES } from './plain-calls.ts';
import { problem, shortened } from './problems.ts';
import { EXPLAIN_WORDS, type AnswerRecord, type RequestRecord } from './records.ts';
import { explain, type Explanation } from './rules.ts';
import { statusName } from './statuses.ts';
import { hex, word } from './words.ts';

export interface CallOptions {
  /** Control operations are allowed beside the hcalls. */
  readonly control?: boolean;
}

export interface ParsedCall {
  readonly operation: Operation;
  readonly record: RequestRecord;
  /** The tag, if the call had one: the answer gives it back. The record's is 0 without. */
  readonly tag: number | undefined;
}

export type JsonAnswer = {
  hcall: string;
  status: string;
  code: number;
  data?: string[];
  explanation?: Explanation;
} & { [result: string]: unknown };

/** Words as JSON has them; they become bigints behind the schema, where it costs no second pass. */
const jsonWord = word.in;

function argumentSchema(operation: Operation, argument: Argument, index: number): z.ZodType {
  if (argument.kind === 'flags') {
    const names = operation.flags.length === 0 ? z.never() : z.enum(operation.flags as [FlagName]);
    return z
      .union([z.array(names).max(FLAG_NAMES_MAX), jsonWord])
      .optional()
      .describe(`${argument.meaning}: names of flags or a word; none if left out`);
  }
  const schema = jsonWord.describe(argument.meaning);
  return index < operation.wordsMin ? schema : schema.optional();
}

function schemaOf(operation: Operation): z.ZodObject {
  const shape: Record<string, z.ZodType> = {
    hcall: z
      .literal(operation.name)
      .optional()
      .describe('the operation, where the address does not name it'),
    tag: z
      .int()
      .min(0)
      .max(0xffffffff)
      .optional()
      .describe('chosen by the client, given back with the answer'),
    explain: z.boolean().optional().describe('answer which rule decided, and why'),
  };
  operation.arguments.forEach((argument, index) => {
    shape[argument.name] = argumentSchema(operation, argument, index);
  });
  if (operation.dataWordsMax > 0) {
    shape.data = z.array(jsonWord).max(operation.dataWordsMax).optional().describe('words of data');
  }
  return z.strictObject(shape);
}

interface Parser {
  readonly operation: Operation;
  readonly schema: z.ZodObject;
}

const PARSERS: ReadonlyMap<string, Parser> = new Map(
  OPERATIONS.map((operation) => [operation.name, { operation, schema: schemaOf(operation) }]),
);

/** What a call of this operation looks like, for documents. */
export function callSchema(name: string): z.ZodObject | undefined {
  return PARSERS.get(name)?.schema;
}

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(body: unknown): body is Fields {
  return typeof body === 'object' && body !== null && !Array.isArray(body);
}

/**
 * Reads a call. `name` is the operation where the address names it; otherwise the body's `hcall`
 * does. Throws ProblemError: body-invalid, hcall-unknown, argument-invalid, flag-unknown,
 * field-unknown.
 */
export function parseCall(body: unknown, name?: string, options: CallOptions = {}): ParsedCall {
  if (!isFields(body)) throw problem('body-invalid', 'a call is a JSON object');
  const wanted = name ?? body.hcall;
  if (typeof wanted !== 'string') {
    const message = wanted === undefined ? 'is missing; it names the hcall' : 'is not a string';
    throw problem('argument-invalid', `hcall ${message}`, { errors: [{ path: 'hcall', message }] });
  }
  const parser = PARSERS.get(wanted);
  if (parser === undefined || (parser.operation.kind === 'control' && options.control !== true)) {
    throw hcallUnknown(wanted, options.control === true);
  }
  const { operation } = parser;
  const plain = plainRecord(operation, body);
  if (plain !== undefined) return { operation, record: plain, tag: undefined };
  const parsed = parser.schema.safeParse(body);
  if (!parsed.success) throw callRefused(operation, body, parsed.error.issues);
  return {
    operation,
    record: recordOf(operation, parsed.data),
    tag: parsed.data.tag as number | undefined,
  };
}

/** Room for the words of any plain call, until they are copied. */
const glanced = new DataView(new ArrayBuffer(PLAIN_WORDS_BYTES));

function plainRecord(operation: Operation, body: Fields): RequestRecord | undefined {
  const count = glance(operation, body, glanced);
  if (count === undefined) return undefined;
  const words: bigint[] = [];
  for (let i = 0; i < count; i++) words.push(glanced.getBigUint64(8 * i, true));
  return { opcode: operation.opcode, tag: 0, words, explain: false };
}

function recordOf(operation: Operation, fields: Fields): RequestRecord {
  const words = argumentWords(operation, fields);
  if (operation.dataWordsMax > 0 && fields.data !== undefined) {
    for (const value of fields.data as (string | number)[]) words.push(BigInt(value));
  }
  return {
    opcode: operation.opcode,
    tag: (fields.tag as number | undefined) ?? 0,
    words,
    explain: fields.explain === true,
  };
}

/**
 * The words up to the last argument given. An argument left out before one that is there is a gap.
 */
function argumentWords(operation: Operation, fields: Fields): bigint[] {
  const words: bigint[] = [];
  let gap: Argument | undefined;
  for (const argument of operation.arguments) {
    const value = fields[argument.name];
    if (argument.kind === 'flags') {
      words.push(flagsOf(value as readonly FlagName[] | string | number | undefined));
    } else if (value === undefined) {
      gap ??= argument;
    } else if (gap !== undefined) {
      const message = `is missing, though ${argument.name} behind it is given`;
      throw problem('argument-invalid', `${operation.name}: ${gap.name} ${message}`, {
        errors: [{ path: gap.name, message }],
      });
    } else {
      words.push(BigInt(value as string | number));
    }
  }
  return words;
}

function flagsOf(value: readonly FlagName[] | string | number | undefined): bigint {
  if (value === undefined) return 0n;
  if (typeof value !== 'object') return BigInt(value);
  let flags = 0n;
  for (const name of value) flags |= FLAGS[name];
  return flags;
}

/**
 * Reads a batch, `{"calls": [{"hcall": …}, …]}`: hcalls only. One bad call refuses them all, with
 * its index; whatever is wrong with it is then a matter of the body's content (422), an unknown
 * hcall too.
 */
export function parseBatch(body: unknown): ParsedCall[] {
  if (!isFields(body))
    throw problem('body-invalid', 'a batch is a JSON object with the member `calls`');
  const { calls } = body;
  if (!Array.isArray(calls) || calls.length === 0) {
    const message = calls === undefined ? 'is missing' : 'is not an array of at least one call';
    throw problem('argument-invalid', `calls ${message}`, { errors: [{ path: 'calls', message }] });
  }
  if (calls.length > BATCH_HCALLS_MAX) {
    throw problem(
      'batch-too-large',
      `${calls.length} calls; at most ${BATCH_HCALLS_MAX} fit in a batch`,
    );
  }
  const strange = Object.keys(body).find((key) => key !== 'calls');
  if (strange !== undefined) {
    throw problem(
      'field-unknown',
      `a batch has no member ${shortened(JSON.stringify(strange))}; it has calls`,
      {
        errors: [{ path: shortened(strange), message: 'is not known' }],
      },
    );
  }
  return calls.map((call, index) => {
    try {
      return parseCall(call);
    } catch (error) {
      throw inBatch(error, index);
    }
  });
}

/** An answer in JSON: results by name, words behind the named ones as `data`. */
export function renderAnswer(
  operation: Operation,
  answer: AnswerRecord,
  explained: boolean,
): JsonAnswer {
  const { words } = answer;
  const { results } = operation;
  const rendered: JsonAnswer = {
    hcall: operation.name,
    status: statusName(answer.status),
    code: answer.status,
  };
  const end = explained ? Math.max(0, words.length - EXPLAIN_WORDS) : words.length;
  const named = Math.min(end, results.length);
  for (let i = 0; i < named; i++) rendered[results[i]!] = hex(words[i]!);
  if (end > named) rendered.data = words.slice(named, end).map(hex);
  if (explained) rendered.explanation = explain(words.slice(end), rendered.status);
  return rendered;
}
