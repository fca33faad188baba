/**
 * The fields of an entry's two dwords, by name: what a person needs to see why two of them differ.
 * SPEC: PAPR and Power ISA, as the engine's hpte file spells them; here only for showing.
 */

export interface Field {
  readonly name: string;
  readonly mask: bigint;
}

export const DWORD0_FIELDS: readonly Field[] = [
  { name: 'B', mask: 0xc000000000000000n },
  { name: 'AVPN', mask: 0x3fffffffffffff80n },
  { name: 'HVLOCK', mask: 0x40n },
  { name: 'ABSENT', mask: 0x20n },
  { name: 'BOLTED', mask: 0x10n },
  { name: 'LOCK', mask: 0x08n },
  { name: 'LARGE', mask: 0x04n },
  { name: 'SECONDARY', mask: 0x02n },
  { name: 'VALID', mask: 0x01n },
];

export const DWORD1_FIELDS: readonly Field[] = [
  { name: 'PP0', mask: 0x8000000000000000n },
  { name: 'TS', mask: 0x4000000000000000n },
  { name: 'KEY_HI', mask: 0x3000000000000000n },
  { name: 'RPN', mask: 0x0ffffffffffff000n },
  { name: 'KEY_LO', mask: 0xe00n },
  { name: 'R', mask: 0x100n },
  { name: 'C', mask: 0x080n },
  { name: 'WIMG', mask: 0x078n },
  { name: 'N', mask: 0x004n },
  { name: 'PP', mask: 0x003n },
];

/** A word of H_BULK_REMOVE. */
const TSH_FIELDS: readonly Field[] = [
  { name: 'type', mask: 0xc000000000000000n },
  { name: 'code', mask: 0x3000000000000000n },
  { name: 'R', mask: 0x0800000000000000n },
  { name: 'C', mask: 0x0400000000000000n },
  { name: 'selector', mask: 0x0300000000000000n },
  { name: 'ptex', mask: 0x00ffffffffffffffn },
];

/** The fields of a result word, by the name schemas/operations.ts gives it; undefined: it has none. */
export function fieldsOf(wordName: string): readonly Field[] | undefined {
  if (wordName.startsWith('pteh')) return DWORD0_FIELDS;
  if (wordName.startsWith('ptel')) return DWORD1_FIELDS;
  if (wordName.startsWith('tsh')) return TSH_FIELDS;
  return undefined;
}

/** The field's value, moved down to bit 0. */
export function fieldValue(field: Field, word: bigint): bigint {
  return (word & field.mask) / (field.mask & -field.mask);
}

/** `R 0 instead of 1, PP 3 instead of 2`: the fields in which a word is not what it should be. */
export function differingFields(fields: readonly Field[], expected: bigint, actual: bigint): string {
  return fields
    .filter((field) => ((expected ^ actual) & field.mask) !== 0n)
    .map((field) => {
      const [is, should] = [actual, expected].map((word) => fieldValue(field, word).toString(16));
      return `${field.name} ${is} instead of ${should}`;
    })
    .join(', ');
}
