/**
 * Says precisely what is wrong with a call that its schema refused. Runs only then, so it may take
 * its time: it looks at the value itself, because a schema's "invalid input" helps nobody.
 */
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { OPERATIONS, type Argument, type Operation } from './operations.ts';
import {
  ProblemError,
  problem,
  shortened,
  type ProblemCode,
  type ProblemPart,
} from './problems.ts';
import { hex } from './words.ts';

type Fields = Record<string, unknown>;
type Finding = ProblemPart & { code: ProblemCode };

/** A wrong name explains a missing argument, so it is told first. */
const ORDER: readonly ProblemCode[] = ['field-unknown', 'flag-unknown', 'argument-invalid'];
/** Longer bodies of errors help nobody. */
const FINDINGS_MAX = 16;

export function hcallUnknown(name: string, control: boolean): ProblemError {
  const shown = show(name);
  if (OPERATIONS.some((row) => row.name === name)) {
    return problem(
      'hcall-unknown',
      `${shown} is a control operation: a host makes it, not the guest`,
    );
  }
  const known = OPERATIONS.filter((row) => control || row.kind === 'hcall').map((row) => row.name);
  const meant = nearest(name, known);
  const hint = meant === undefined ? `there are ${known.join(', ')}` : `did you mean ${meant}?`;
  return problem(
    'hcall-unknown',
    `there is no ${control ? 'operation' : 'hcall'} ${shown}; ${hint}`,
  );
}

/**
 * The problem with a call, from what zod found: every finding in `errors`, the most telling one in
 * `detail`.
 */
export function callRefused(
  operation: Operation,
  body: Fields,
  issues: readonly z.core.$ZodIssue[],
): ProblemError {
  const findings = firstOfEachField(issues)
    .flatMap((issue) => findingsOf(operation, body, issue))
    .slice(0, FINDINGS_MAX);
  findings.sort((a, b) => ORDER.indexOf(a.code) - ORDER.indexOf(b.code));
  const first = findings[0]!;
  const more = findings.length === 1 ? '' : ` (and ${findings.length - 1} more, see errors)`;
  return problem(first.code, `${operation.name}: ${first.path} ${first.message}${more}`, {
    errors: findings.map(({ path, message }) => ({ path, message })),
  });
}

/** An array of data may hold a hundred thousand faults, and one finding speaks for its field. */
function firstOfEachField(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return [
    ...new Map(issues.toReversed().map((issue) => [issue.path[0], issue])).values(),
  ].toReversed();
}

/** The same problem as part of a batch. */
export function inBatch(error: unknown, index: number): unknown {
  if (!(error instanceof ProblemError)) return error;
  const at = `calls[${index}]`;
  const parts = error.errors ?? [
    { path: error.code === 'hcall-unknown' ? 'hcall' : '', message: error.detail },
  ];
  return problem(error.status === 422 ? error.code : 'argument-invalid', `${at}: ${error.detail}`, {
    errors: parts.map((part) => ({ ...part, path: part.path === '' ? at : `${at}.${part.path}` })),
  });
}

function findingsOf(operation: Operation, body: Fields, issue: z.core.$ZodIssue): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, FINDINGS_MAX).map((key) => ({
      code: 'field-unknown',
      path: shortened(key),
      message: unknownField(operation, key),
    }));
  }
  const field = String(issue.path[0]);
  const value = body[field];
  const argument = operation.arguments.find((row) => row.name === field);
  if (argument?.kind === 'flags') return flagFindings(operation, value);
  if (field === 'data') return dataFindings(operation, value);
  const message =
    argument === undefined ? memberMessage(operation, field, value) : wordMessage(value, argument);
  return [{ code: 'argument-invalid', path: field, message }];
}

function unknownField(operation: Operation, key: string): string {
  const known = operation.arguments.map((row) => row.name);
  if (operation.dataWordsMax > 0) known.push('data');
  known.push('explain');
  const meant = nearest(key, known);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return `is no member of this call, which takes ${known.join(', ')}${hint}`;
}

