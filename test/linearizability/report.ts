/**
 * A history that cannot be, made small enough to read, and kept whole in a file.
 *
 * Nothing is taken away that the impossibility might come from: the report starts with the tables that were possible
 * when the impossible call was invoked, and has every call beside it that shares a slot with it, or with one that does.
 * Only calls that change nothing are left out, and only while the rest is still impossible.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STATUSES } from '../../schemas/statuses.ts';
import { advance, slotsTouched, openSearch } from './checker.ts';
import type { Checked, Search } from './checker.ts';
import type { Configuration } from './configuration.ts';
import { answerText, eventsOf, requestText, rowOf } from './history.ts';
import type { History, Row } from './history.ts';
import { EMPTY, stateText } from './slot-states.ts';

const BEFORE_SHOWN = 12;
const TABLES_SHOWN = 6;

export interface Excerpt {
  readonly history: History;
  readonly impossible: number;
  /** What is possible at its invocation. */
  readonly start: Search;
  /** Slots that have to do with it. */
  readonly slots: readonly number[];
  /** Calls beside it that count, itself among them. */
  readonly beside: readonly number[];
  /** Calls on those slots that had ended before. */
  readonly before: readonly number[];
}

export function excerptOf(history: History, checked: Checked, impossible: number): Excerpt {
  const start = searchUntil(history, checked, history.invoked[impossible]!);
  const end = history.responded[impossible]!;
  const all = [...history.thread.keys()];
  const window = all.filter(
    (call) =>
      history.responded[call]! >= history.invoked[impossible]! && history.invoked[call]! <= end,
  );
  const slots = slotsWith(start, window, impossible);
  const touches = (call: number) => slotsOfCall(start, call).some((slot) => slots.includes(slot));
  const needed = window.filter((call) => call === impossible || touches(call));
  const droppable = needed.filter((call) => call !== impossible && changesNothing(history, call));
  const dropped = drop(droppable, (without) => isImpossible(history, checked, impossible, without));
  const byTime = (a: number, b: number) => history.invoked[a]! - history.invoked[b]!;
  const before = all
    .filter((call) => history.responded[call]! < history.invoked[impossible]!)
    .filter((call) => touches(call) && !changesNothing(history, call))
    .sort((a, b) => history.responded[a]! - history.responded[b]!);
  return {
    history,
    impossible,
    start,
    slots,
    beside: needed.filter((call) => !dropped.has(call)).sort(byTime),
    before: before.slice(-BEFORE_SHOWN),
  };
}

/** The search, as it stands before a stamp; `without` these calls. */
function searchUntil(
  history: History,
  checked: Checked,
  stamp: number,
  without: ReadonlySet<number> = new Set(),
): Search {
  const search = openSearch(history, checked);
  for (const event of eventsOf(history)) {
    const call = event >> 1;
    const at = (event & 1) === 0 ? history.invoked[call]! : history.responded[call]!;
    if (at >= stamp) break;
    if (!without.has(call)) advance(search, event);
  }
  return search;
}

function isImpossible(
  history: History,
  checked: Checked,
  impossible: number,
  without: ReadonlySet<number>,
): boolean {
  const end = history.responded[impossible]!;
  const search = searchUntil(history, checked, end, without);
  return !advance(search, 2 * impossible + 1);
}

/** The greatest part that can go, found by halves. */
function drop(
  calls: readonly number[],
  stays: (without: ReadonlySet<number>) => boolean,
): ReadonlySet<number> {
  let dropped: ReadonlySet<number> = new Set();
  for (let size = calls.length; size >= 1; size >>= 1) {
    for (let from = 0; from < calls.length; from += size) {
      const more = new Set([...dropped, ...calls.slice(from, from + size)]);
      if (more.size > dropped.size && stays(more)) dropped = more;
    }
    if (size > 1 && calls.length > 400) break;
  }
  return dropped;
}

