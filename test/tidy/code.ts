/**
 * What the tidy rules know of a source file: its code without comments, strings and patterns, and its imports. A scanner,
 * not a parser: TypeScript 7 offers no stable one, and the engine is AssemblyScript. What is blanked stays as long as it
 * was, so a place found in the masked text is the same place in the file.
 */

/** `code` has comments, patterns and what is between quotes blanked; `uncommented` the comments only. */
export interface Masked {
  readonly code: string;
  readonly uncommented: string;
}

interface Piece {
  readonly kind: 'comment' | 'string' | 'text';
  readonly end: number;
}

export function mask(text: string): Masked {
  const code = text.split('');
  const uncommented = text.split('');
  /** For each open template: how many braces are open in its `${`. */
  const templates: number[] = [];
  for (let at = 0; at < text.length; ) {
    const piece = pieceAt(text, at, code, templates);
    if (piece === undefined) {
      at++;
      continue;
    }
    blank(code, at, piece.end);
    if (piece.kind === 'comment') blank(uncommented, at, piece.end);
    // A string is still something: a type may end with one.
    if (piece.kind === 'string') code[at] = code[piece.end - 1] = text[at]!;
    at = piece.end;
  }
  return { code: code.join(''), uncommented: uncommented.join('') };
}

function blank(letters: string[], from: number, to: number): void {
  for (let i = from; i < to && i < letters.length; i++) if (letters[i] !== '\n') letters[i] = ' ';
}

function pieceAt(
  text: string,
  at: number,
  code: readonly string[],
  templates: number[],
): Piece | undefined {
  const two = text.slice(at, at + 2);
  if (two === '//' || (at === 0 && two === '#!'))
    return { kind: 'comment', end: endOf(text, '\n', at) };
  if (two === '/*') return { kind: 'comment', end: endOf(text, '*/', at + 2) + 2 };
  const letter = text[at];
  if (letter === "'" || letter === '"')
    return { kind: 'string', end: closing(text, at + 1, letter) };
  if (letter === '`') return { kind: 'text', end: templateEnd(text, at + 1, templates) };
  if (letter === '/' && startsPattern(code, at))
    return { kind: 'text', end: patternEnd(text, at + 1) };
  if (templates.length === 0) return undefined;
  if (letter === '{') templates[templates.length - 1]!++;
  if (letter === '}' && templates[templates.length - 1]!-- === 0) {
    templates.pop();
    return { kind: 'text', end: templateEnd(text, at + 1, templates) };
  }
  return undefined;
}

function endOf(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from);
  return found < 0 ? text.length : found;
}

function closing(text: string, from: number, quote: string): number {
  let at = from;
  while (at < text.length && text[at] !== quote && text[at] !== '\n')
    at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The end of a template's text: behind its last quote, or behind the `${` of an expression, which is code. */
function templateEnd(text: string, from: number, templates: number[]): number {
  let at = from;
  while (at < text.length && text[at] !== '`') {
    if (text.startsWith('${', at)) {
      templates.push(0);
      return at + 2;
    }
    at += text[at] === '\\' ? 2 : 1;
  }
  return at + 1;
}

/** A slash begins a pattern where a value may stand, else it divides. */
function startsPattern(code: readonly string[], at: number): boolean {
  const before = code
    .slice(Math.max(0, at - 40), at)
    .join('')
    .trimEnd();
  if (before === '' || /\b(return|typeof|case|in|of)$/.test(before)) return true;
  // Behind a value `!` says that there is one.
  return /[(,=:[&|?{};+\-*%~^<>]$/.test(before) || /(^|[^\w)\]])!$/.test(before);
}

function patternEnd(text: string, from: number): number {
  let inClass = false;
  let at = from;
  while (at < text.length && text[at] !== '\n' && (text[at] !== '/' || inClass)) {
    if (text[at] === '[') inClass = true;
    if (text[at] === ']') inClass = false;
    at += text[at] === '\\' ? 2 : 1;
  }
  return at + 1;
}

export interface Import {
  readonly from: string;
  /** `import('…')`: only when it is needed. */
  readonly lazy: boolean;
  /** `import type`: nothing is left of it at run time. */
  readonly typeOnly: boolean;
}

const STATIC = /^[ \t]*(?:import|export)\b( type\b)?[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/gm;
const BARE = /^[ \t]*import\s*['"]([^'"]+)['"]/gm;
const LAZY = /\bimport\(\s*['"]([^'"]+)['"]/g;
const WORKER = /\bnew Worker\(\s*new URL\(\s*['"]([^'"]+)['"]/g;

/** What a file imports, exports from, or starts as a worker. */
export function importsOf({ uncommented }: Masked): Import[] {
  const rows = (pattern: RegExp, lazy: boolean): Import[] =>
    [...uncommented.matchAll(pattern)].map((match) => ({ from: match[1]!, lazy, typeOnly: false }));
  const statics = [...uncommented.matchAll(STATIC)].map((match) => ({
    from: match[2]!,
    lazy: false,
    typeOnly: match[1] !== undefined,
  }));
  return [...statics, ...rows(BARE, false), ...rows(LAZY, true), ...rows(WORKER, false)];
}