function memberMessage(operation: Operation, field: string, value: unknown): string {
  if (field === 'hcall') return `is ${show(value)}, but the address says ${operation.name}`;
  if (field === 'tag') return `is ${show(value)}; a tag is a number from 0 to 4294967295`;
  return `is ${show(value)}; it may be true or false`;
}

function flagFindings(operation: Operation, value: unknown): Finding[] {
  if (!Array.isArray(value)) {
    const message = wordMessage(value) + '; flags are an array of names, or a word';
    return [{ code: 'argument-invalid', path: 'flags', message }];
  }
  const takes =
    operation.flags.length === 0
      ? `${operation.name} takes no flags`
      : `${operation.name} takes ${operation.flags.join(', ')}`;
  const findings: Finding[] = [];
  value.slice(0, 64).forEach((flag: unknown, i) => {
    if (operation.flags.some((known) => known === flag)) return;
    const meant = typeof flag === 'string' ? nearest(flag, operation.flags) : undefined;
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    const message = `is ${show(flag)}, but ${takes}${hint}`;
    findings.push({ code: 'flag-unknown', path: `flags[${i}]`, message });
  });
  if (findings.length > 0) return findings;
  return [
    {
      code: 'argument-invalid',
      path: 'flags',
      message: `has ${value.length} names, more than there are bits`,
    },
  ];
}

function dataFindings(operation: Operation, value: unknown): Finding[] {
  const invalid = (path: string, message: string): Finding => ({
    code: 'argument-invalid',
    path,
    message,
  });
  if (!Array.isArray(value)) return [invalid('data', `is ${show(value)}; it is an array of words`)];
  if (value.length > operation.dataWordsMax) {
    return [
      invalid('data', `has ${value.length} words; at most ${operation.dataWordsMax} are taken`),
    ];
  }
  const at = value.findIndex((item) => wordFault(item) !== undefined);
  return [invalid(`data[${at}]`, wordMessage(value[at]))];
}

/** What is wrong with the value of an argument, and what it may be. */
function wordMessage(value: unknown, argument?: Argument): string {
  const fault = wordFault(value) ?? `is ${show(value)}`;
  return argument === undefined ? fault : `${fault}; wanted: ${argument.meaning}, a "0x…" word`;
}

const FORM =
  'a word is "0x" and 1 to 16 hexadecimal digits, or a number from 0 to 9007199254740991';

/** Why the value is no 64-bit word; undefined if it is one. */
export function wordFault(value: unknown): string | undefined {
  if (value === undefined) return 'is missing';
  if (typeof value === 'number') return numberFault(value);
  if (typeof value !== 'string') return `is ${show(value)}; ${FORM}`;
  if (/^0x[0-9a-fA-F]{1,16}$/.test(value)) return undefined;
  if (/^\s*-/.test(value))
    return `is ${show(value)}; words are unsigned: write -1 as "0xffffffffffffffff"`;
  if (/^0x[0-9a-fA-F]{17,}$/.test(value)) {
    return `is ${show(value)}, ${value.length - 2} hexadecimal digits; a word has 64 bits, 16 digits`;
  }
  if (/^[0-9]{1,19}$/.test(value))
    return `is ${show(value)}, a decimal string; write "${hex(BigInt(value))}"`;
  return `is ${show(value)}; ${FORM}`;
}

function numberFault(value: number): string | undefined {
  if (value < 0) return `is ${value}; words are unsigned: write -1 as "0xffffffffffffffff"`;
  if (!Number.isInteger(value)) return `is ${value}; words are whole numbers`;
  if (!Number.isSafeInteger(value)) {
    return `is ${value}; JSON numbers above 9007199254740991 are not exact: write a "0x…" string`;
  }
  return undefined;
}

/** A value in a message, as JSON. */
function show(value: unknown): string {
  const text = typeof value === 'bigint' ? `${value}n` : JSON.stringify(value);
  return shortened(text ?? String(value));
}
