/**
 * A module's branches in WebAssembly's text format, which is lists of words and lists: enough to find each `if` and `br_if`, put
 * something around its condition, or write a hint before it. What else a module holds is passed on as it is.
 */

/** A word, or a list in parentheses. */
export type Expression = string | Expression[];

/** `if` or `br_if`. */
export interface Branch {
  readonly list: Expression[];
  /** Where in the list its condition is. */
  readonly condition: number;
}

/** SPEC: WebAssembly Code Metadata, "Branch Hints": is the condition likely to be true? */
export type Hint = 'likely' | 'unlikely';

const HINT_BYTES = { likely: '\\01', unlikely: '\\00' } as const;

/** Annotations and comments, which are left out; strings; parentheses; words. */
const TOKENS = /\(@[^)]*\)|;;[^\n]*|"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+/g;

/** The module's list. */
export function parseModule(text: string): Expression[] {
  const outermost: Expression[] = [];
  const open = [outermost];
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === ')') open.pop();
    else if (token === '(') {
      const list: Expression[] = [];
      open.at(-1)!.push(list);
      open.push(list);
    } else if (!token.startsWith(';;') && !token.startsWith('(@')) open.at(-1)!.push(token);
  }
  return outermost[0] as Expression[];
}

/** In the order in which they stand in the text. */
export function branchesOf(expression: Expression, found: Branch[] = []): Branch[] {
  if (typeof expression === 'string') return found;
  if (expression[0] === 'if')
    found.push({ list: expression, condition: expression.findIndex(isCondition) });
  if (expression[0] === 'br_if') found.push({ list: expression, condition: expression.length - 1 });
  for (const part of expression) branchesOf(part, found);
  return found;
}

/** Of an `if`: its first list that is not its type. */
function isCondition(part: Expression): boolean {
  return typeof part !== 'string' && part[0] !== 'result' && part[0] !== 'type';
}

export function printModule(
  expression: Expression,
  hints: ReadonlyMap<Expression, Hint> = new Map(),
): string {
  if (typeof expression === 'string') return expression;
  const hint = hints.get(expression);
  const annotation = hint && `(@metadata.code.branch_hint "${HINT_BYTES[hint]}") `;
  return `${annotation ?? ''}(${expression.map((part) => printModule(part, hints)).join(' ')})`;
}
