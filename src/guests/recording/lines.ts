/**
 * From a record and its answer to a line of an hpt-trace/1 file. Pure; the thread that writes a recording calls it.
 *
 * What only looks (statistics, readers of the table stream, guest memory) has no line: it changes no answer. What the
 * format has no event for although it changes answers ends the recording: a line that is left out would make all that
 * follow it wrong.
 */
import { operationByOpcode } from '../../../schemas/operations.ts';
import { CONTROL_BIT, EXPLAIN_BIT, EXPLAIN_WORDS } from '../../../schemas/records.ts';
import { STATUSES } from '../../../schemas/statuses.ts';

export interface Happened {
  readonly cpu: number;
  /** The record's first half-word: opcode and bits. */
  readonly head: number;
  readonly args: readonly bigint[];
  readonly status: number;
  readonly out: readonly bigint[];
}

export type Line = { readonly text: string } | 'nothing' | { readonly notRecordable: string };

const REFERENCED = 0x100n;
const CHANGED = 0x80n;
const WALK_STORE = 1n;

/** Host events whose first result word is the line's `ret`. */
const WITH_OUTCOME = new Set([
  'HOST_UNMAP',
  'HOST_SET_PTE',
  'HOST_AGE',
  'HOST_PAGE_FAULT',
  'SET_RC',
  'HPT_RESIZE',
]);
/** They change what hcalls answer, and the format has no event for them. */
const NOT_RECORDABLE = new Set(['HTAB_WRITE', 'MEMSLOT_ADD', 'MEMSLOT_REMOVE']);

export function lineOf(happened: Happened): Line {
  const { head, status } = happened;
  const operation = operationByOpcode(head & ~EXPLAIN_BIT);
  // An hcall that there is not is answered with H_FUNCTION and changes nothing.
  if (operation === undefined) return 'nothing';
  const { name } = operation;
  if ((head & CONTROL_BIT) === 0) return { text: hcallLine(name, happened) };
  // A removal of a slot goes in pieces, the first of which answers H_CONTINUE.
  const done = status === STATUSES.H_SUCCESS || status === STATUSES.H_CONTINUE;
  if (NOT_RECORDABLE.has(name))
    return done || name === 'HTAB_WRITE' ? { notRecordable: name } : 'nothing';
  return done ? hostLine(name, happened) : 'nothing';
}

function hcallLine(name: string, { cpu, head, args, status, out }: Happened): string {
  const explained = (head & EXPLAIN_BIT) !== 0 ? EXPLAIN_WORDS : 0;
  return event(cpu, name, args, status, out.slice(0, out.length - explained));
}

function hostLine(name: string, { cpu, args, out }: Happened): Line {
  if (WITH_OUTCOME.has(name))
    return { text: event(cpu, name, args, Number(BigInt.asIntN(64, out[0]!)), []) };
  if (name === 'HPT_RESET') return { text: `{"op":"HPT_RESET","order":${args[0]!}}\n` };
  if (name === 'HPT_FREE') return { text: '{"op":"HPT_FREE"}\n' };
  if (name === 'WALK') return walkLine(cpu, args, out);
  return 'nothing';
}

/** A walk that translates sets R, and C for a store: that much of it is an event. */
function walkLine(cpu: number, args: readonly bigint[], out: readonly bigint[]): Line {
  if (out[0] !== 0n) return 'nothing';
  const bits = REFERENCED | ((args[2]! & WALK_STORE) === 0n ? 0n : CHANGED);
  return { text: event(cpu, 'SET_RC', [out[1]!, bits, 0n], 0, []) };
}

/** An entry of the table as it was at the start: what puts it there. `v` and `r` as the guest sees them. */
export function entryLine(ptex: number, v: bigint, r: bigint): string {
  const H_EXACT = 1n << 39n;
  const place = BigInt(ptex);
  return event(0, 'H_ENTER', [H_EXACT, place, v, r], 0, [place]);
}

export function pageLine(gpa: bigint, state: number): string {
  return event(0, 'HOST_SET_PTE', [gpa, BigInt(state)], 0, []);
}

function event(
  cpu: number,
  op: string,
  args: readonly bigint[],
  ret: number,
  out: readonly bigint[],
): string {
  const who = cpu === 0 ? '' : `"cpu":${cpu},`;
  return `{${who}"op":"${op}","args":[${words(args)}],"ret":${ret},"out":[${words(out)}]}\n`;
}

function words(values: readonly bigint[]): string {
  let text = '';
  for (let i = 0; i < values.length; i++)
    text += `${i === 0 ? '' : ','}"0x${values[i]!.toString(16)}"`;
  return text;
}

export function hashLine(hash: bigint, valid: bigint): string {
  return event(0, 'TABLE_HASH', [], 0, [hash, valid]);
}
