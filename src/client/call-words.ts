/**
 * Named arguments to words and words to named results, at the edge where words are bigints. What TypeScript would refuse
 * is refused here too, with a TypeError, because programs in JavaScript call it and because a call of 70 bits must not be sent.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { nearest } from '../../schemas/nearest.ts';
import { type Operation, operationByName, OPERATIONS } from '../../schemas/operations.ts';
import { type AnswerRecord, EXPLAIN_WORDS, type RequestRecord } from '../../schemas/records.ts';
import { explain } from '../../schemas/rules.ts';
import { statusName } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';

export type Fields = Readonly<Record<string, unknown>>;

const WORD_LIMIT = 1n << 64n;

export function operationNamed(name: string): Operation {
  const operation = operationByName(name);
  if (operation !== undefined) return operation;
  const meant = nearest(
    name,
    OPERATIONS.map((row) => row.name),
  );
  throw new TypeError(
    `there is no hcall "${name}"${meant === undefined ? '' : `; did you mean ${meant}?`}`,
  );
}

/** The record of a call; its tag is the sender's to set. */
export function recordOf(operation: Operation, given: Fields): RequestRecord {
  const names = new Set(['hcall', 'explain', ...operation.arguments.map(({ name }) => name)]);
  if (operation.dataWordsMax > 0) names.add('data');
  const strange = Object.keys(given).find((name) => !names.has(name));
  if (strange !== undefined) {
    throw new TypeError(
      `${operation.name} has no argument "${strange}"; it takes ${[...names].slice(1).join(', ')}`,
    );
  }
  const words: bigint[] = [];
  let missing: string | undefined;
  for (const { name, kind } of operation.arguments) {
    const value = kind === 'flags' ? flagsOf(operation, given[name]) : given[name];
    if (value === undefined) missing ??= name;
    else if (missing === undefined) words.push(checkedWord(operation, name, value));
    else throw new TypeError(`${operation.name}: ${missing} is missing, but ${name} is given`);
  }
  if (words.length < operation.wordsMin)
    throw new TypeError(`${operation.name}: ${missing} is missing`);
  words.push(...dataOf(operation, given.data));
  return { opcode: operation.opcode, tag: 0, words, explain: given.explain === true };
}

function dataOf(operation: Operation, data: unknown): bigint[] {
  if (data === undefined) return [];
  if (!Array.isArray(data) || data.length > operation.dataWordsMax) {
    throw new TypeError(
      `${operation.name}: data is an array of at most ${operation.dataWordsMax} words`,
    );
  }
  return data.map((word: unknown, i) => checkedWord(operation, `data[${i}]`, word));
}

function checkedWord(operation: Operation, name: string, value: unknown): bigint {
  if (typeof value === 'bigint' && value >= 0n && value < WORD_LIMIT) return value;
  throw new TypeError(
    `${operation.name}: ${name} is ${String(value)} (${typeof value}); a word is a bigint from 0n to 0xffffffffffffffffn`,
  );
}

function flagsOf(operation: Operation, flags: unknown): unknown {
  if (!Array.isArray(flags)) return flags ?? 0n;
  return flags.reduce<bigint>((word, flag: unknown) => {
    const known = operation.flags.find((name) => name === flag);
    if (known !== undefined) return word | FLAGS[known];
    throw new TypeError(
      `${operation.name} has no flag ${String(flag)}; it takes ${operation.flags.join(', ') || 'a word only'}`,
    );
  }, 0n);
}

/** The answer of a stream, with results by name. */
export function answerOf(operation: Operation, answer: AnswerRecord, explained: boolean): Fields {
  const { words } = answer;
  const status = statusName(answer.status);
  const named: Record<string, unknown> = { hcall: operation.name, status, code: answer.status };
  const end = explained ? Math.max(0, words.length - EXPLAIN_WORDS) : words.length;
  const known = Math.min(end, operation.results.length);
  for (let i = 0; i < known; i++) named[operation.results[i]!] = words[i]!;
  if (end > known) named.data = words.slice(known, end);
  if (explained) named.explanation = explain(words.slice(end), status);
  return named;
}

/** A call as REST takes it. Checked as for a stream. */
export function jsonOf(operation: Operation, given: Fields): Fields {
  recordOf(operation, given);
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      typeof value === 'bigint'
        ? hex(value)
        : name === 'data'
          ? (value as bigint[]).map(hex)
          : value,
    ]),
  );
}

/** An answer of REST with its words as bigints. */
export function answerOfJson(operation: Operation, answer: Fields): Fields {
  const wide: Record<string, unknown> = { ...answer };
  for (const name of operation.results)
    if (wide[name] !== undefined) wide[name] = BigInt(wide[name] as string);
  if (wide.data !== undefined) wide.data = (wide.data as string[]).map(BigInt);
  return wide;
}
