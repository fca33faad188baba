/**
 * The rules that give answers, in sentences: one row for each number of src/engine/rules.ts, which
 * leaves the number and its details behind an answer when a call asks for it. A test compares the
 * two.
 *
 * A sentence is for somebody who debugs a guest kernel: it says which status, what was compared
 * with what, and which of it did not fit.
 */
import { HPTE_V_COMPARED, pageEncodingsText } from './hpte.ts';
import {
  FORMATS,
  type Format,
  avpnDifference,
  bitsText,
  counted,
  groupEntries,
  invalidated,
  translation,
} from './rule-words.ts';
import { hex } from './words.ts';

export interface Explanation {
  rule: string;
  text: string;
  /** The facts in the sentence, by name. */
  details: Record<string, string>;
}

/** Details in the engine's order; one that was not left is 0. */
type Facts = (index: number) => bigint;

/**
 * `{fact}` stands for a detail in hexadecimal, `{fact:format}` for one as FORMATS has it. A
 * function where the words depend on the facts.
 */
type Sentence = string | ((fact: Facts) => string);

export interface Rule {
  readonly number: number;
  /** As in src/engine/rules.ts, without RULE_. */
  readonly name: string;
  /** The answer that the rule gives; '' where it gives several. */
  readonly status: string;
  readonly details: readonly string[];
  readonly sentence: Sentence;
}

/** `head`: number, name, status or `-`, then the names of the details. */
function rule(head: string, sentence: Sentence): Rule {
  const [number, name, status, ...details] = head.split(' ') as [string, string, string];
  return {
    number: Number(number),
    name,
    status: status === '-' ? '' : status,
    details,
    sentence,
  };
}

