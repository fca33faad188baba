/**
 * The rules that give answers, in sentences: one row for each number of src/engine/rules.ts, which leaves the number
 * and its details behind an answer when a call asks for it. test/engine/rules.test.ts compares the two.
 *
 * A sentence is for somebody who debugs a guest kernel: it says which status, what was compared with what, and
 * which of it did not fit.
 */
import {
  DWORD0_BITS, HPTE_V_AVPN, HPTE_V_B, HPTE_V_BOLTED, HPTE_V_COMPARED, bytesText, pageEncodingsText, wimgLetters,
} from './hpte.ts';
import { operationByOpcode } from './operations.ts';
import { hex } from './words.ts';

export interface Explanation {
  rule: string;
  text: string;
  /** The facts in the sentence, by name. */
  details: Record<string, string>;
}

/** Details in the engine's order; one that was not left is 0. */
type Facts = (index: number) => bigint;

export interface Rule {
  readonly number: number;
  /** As in src/engine/rules.ts, without RULE_. */
  readonly name: string;
  /** The answer that the rule gives, where it gives but one; the status itself is said by the caller. */
  readonly status: string;
  readonly details: readonly string[];
  readonly because: (fact: Facts) => string;
}

type Because = Rule['because'];

function rule(number: number, name: string, status: string, details: readonly string[], because: Because): Rule {
  return { number, name, status, details, because };
}

const EIGHT = [0, 1, 2, 3, 4, 5, 6, 7];

const NONE: Rule = rule(0, 'NONE', '', [], () => 'no rule was left behind: the call has but one answer');

