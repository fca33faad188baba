/** A history that cannot be, for people, and kept whole in a file. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STATUSES } from '../../schemas/statuses.ts';
import { slotsOfCall } from './checker.ts';
import type { Search } from './checker.ts';
import { answerText, requestText, rowOf } from './history.ts';
import type { History, Row } from './history.ts';
import { isSweep } from './host-steps.ts';
import { PTEX_FIELD } from './plan.ts';
import type { Shrunk } from './shrink.ts';
import { EMPTY, stateText } from './slot-states.ts';

const BEFORE_SHOWN = 6;
const TABLES_SHOWN = 4;
/** Each call has two columns of the picture. */
const PICTURE_CALLS = 16;

export function shrunkText({ history, impossible, start, calls }: Shrunk): string {
  const slots = new Set(calls.flatMap((call) => slotsOfCall(start, call)));
  const own = new Set(slotsOfCall(start, impossible));
  const isOwn = (word: bigint) =>
    own.has(start.universe.slotOf.get(Number(word & PTEX_FIELD)) ?? -1);
  const isHost = isSweep(history.requests[history.request[impossible]!]!.name);
  const orders = new Set(start.configurations.map((at) => at[start.layout.order]));
  const tables = new Set(start.configurations.map((at) => tableText(start, at, slots)));
  const before = [...history.thread.keys()]
    .filter((call) => history.responded[call]! < history.invoked[impossible]!)
    .filter((call) => slotsOfCall(start, call).some((slot) => own.has(slot)))
    .filter((call) => isChange(history, call, isOwn, isHost))
    .sort((a, b) => history.responded[a]! - history.responded[b]!)
    .slice(-BEFORE_SHOWN);
  return [
    `No order of ${calls.length === 1 ? 'calls' : `these ${calls.length} calls`} explains the answer of the one marked >:`,
    ...calls.map((call) => lineOf(history, calls, call, call === impossible)),
    `What the slots that they touch could hold when that was invoked (ptex: dword 0, dword 1; the rest empty; order ${[...orders].join(' or ')}):`,
    [...tables].slice(0, TABLES_SHOWN).join('\n  or\n'),
    ...(before.length === 0 ? [] : ['The last changes before, of the slots of the marked one:']),
    ...before.map((call) => lineOf(history, [], call, false)),
  ].join('\n');
}

/** When (as a picture), who, what, and the answer. */
function lineOf(
  history: History,
  calls: readonly number[],
  call: number,
  isMarked: boolean,
): string {
  const row = rowOf(history, call);
  const mark = isMarked ? '>' : ' ';
  const what = `thread ${row.thread}  ${requestText(history.requests[row.request]!)}`;
  const picture = pictureOf(history, calls, call);
  return `${mark} ${picture}  ${what}\n    = ${answerText(row)}`;
}

/** From its invocation to its response, among those of all the calls. */
function pictureOf(
  { invoked, responded }: History,
  calls: readonly number[],
  call: number,
): string {
  if (calls.length === 0 || calls.length > PICTURE_CALLS) {
    return `${invoked[call]!}..${responded[call]!}`.padEnd(16);
  }
  const stamps = calls.flatMap((one) => [invoked[one]!, responded[one]!]).sort((a, b) => a - b);
  const [from, to] = [stamps.indexOf(invoked[call]!), stamps.indexOf(responded[call]!)];
  return `${' '.repeat(from)}|${'-'.repeat(to - from - 1)}|`.padEnd(stamps.length);
}

/** By its answer: did the call change one of those slots? What the host asks matters to what the host is told only. */
function isChange(
  history: History,
  call: number,
  isOwn: (word: bigint) => boolean,
  isHost: boolean,
): boolean {
  const { name } = history.requests[history.request[call]!]!;
  const { status, out } = rowOf(history, call);
  switch (name) {
    case 'H_READ':
    case 'H_PAGE_INIT':
      return false;
    case 'H_BULK_REMOVE':
      return out.some((word, i) => i % 2 === 0 && word >> 60n === 8n && isOwn(word));
    case 'H_BLOCK_REMOVE':
      return out.some((word) => word >> 59n === 16n && isOwn(word));
    case 'HOST_AGE':
    case 'HOST_DIRTY':
      return isHost;
    default:
      return status !== STATUSES.H_NOT_FOUND && status !== STATUSES.H_PTEG_FULL;
  }
}

function tableText(
  { states, universe }: Search,
  at: readonly number[],
  slots: ReadonlySet<number>,
): string {
  const lines = [...slots]
    .sort((a, b) => a - b)
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