/** By number: a row's index is its rule's number. */
export const RULES: readonly Rule[] = [
  rule('0 NONE -', 'no rule was left behind: the call has but one answer'),
  rule('1 UNKNOWN_OPCODE H_FUNCTION opcode', 'there is no hcall with opcode {opcode}'),
  rule(
    '2 CONTROL_BY_GUEST H_FUNCTION opcode',
    "{opcode:operation} is a control operation, and a guest's stream carries none: a host makes" +
      ' those',
  ),
  rule('3 NO_TABLE H_FUNCTION', 'the guest has no hashed page table'),
  rule(
    '4 PTEX_RANGE H_PARAMETER ptex entries',
    'ptex {ptex} is outside the table, whose {entries} entries end with {entries:last}',
  ),
  rule(
    '5 B_RESERVED H_PARAMETER b',
    'the B field of dword 0 is {b:number}, which is reserved; 0 is a 256M segment, 1 a 1T segment',
  ),
  rule(
    '6 PAGE_SIZE_UNKNOWN H_PARAMETER l lp',
    'the LP field {lp} (bits 12-19 of dword 1) with L={l:flag} is no page size; known are 4K ' +
      `with L=0, and with L=1 ${pageEncodingsText()}`,
  ),
  rule(
    '7 SLOT_MISALIGNED H_PARAMETER slot actualShift',
    'base or length of memory slot {slot:number} is no multiple of {actualShift:size}, so no ' +
      'page of that size may be in it',
  ),
  rule(
    '8 BACKING_TOO_SMALL H_PARAMETER backingShift actualShift',
    'the page has {actualShift:size}, but the host backs that address with pages of ' +
      '{backingShift:size}',
  ),
  rule(
    '9 WIMG_CACHE_INHIBITED H_PARAMETER wimg gpa',
    'WIMG is {wimg:wimg}, but the host page behind guest address {gpa} is cache-inhibited: W ' +
      'must be 0 and I must be 1',
  ),
  rule(
    '10 ZERO_TOO_BIG H_TOO_BIG actualShift',
    'H_ZERO_PAGE was asked for a page of {actualShift:size}, more than is zeroed in one call',
  ),
  rule(
    '11 GROUP_FULL H_PTEG_FULL group slot0 slot1 slot2 slot3 slot4 slot5 slot6 slot7',
    groupEntries,
  ),
  rule(
    '12 SLOT_OCCUPIED H_PTEG_FULL ptex dword0',
    'H_EXACT asked for {ptex:place}, which holds AVPN {dword0:avpn} (dword 0 is {dword0})',
  ),
  rule(
    '13 ENTERED H_SUCCESS ptex pass',
    'the entry went into {ptex:place}, found free on pass {pass:number}',
  ),
  rule(
    '14 ENTERED_MMIO H_SUCCESS ptex gpa',
    'the entry went into {ptex:place}; no memory slot covers guest address {gpa}, so it is kept' +
      ' ABSENT and accesses are emulated (MMIO)',
  ),
  rule(
    '15 ENTERED_ABSENT H_SUCCESS ptex gpa',
    'the entry went into {ptex:place}; the host page behind guest address {gpa} is not present,' +
      ' so it is kept ABSENT until it is touched',
  ),
  rule('16 EMPTY H_NOT_FOUND ptex', '{ptex:place} is empty, neither VALID nor ABSENT'),
  rule(
    '17 AVPN_MISMATCH H_NOT_FOUND entry caller',
    (d) =>
      `the entry's B and AVPN are ${hex(d(0) & HPTE_V_COMPARED)} and the caller asked for ` +
      `${hex(d(1))}: ${avpnDifference(d(0), d(1))}`,
  ),
  rule(
    '18 ANDCOND_HIT H_NOT_FOUND dword0 mask',
    (d) =>
      `H_ANDCOND wants every bit of the mask ${hex(d(1))} clear, but dword 0 ` +
      `(${hex(d(0))}, as locked) has ${bitsText(d(0) & d(1))} set`,
  ),
  rule(
    '19 REMOVED H_SUCCESS ptex tlbie',
    (d) => `the entry of ${FORMATS.place(d(0))} matched and was removed; ${invalidated(d(1))}`,
  ),
  rule(
    '20 PROTECTED H_SUCCESS ptex invalidated',
    (d) => `the protection of ${FORMATS.place(d(0))} was set; ${translation(d(1))}`,
  ),
  rule(
    '21 READ H_SUCCESS ptex entries',
    (d) => `${counted(d(1), 'entry was', 'entries were')} read from ptex ${hex(d(0))} on`,
  ),
  rule(
    '22 CLEARED H_SUCCESS ptex invalidated',
    (d) => `the bit of ${FORMATS.place(d(0))} was cleared; ${translation(d(1))}`,
  ),
  rule(
    '23 BULK_TYPE H_PARAMETER pair type',
    'pair {pair:number} has type {type:number}; only 1 (request) and 3 (end) may be given',
  ),
  rule(
    '24 BULK_SELECTOR H_PARAMETER pair selector',
    'pair {pair:number} has selector {selector:number}; there are 0 (absolute), 1 (ANDCOND) and' +
      ' 2 (AVPN)',
  ),
  rule(
    '25 BULK_PTEX H_PARAMETER pair ptex',
    'the ptex of pair {pair:number}, {ptex}, is outside the table',
  ),
  rule(
    '26 BULK_DONE H_SUCCESS removed notFound',
    'every pair up to the end was handled: {removed:number} removed, {notFound:number} not found',
  ),
  rule('27 PAGE_INIT_FLAGS H_PARAMETER flags', 'H_PAGE_INIT does not take the flag bits {flags}'),
  rule(
    '28 PAGE_INIT_DESTINATION H_PARAMETER destination',
    'the destination {destination} is not a multiple of 4096',
  ),
  rule(
    '29 PAGE_INIT_SOURCE H_PARAMETER source',
    'H_COPY_PAGE was given, and the source {source} is not a multiple of 4096',
  ),
  rule('30 PAGE_INIT_NOT_RAM H_PARAMETER address', 'guest address {address} is not in RAM'),
  rule('31 PAGE_INIT_DONE H_SUCCESS destination bytes', (d) =>
    d(1) === 0n
      ? 'neither H_ZERO_PAGE nor H_COPY_PAGE was given, so nothing was written'
      : `${d(1)} bytes were written at ${hex(d(0))}`,
  ),
  rule('32 RESIZE_FLAGS H_PARAMETER flags', 'the flags are {flags}, and a resize takes none'),
  rule(
    '33 RESIZE_SHIFT H_PARAMETER shift',
    '{shift:number} is not the order of a table (18 to 46)',
  ),
  rule(
    '34 RESIZE_LIMIT H_RESOURCE shift greatest',
    "a table of order {shift:number} is too large for this guest's memory; at most " +
      '{greatest:number} is allowed',
  ),
  rule(
    '35 RESIZE_NO_SPACE H_NO_MEM shift',
    'there is no room for a table of order {shift:number} beside the active one',
  ),
  rule(
    '36 RESIZE_PREPARING - shift percent',
    'the table of order {shift:number} is still being zeroed: {percent:number} % is done; call ' +
      'again',
  ),
  rule(
    '37 RESIZE_READY H_SUCCESS shift',
    'the table of order {shift:number} is ready to be committed',
  ),
  rule('38 RESIZE_CANCELLED H_SUCCESS dropped', (d) =>
    d(0) === 0n
      ? 'shift 0 cancels, and nothing was prepared'
      : `the prepared table of order ${d(0)} was dropped`,
  ),
  rule(
    '39 RESIZE_NOT_PREPARED H_CLOSED shift prepared',
    (d) =>
      `a table of order ${d(0)} was to be committed, but ` +
      (d(1) === 0n ? 'none was prepared' : `the prepared one has order ${d(1)} and is dropped`),
  ),
  rule(
    '40 RESIZE_COLLISION H_PTEG_FULL oldPtex newPtex',
    'the bolted entry of {oldPtex:place} belongs into {newPtex:place} of the new table, where ' +
      'another bolted one is; the old table stays',
  ),
  rule(
    '41 RESIZE_DONE H_SUCCESS order moved',
    'the table of order {order:number} is active; {moved:number} bolted entries moved into it',
  ),
  rule(
    '42 BLOCK_TYPE H_PARAMETER index type',
    'word ts{index:number} has type {type:number}; only 1 (request) and 3 (end) may be given',
  ),
  rule(
    '43 BLOCK_DONE - removed refused',
    "{removed:number} entries were removed and {refused:number} were not; the answer's words " +
      'say why for each',
  ),
  rule(
    '44 CLEAR_HPT - next removed',
    (d) =>
      `${counted(d(1), 'entry was', 'entries were')} removed, and ` +
      (d(0) === 0n ? 'the table is done' : `ptex ${hex(d(0))} comes next: call again`),
  ),
  rule(
    '45 CONTROL_ARGUMENT H_PARAMETER argument value',
    'argument {argument:number} (counted from 0) cannot be {value}',
  ),
  rule('46 CONTROL_DONE H_SUCCESS', 'the control operation was done'),
  rule('47 NO_MEMORY H_PARAMETER gpa', 'guest address {gpa} is not in memory that the guest keeps'),
  rule(
    '48 HTAB_RECORD H_PARAMETER offset ptex',
    "the table stream's record at byte {offset:number} is not valid, at ptex {ptex}",
  ),
];

/**
 * The words behind an explained answer (a rule's number, then its details) for people. `status` is
 * the answer's; without it the rule's own is said.
 */
export function explain(words: readonly bigint[], status?: string): Explanation {
  const number = words[0] ?? 0n;
  const row = RULES[Number(number)];
  if (row === undefined) {
    const text = `rule ${number} decided, which this version does not know`;
    return { rule: `RULE_${number}`, text, details: {} };
  }
  const fact: Facts = (index) => words[index + 1] ?? 0n;
  const said = status ?? row.status;
  const text = sentenceOf(row, fact);
  return {
    rule: row.name,
    text: said === '' ? text : `${said} because ${text}`,
    details: Object.fromEntries(row.details.map((name, index) => [name, hex(fact(index))])),
  };
}

function sentenceOf({ sentence, details }: Rule, fact: Facts): string {
  if (typeof sentence !== 'string') return sentence(fact);
  return sentence.replace(/\{(\w+)(?::(\w+))?\}/g, (_whole, name: string, format = 'hex') =>
    FORMATS[format as Format](fact(details.indexOf(name))),
  );
}