/** By number: the row's index is its rule's number, which a test keeps true. */
export const RULES: readonly Rule[] = [
  NONE,
  rule(1, 'UNKNOWN_OPCODE', 'H_FUNCTION', ['opcode'], (d) => `there is no hcall with opcode ${hex(d(0))}`),
  rule(2, 'CONTROL_BY_GUEST', 'H_FUNCTION', ['opcode'],
    (d) => `${operationName(d(0))} is a control operation, and this stream is a guest's: only a host makes those`),
  rule(3, 'NO_TABLE', 'H_FUNCTION', [], () => 'the guest has no hashed page table'),
  rule(4, 'PTEX_RANGE', 'H_PARAMETER', ['ptex', 'entries'],
    (d) => `ptex ${hex(d(0))} is outside the table, which has ${hex(d(1))} entries (the last is ${lastOf(d(1))})`),
  rule(5, 'B_RESERVED', 'H_PARAMETER', ['b'],
    (d) => `the B field of dword 0 is ${d(0)}, which is reserved; 0 is a 256M segment, 1 a 1T segment`),
  rule(6, 'PAGE_SIZE_UNKNOWN', 'H_PARAMETER', ['l', 'lp'],
    (d) => `the LP field ${hex(d(1))} (bits 12-19 of dword 1) with L=${d(0) === 0n ? 0 : 1} is no page size; `
      + `known with L=1 are ${pageEncodingsText()}`),
  rule(7, 'SLOT_MISALIGNED', 'H_PARAMETER', ['slot', 'actualShift'],
    (d) => `base or length of memory slot ${d(0)} is no multiple of the page's ${size(d(1))}, so no page of that size `
      + 'is allowed in it'),
  rule(8, 'BACKING_TOO_SMALL', 'H_PARAMETER', ['backingShift', 'actualShift'],
    (d) => `the page has ${size(d(1))}, but the host backs that address with pages of ${size(d(0))}`),
  rule(9, 'WIMG_CACHE_INHIBITED', 'H_PARAMETER', ['wimg', 'gpa'],
    (d) => `WIMG is ${wimg(d(0))}, but the host page behind guest address ${hex(d(1))} is cache-inhibited: `
      + 'W must be 0 and I must be 1'),
  rule(10, 'ZERO_TOO_BIG', 'H_TOO_BIG', ['actualShift'],
    (d) => `H_ZERO_PAGE was asked for a page of ${size(d(0))}; 64K is the largest that is zeroed in one call`),
  rule(11, 'GROUP_FULL', 'H_PTEG_FULL', ['group', ...EIGHT.map((i) => `slot${i}`)],
    (d) => `slots 0-7 of group ${hex(d(0))} held AVPNs ${EIGHT.map((i) => avpnOf(d(i + 1))).join(', ')}, `
      + 'all eight locked at once'),
  rule(12, 'SLOT_OCCUPIED', 'H_PTEG_FULL', ['ptex', 'dword0'],
    (d) => `H_EXACT asked for ptex ${hex(d(0))}, and that slot holds AVPN ${avpnOf(d(1))} (dword 0 ${hex(d(1))})`),
  rule(13, 'ENTERED', 'H_SUCCESS', ['ptex', 'pass'],
    (d) => `the entry went into ${place(d(0))}, free on pass ${d(1)}`),
  rule(14, 'ENTERED_MMIO', 'H_SUCCESS', ['ptex', 'gpa'],
    (d) => `the entry went into ${place(d(0))}; no memory slot covers guest address ${hex(d(1))}, `
      + 'so it is kept ABSENT and every access to it is emulated (MMIO)'),
  rule(15, 'ENTERED_ABSENT', 'H_SUCCESS', ['ptex', 'gpa'],
    (d) => `the entry went into ${place(d(0))}; the host page behind guest address ${hex(d(1))} is not present, `
      + 'so it is kept ABSENT until the guest touches it'),
  rule(16, 'EMPTY', 'H_NOT_FOUND', ['ptex'], (d) => `${place(d(0))} is empty: neither VALID nor ABSENT`),
  rule(17, 'AVPN_MISMATCH', 'H_NOT_FOUND', ['entry', 'caller'],
    (d) => `the entry's B and AVPN are ${hex(d(0) & HPTE_V_COMPARED)} and the caller asked for ${hex(d(1))}: `
      + `${avpnDifference(d(0), d(1))}`),
  rule(18, 'ANDCOND_HIT', 'H_NOT_FOUND', ['dword0', 'mask'],
    (d) => `H_ANDCOND wants every bit of the mask ${hex(d(1))} clear, but dword 0 (${hex(d(0))}, as locked) has `
      + `${bitsText(d(0) & d(1))} set`),
  rule(19, 'REMOVED', 'H_SUCCESS', ['ptex', 'tlbie'],
    (d) => `the entry of ${place(d(0))} matched and was removed; ${invalidated(d(1))}`),
  rule(20, 'PROTECTED', 'H_SUCCESS', ['ptex', 'invalidated'],
    (d) => `the protection of ${place(d(0))} was set; ${translation(d(1))}`),
  rule(21, 'READ', 'H_SUCCESS', ['ptex', 'entries'],
    (d) => `${d(1)} ${d(1) === 1n ? 'entry was' : 'entries were'} read from ptex ${hex(d(0))} on`),
  rule(22, 'CLEARED', 'H_SUCCESS', ['ptex', 'invalidated'],
    (d) => `the bit of ${place(d(0))} was cleared; ${translation(d(1))}`),
  rule(23, 'BULK_TYPE', 'H_PARAMETER', ['pair', 'type'],
    (d) => `pair ${d(0)} has type ${d(1)}; only 1 (request) and 3 (end) may be given`),
  rule(24, 'BULK_SELECTOR', 'H_PARAMETER', ['pair', 'selector'],
    (d) => `pair ${d(0)} has selector ${d(1)}; 0 (absolute), 1 (ANDCOND) and 2 (AVPN) exist`),
  rule(25, 'BULK_PTEX', 'H_PARAMETER', ['pair', 'ptex'],
    (d) => `the ptex of pair ${d(0)}, ${hex(d(1))}, is outside the table`),
  rule(26, 'BULK_DONE', 'H_SUCCESS', ['removed', 'notFound'],
    (d) => `every pair up to the end was handled: ${d(0)} removed, ${d(1)} not found`),
  rule(27, 'PAGE_INIT_FLAGS', 'H_PARAMETER', ['flags'],
    (d) => `H_PAGE_INIT does not take the flag bits ${hex(d(0))}`),
  rule(28, 'PAGE_INIT_DESTINATION', 'H_PARAMETER', ['destination'],
    (d) => `the destination ${hex(d(0))} is not a multiple of 4096`),
  rule(29, 'PAGE_INIT_SOURCE', 'H_PARAMETER', ['source'],
    (d) => `H_COPY_PAGE was given, and the source ${hex(d(0))} is not a multiple of 4096`),
  rule(30, 'PAGE_INIT_NOT_RAM', 'H_PARAMETER', ['address'], (d) => `guest address ${hex(d(0))} is not in RAM`),
  rule(31, 'PAGE_INIT_DONE', 'H_SUCCESS', ['destination', 'bytes'],
    (d) => d(1) === 0n
      ? 'neither H_ZERO_PAGE nor H_COPY_PAGE was given, so nothing was written'
      : `${d(1)} bytes were written at ${hex(d(0))}`),
  rule(32, 'RESIZE_FLAGS', 'H_PARAMETER', ['flags'], (d) => `the flags are ${hex(d(0))}; a resize takes none`),
  rule(33, 'RESIZE_SHIFT', 'H_PARAMETER', ['shift'], (d) => `${d(0)} is not the order of a table (18 to 46)`),
  rule(34, 'RESIZE_LIMIT', 'H_RESOURCE', ['shift', 'greatest'],
    (d) => `a table of order ${d(0)} is too large for this guest's memory; at most ${d(1)} is allowed`),
  rule(35, 'RESIZE_NO_SPACE', 'H_NO_MEM', ['shift'],
    (d) => `there is no room for a table of order ${d(0)} beside the active one`),
  rule(36, 'RESIZE_PREPARING', '', ['shift', 'percent'],
    (d) => `the table of order ${d(0)} is still being zeroed: ${d(1)} % is done; call again`),
  rule(37, 'RESIZE_READY', 'H_SUCCESS', ['shift'], (d) => `the table of order ${d(0)} is ready to be committed`),
  rule(38, 'RESIZE_CANCELLED', 'H_SUCCESS', ['dropped'],
    (d) => d(0) === 0n ? 'shift 0 cancels, and nothing was prepared' : `the prepared table of order ${d(0)} was dropped`),
  rule(39, 'RESIZE_NOT_PREPARED', 'H_CLOSED', ['shift', 'prepared'],
    (d) => `a table of order ${d(0)} was asked for, but `
      + (d(1) === 0n ? 'none was prepared' : `the prepared one has order ${d(1)}; it is dropped`)),
  rule(40, 'RESIZE_COLLISION', 'H_PTEG_FULL', ['oldPtex', 'newPtex'],
    (d) => `the bolted entry of ${place(d(0))} belongs into ${place(d(1))} of the new table, where another bolted `
      + 'entry is already; the old table stays'),
  rule(41, 'RESIZE_DONE', 'H_SUCCESS', ['order', 'moved'],
    (d) => `the table of order ${d(0)} is active; ${d(1)} bolted entries moved into it`),
  rule(42, 'BLOCK_TYPE', 'H_PARAMETER', ['index', 'type'],
    (d) => `translation specifier ${d(0)} has type ${d(1)}; only 1 (request) and 3 (end) may be given`),
  rule(43, 'BLOCK_DONE', '', ['removed', 'refused'],
    (d) => `${d(0)} entries were removed and ${d(1)} were not; the answer's words say why for each`),
  rule(44, 'CLEAR_HPT', '', ['next', 'removed'],
    (d) => `${d(1)} entries were removed, and `
      + (d(0) === 0n ? 'the table is done' : `ptex ${hex(d(0))} comes next: call again`)),
  rule(45, 'CONTROL_ARGUMENT', 'H_PARAMETER', ['argument', 'value'],
    (d) => `argument ${d(0)} (counted from 0) cannot be ${hex(d(1))}`),
  rule(46, 'CONTROL_DONE', 'H_SUCCESS', [], () => 'the control operation was done'),
  rule(47, 'NO_MEMORY', 'H_PARAMETER', ['gpa'],
    (d) => `guest address ${hex(d(0))} is not in memory that the guest keeps`),
  rule(48, 'HTAB_RECORD', 'H_PARAMETER', ['offset', 'ptex'],
    (d) => `the table stream's record at byte ${d(0)} is not valid, at ptex ${hex(d(1))}`),
];