/** By its answer: a call without effect can be left out of any order. */
function changesNothing(history: History, call: number): boolean {
  const { name } = history.requests[history.request[call]!]!;
  const { status, out } = rowOf(history, call);
  if (name === 'H_READ' || name === 'H_PAGE_INIT') return true;
  if (name === 'H_BULK_REMOVE') return out.every((word, i) => i % 2 === 1 || word >> 60n !== 8n);
  if (name === 'H_BLOCK_REMOVE') return out.every((word) => word >> 59n !== 16n);
  return (
    ['H_ENTER', 'H_REMOVE', 'H_PROTECT', 'H_CLEAR_REF', 'H_CLEAR_MOD'].includes(name) &&
    status !== STATUSES.H_SUCCESS
  );
}

function slotsOfCall(search: Search, call: number): number[] {
  const { mask, wide } = slotsTouched(search, call);
  return search.universe.ptexes
    .map((_, slot) => slot)
    .filter((slot) => wide || (mask[slot >> 5]! & (1 << (slot & 31))) !== 0);
}

/** The slots of a call, and of those that share one with it, and so on. */
function slotsWith(search: Search, calls: readonly number[], call: number): number[] {
  const slots = new Set(slotsOfCall(search, call));
  for (let before = -1; before !== slots.size; ) {
    before = slots.size;
    for (const other of calls) {
      const own = slotsOfCall(search, other);
      if (own.some((slot) => slots.has(slot))) for (const slot of own) slots.add(slot);
    }
  }
  return [...slots].sort((a, b) => a - b);
}

export function excerptText(excerpt: Excerpt): string {
  const { history, impossible, start, slots, beside, before } = excerpt;
  const line = (call: number): string => {
    const row = rowOf(history, call);
    const mark = call === impossible ? '>' : ' ';
    const time = `${row.invoked}..${row.responded}`.padEnd(16);
    return `${mark} ${time} thread ${row.thread}  ${requestText(history.requests[row.request]!)}\n${' '.repeat(28)}= ${answerText(row)}`;
  };
  const tables = new Set(start.configurations.map((at) => tableText(start, at, slots)));
  const orders = new Set(start.configurations.map((at) => at[start.layout.order]));
  return [
    'No order of the calls explains this answer (stamps of invocation and response):',
    line(impossible),
    `Calls that ran at the same time and share a slot with it, or with one that does:`,
    ...beside.filter((call) => call !== impossible).map(line),
    `What could be in those slots when it was invoked (ptex: dword 0, dword 1; the rest empty; order ${[...orders].join(' or ')}):`,
    [...tables].slice(0, TABLES_SHOWN).join('\n  or\n'),
    'The last changes of those slots before:',
    ...before.map(line),
  ].join('\n');
}

function tableText(
  { states, universe }: Search,
  at: Configuration,
  slots: readonly number[],
): string {
  const lines = slots
    .filter((slot) => at[slot] !== EMPTY)
    .map((slot) => `    ${universe.ptexes[slot]!.toString(16)}: ${stateText(states, at[slot]!)}`);
  return lines.length === 0 ? '    nothing' : lines.join('\n');
}

/** What a file holds, words as hexadecimal text. */
export interface Saved {
  readonly seed: number;
  readonly rows: readonly (Omit<Row, 'out'> & { readonly out: readonly string[] })[];
}

/** Gives the file's name. */
export async function save(seed: number, history: History): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'hptd-history-')), `${seed}.json`);
  const rows = [...history.thread.keys()].map((call) => {
    const row = rowOf(history, call);
    return { ...row, out: row.out.map((word) => `0x${word.toString(16)}`) };
  });
  await writeFile(file, JSON.stringify({ seed, rows } satisfies Saved));
  return file;
}

export async function load(file: string): Promise<{ seed: number; rows: Row[] }> {
  const { seed, rows } = JSON.parse(await readFile(file, 'utf8')) as Saved;
  return { seed, rows: rows.map((row) => ({ ...row, out: row.out.map(BigInt) })) };
}
