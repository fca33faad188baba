/**
 * Plain calls: nothing but their arguments, all of them, written as most write them. They are seen to be right at a glance,
 * without a schema, and their words are written as bytes, without a bigint; any other call is a matter of the schema
 * (calls.ts). A glance takes a third of the schema's time and a tenth of its code, which a busy cache notices more
 * (load/README.md); test/schemas/plain-calls.test.ts holds the two together.
 */
import { FLAGS, FLAG_NAMES_MAX, type FlagName } from './flags.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { statusName } from './statuses.ts';
import { hex } from './words.ts';

const WORD_BYTES = 8;
const DIGITS_MAX = 16;

/** Room for the words of any plain call. */
export const PLAIN_WORDS_BYTES =
  WORD_BYTES * Math.max(...OPERATIONS.map((operation) => operation.arguments.length));

/** The words of an answer, little-endian, from `at` on. */
interface Answer {
  readonly status: number;
  readonly words: DataView;
  readonly at: number;
  readonly count: number;
}

/** The words of a plain call go to the beginning of `into`, little-endian: how many. Undefined: the call is not plain. */
export function glance(
  operation: Operation,
  body: Readonly<Record<string, unknown>>,
  into: DataView,
): number | undefined {
  let members = body.hcall === operation.name ? 1 : 0;
  let place = 0;
  for (const { name, kind } of operation.arguments) {
    const value = body[name];
    if (value !== undefined) members++;
    const isPlain =
      kind === 'flags'
        ? writeFlags(operation, value, into, place)
        : typeof value === 'string' && writeWord(value, into, place);
    if (!isPlain) return undefined;
    place += WORD_BYTES;
  }
  return Object.keys(body).length === members ? operation.arguments.length : undefined;
}

/** `0x` and 1 to 16 digits, as WORD_TEXT has it. */
function writeWord(text: string, into: DataView, at: number): boolean {
  const end = text.length;
  if (end < 3 || end > 2 + DIGITS_MAX || !text.startsWith('0x')) return false;
  let high = 0;
  let low = 0;
  for (let i = 2; i < end; i++) {
    const digit = digitOf(text.charCodeAt(i));
    if (digit < 0) return false;
    if (end - i > DIGITS_MAX / 2) high = (high << 4) | digit;
    else low = (low << 4) | digit;
  }
  into.setInt32(at, low, true);
  into.setInt32(at + WORD_BYTES / 2, high, true);
  return true;
}

/** -1: not hexadecimal. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

/** Names of flags that the operation has; none if left out. */
function writeFlags(operation: Operation, value: unknown, into: DataView, at: number): boolean {
  if (value !== undefined && !(Array.isArray(value) && value.length <= FLAG_NAMES_MAX))
    return false;
  let flags = 0n;
  for (const name of value ?? []) {
    if (!operation.flags.includes(name as FlagName)) return false;
    flags = BigInt.asUintN(64, flags | FLAGS[name as FlagName]);
  }
  into.setBigUint64(at, flags, true);
  return true;
}

/** What `renderAnswer` makes of an answer without explanation, as its JSON. */
export function plainAnswer({ name, results }: Operation, answer: Answer): string {
  const { status, count } = answer;
  let text = `{"hcall":"${name}","status":"${statusName(status)}","code":${status}`;
  for (let i = 0; i < count && i < results.length; i++)
    text += `,"${results[i]}":${wordText(answer, i)}`;
  for (let i = results.length; i < count; i++)
    text += `${i === results.length ? ',"data":[' : ','}${wordText(answer, i)}`;
  return count > results.length ? `${text}]}` : `${text}}`;
}

function wordText({ words, at }: Answer, i: number): string {
  return `"${hex(words.getBigUint64(at + WORD_BYTES * i, true))}"`;
}