/** Words as they follow an explained answer: the rule's number, then its details. `status` is the answer's. */
export function explain(words: readonly bigint[], status?: string): Explanation {
  const number = words[0] ?? 0n;
  const row = RULES[Number(number)];
  if (row === undefined) {
    return { rule: `RULE_${number}`, text: `rule ${number}, which this version does not know`, details: {} };
  }
  const fact: Facts = (index) => words[index + 1] ?? 0n;
  const said = status ?? row.status;
  const details: Record<string, string> = {};
  row.details.forEach((name, index) => {
    details[name] = hex(fact(index));
  });
  const text = row.because(fact);
  return { rule: row.name, text: said === '' ? text : `${said} because ${text}`, details };
}

function operationName(opcode: bigint): string {
  return operationByOpcode(Number(opcode))?.name ?? `opcode ${hex(opcode)}`;
}

function lastOf(entries: bigint): string {
  return entries === 0n ? 'none' : hex(entries - 1n);
}

function size(shift: bigint): string {
  return bytesText(Number(shift));
}

function wimg(bits: bigint): string {
  return `${wimgLetters(bits)} (${bits.toString(2).padStart(4, '0')})`;
}

/** `slot 3 of group 0x1a2 (ptex 0xd13)` */
function place(ptex: bigint): string {
  return `slot ${ptex & 7n} of group ${hex(ptex >> 3n)} (ptex ${hex(ptex)})`;
}

