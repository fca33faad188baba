/**
 * How the sentences of rules.ts spell their facts: places, entries, and what in them differs.
 * Pure functions.
 */
import {
  DWORD0_BITS,
  HPTE_V_AVPN,
  HPTE_V_B,
  HPTE_V_BOLTED,
  HPTE_V_COMPARED,
  HPTE_V_HVLOCK,
  bytesText,
  wimgLetters,
} from './hpte.ts';
import { operationByOpcode } from './operations.ts';
import { hex } from './words.ts';

export const FORMATS = {
  hex,
  number: (value: bigint) => String(value),
  /** A single bit, whatever the word that holds it. */
  flag: (value: bigint) => (value === 0n ? '0' : '1'),
  /** `64K`, from a shift. */
  size: (shift: bigint) => bytesText(Number(shift)),
  /** `slot 3 of group 0x1a2 (ptex 0xd13)` */
  place: (ptex: bigint) => `slot ${ptex & 7n} of group ${hex(ptex >> 3n)} (ptex ${hex(ptex)})`,
  /** B and AVPN as H_AVPN compares them: what a guest can look for in its own tables. */
  avpn: (dword0: bigint) =>
    hex(dword0 & HPTE_V_COMPARED) + ((dword0 & HPTE_V_BOLTED) === 0n ? '' : ' (bolted)'),
  wimg: (bits: bigint) => `${wimgLetters(bits)} (${bits.toString(2).padStart(4, '0')})`,
  /** The last of so many. */
  last: (count: bigint) => (count === 0n ? 'none' : hex(count - 1n)),
  operation: (opcode: bigint) => operationByOpcode(Number(opcode))?.name ?? `opcode ${hex(opcode)}`,
} as const satisfies Record<string, (value: bigint) => string>;

export type Format = keyof typeof FORMATS;

/** `1 entry was`, `4 entries were` */
export function counted(count: bigint, one: string, many: string): string {
  return `${count} ${count === 1n ? one : many}`;
}

/** A full group: its number, then the eight dwords 0. */
export function groupEntries(fact: (index: number) => bigint): string {
  const avpns = [1, 2, 3, 4, 5, 6, 7, 8].map((index) => FORMATS.avpn(fact(index)));
  const held = `slots 0-7 of group ${hex(fact(0))} held AVPNs ${avpns.join(', ')}`;
  return `${held}, all eight locked at once`;
}

export function avpnDifference(entry: bigint, caller: bigint): string {
  const parts: string[] = [];
  if (((entry ^ caller) & HPTE_V_B) !== 0n) {
    parts.push(`B differs, ${entry >> 62n} in the entry, ${caller >> 62n} asked for`);
  }
  const avpn = (entry ^ caller) & HPTE_V_AVPN;
  if (avpn !== 0n) parts.push(`the AVPN differs in bits ${hex(avpn)}`);
  const low = caller & ~HPTE_V_COMPARED;
  if (low !== 0n) parts.push(`the caller's low seven bits are ${hex(low)} and must be 0 to match`);
  return parts.length === 0 ? 'they are equal now' : parts.join('; ');
}

/** Bits of dword 0 by name, those of fields in hexadecimal. */
export function bitsText(bits: bigint): string {
  const parts: string[] = [];
  if ((bits & HPTE_V_B) !== 0n) parts.push(`B bits ${hex(bits & HPTE_V_B)}`);
  if ((bits & HPTE_V_AVPN) !== 0n) parts.push(`AVPN bits ${hex(bits & HPTE_V_AVPN)}`);
  for (const [name, bit] of DWORD0_BITS) {
    // The entry is locked while it is compared, so a mask with this bit never succeeds.
    const remark = bit === HPTE_V_HVLOCK ? ', always set while it is compared' : '';
    if ((bits & bit) !== 0n) parts.push(`${name} (${hex(bit)}${remark})`);
  }
  return parts.length === 0 ? 'none of them' : parts.join(', ');
}

export function invalidated(tlbie: bigint): string {
  if (tlbie === 0n) return 'it was ABSENT, so there was no translation to invalidate';
  return `its translation was invalidated (tlbie ${hex(tlbie)})`;
}

export function translation(flag: bigint): string {
  return flag === 0n ? 'no translation had to be invalidated' : 'its translation was invalidated';
}
