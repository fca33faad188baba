/**
 * The fields of an entry's two dwords, by name: what a person needs to see why two of them differ.
 */
import {
  DWORD0_BITS,
  HPTE_R_C,
  HPTE_R_KEY_HI,
  HPTE_R_KEY_LO,
  HPTE_R_N,
  HPTE_R_PP,
  HPTE_R_PP0,
  HPTE_R_R,
  HPTE_R_RPN,
  HPTE_R_TS,
  HPTE_V_AVPN,
  HPTE_V_B,
} from '../../schemas/hpte.ts';

export interface Field {
  readonly name: string;
  readonly mask: bigint;
}

const DWORD0_FIELDS: readonly Field[] = [
  { name: 'B', mask: HPTE_V_B },
  { name: 'AVPN', mask: HPTE_V_AVPN },
  ...DWORD0_BITS.map(([name, mask]) => ({ name, mask })),
];

const DWORD1_FIELDS: readonly Field[] = [
  { name: 'PP0', mask: HPTE_R_PP0 },
  { name: 'TS', mask: HPTE_R_TS },
  { name: 'KEY_HI', mask: HPTE_R_KEY_HI },
  { name: 'RPN', mask: HPTE_R_RPN },
  { name: 'KEY_LO', mask: HPTE_R_KEY_LO },
  { name: 'R', mask: HPTE_R_R },
  { name: 'C', mask: HPTE_R_C },
  { name: 'WIMG', mask: 0x78n },
  { name: 'N', mask: HPTE_R_N },
  { name: 'PP', mask: HPTE_R_PP },
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
function fieldValue(field: Field, word: bigint): bigint {
  return (word & field.mask) / (field.mask & -field.mask);
}

/** `R 0 instead of 1, PP 3 instead of 2`: the fields in which a word is not what it should be. */
export function differingFields(
  fields: readonly Field[],
  expected: bigint,
  actual: bigint,
): string {
  return fields
    .filter((field) => ((expected ^ actual) & field.mask) !== 0n)
    .map((field) => {
      const [is, should] = [actual, expected].map((word) => fieldValue(field, word).toString(16));
      return `${field.name} ${is} instead of ${should}`;
    })
    .join(', ');
}