/** B and AVPN as H_AVPN compares them, which is what a guest can look for in its own tables. */
function avpnOf(dword0: bigint): string {
  return hex(dword0 & HPTE_V_COMPARED) + ((dword0 & HPTE_V_BOLTED) === 0n ? '' : ' (bolted)');
}

function avpnDifference(entry: bigint, caller: bigint): string {
  const parts: string[] = [];
  if (((entry ^ caller) & HPTE_V_B) !== 0n) {
    parts.push(`B differs, ${entry >> 62n} in the entry, ${caller >> 62n} asked for`);
  }
  const avpn = (entry ^ caller) & HPTE_V_AVPN;
  if (avpn !== 0n) parts.push(`the AVPN differs in bits ${hex(avpn)}`);
  const low = caller & ~HPTE_V_COMPARED;
  if (low !== 0n) parts.push(`the caller's low seven bits are ${hex(low)} and must be 0, for no entry matches otherwise`);
  return parts.length === 0 ? 'they are equal now' : parts.join('; ');
}

/** Names of the bits of dword 0 that are set, fields that have no single name in hexadecimal. */
function bitsText(bits: bigint): string {
  const names = DWORD0_BITS.filter(([, bit]) => (bits & bit) !== 0n)
    .map(([name, bit]) => (name === 'HVLOCK' ? `HVLOCK (${hex(bit)}, always set while it is compared)` : `${name} (${hex(bit)})`));
  const avpn = bits & HPTE_V_AVPN;
  if (avpn !== 0n) names.unshift(`AVPN bits ${hex(avpn)}`);
  const b = bits & HPTE_V_B;
  if (b !== 0n) names.unshift(`B bits ${hex(b)}`);
  return names.length === 0 ? 'none of them' : names.join(', ');
}

function invalidated(tlbie: bigint): string {
  return tlbie === 0n ? 'it was ABSENT, so there was no translation to invalidate' : `tlbie ${hex(tlbie)}`;
}

function translation(flag: bigint): string {
  return flag === 0n ? 'no translation had to be invalidated' : 'its translation was invalidated';
}
