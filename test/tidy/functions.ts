/**
 * How long the functions of a file are, by its brackets. It relies on the formatter in one point: a function or method
 * with a name stands at the start of its line.
 */
import type { Masked } from './code.ts';

export interface FunctionSpan {
  readonly line: number;
  readonly lines: number;
}

/** `function name(`, `name(` of a method; the last character is the bracket. */
const NAMED =
  /^[ \t]*(?=\S)(?:export |default |declare |static |async |get |set |override )*(?:function\b ?\*? ?)?\*?([#\w$]*) ?(?:<[^()]*>)?\(/gm;
const ARROW = /=>\s*\{/g;
const NO_FUNCTION = new Set([
  'if',
  'for',
  'while',
  'switch',
  'catch',
  'with',
  'await',
  'return',
  'typeof',
  'super',
]);
/** Groups of tests are headings, not functions. */
const TEST_GROUP = /\b(?:describe|suite)\s*\([^()]*\(\s*\w*\s*\)\s*$/;

/** Every function with a body in braces, from the line of its name (of its arrow, if it has none) to its last. */
export function functionsOf({ code }: Masked): FunctionSpan[] {
  const pairs = matchBrackets(code);
  const spans: FunctionSpan[] = [];
  const add = (start: number, body: number): void => {
    const line = lineAt(code, start);
    spans.push({ line, lines: lineAt(code, pairs.get(body)!) - line + 1 });
  };
  for (const match of code.matchAll(NAMED)) {
    if (NO_FUNCTION.has(match[1]!)) continue;
    const start = match.index + match[0].search(/\S/);
    const body = bodyBehind(code, pairs.get(match.index + match[0].length - 1)! + 1, pairs);
    if (body !== undefined) add(start, body);
  }
  for (const match of code.matchAll(ARROW)) {
    const before = code.slice(Math.max(0, match.index - 200), match.index);
    if (!TEST_GROUP.test(before)) add(match.index, match.index + match[0].length - 1);
  }
  return spans;
}

export function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}

const TYPE_GOES_ON = new Set([':', '|', '&', '<', ',', '=>']);

/** Where the body starts of a function whose parameters end before `from`; undefined: it was a call or has none. */
function bodyBehind(
  code: string,
  from: number,
  pairs: ReadonlyMap<number, number>,
): number | undefined {
  let at = from;
  while (/\s/.test(code[at] ?? '')) at++;
  if (code[at] === '{') return at;
  if (code[at] !== ':') return undefined;
  // The result's type: braces that follow a value are the body, others are part of the type.
  let last = ':';
  for (at++; at < code.length; at++) {
    const letter = code[at]!;
    if (/\s/.test(letter)) continue;
    if (letter === '{' && !TYPE_GOES_ON.has(last)) return at;
    if ('({['.includes(letter)) at = pairs.get(at)!;
    else if (/[;)\]}?]/.test(letter) || (letter === '=' && code[at + 1] !== '>')) return undefined;
    last = letter === '>' && code[at - 1] === '=' ? '=>' : letter;
  }
  return undefined;
}

const CLOSING: Record<string, string> = { '(': ')', '[': ']', '{': '}' };

/** Position of each opening bracket with that of its closing one; throws when the scanner has lost its way. */
function matchBrackets(code: string): Map<number, number> {
  const pairs = new Map<number, number>();
  const open: number[] = [];
  for (let at = 0; at < code.length; at++) {
    const letter = code[at]!;
    if (letter in CLOSING) open.push(at);
    if (!')]}'.includes(letter)) continue;
    const start = open.pop();
    if (start === undefined || CLOSING[code[start]!] !== letter) {
      throw new Error(`the ${letter} in line ${lineAt(code, at)} closes nothing`);
    }
    pairs.set(start, at);
  }
  if (open.length > 0)
    throw new Error(`the bracket in line ${lineAt(code, open[0]!)} is never closed`);
  return pairs;
}
