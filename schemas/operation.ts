/**
 * What a row of the table of operations says, and the shorthand in which the rows are written.
 */
import type { FlagName } from './flags.ts';
import type { StatusName } from './statuses.ts';

export interface Argument<Name extends string = string> {
  readonly name: Name;
  /** `flags` takes flag names or a word, `ptex` an entry index, `word` any 64-bit value. */
  readonly kind: 'flags' | 'ptex' | 'word';
  readonly meaning: string;
}

export interface Operation {
  readonly name: string;
  readonly opcode: number;
  readonly kind: 'hcall' | 'control';
  readonly arguments: readonly Argument[];
  /** The fewest argument words a record may carry; the most is `arguments.length` (+ `dataWordsMax`). */
  readonly wordsMin: number;
  /** Words of data that may follow the arguments. */
  readonly dataWordsMax: number;
  /** Names of the result words (r4 on); an operation may answer fewer, or data words after them. */
  readonly results: readonly string[];
  readonly flags: readonly FlagName[];
  readonly statuses: readonly StatusName[];
  readonly meaning: string;
  readonly source: string;
}

/**
 * Every status that an answer may have: those of the row; H_FUNCTION, where it is not the guest's to ask; H_HARDWARE, when
 * processors died at the record again and again.
 */
export function statusesOf({ statuses }: Operation): readonly StatusName[] {
  return [...new Set<StatusName>([...statuses, 'H_FUNCTION', 'H_HARDWARE'])];
}

export const flags = {
  name: 'flags',
  kind: 'flags',
  meaning: 'what to do and what to compare',
} as const;
export const ptex = {
  name: 'ptex',
  kind: 'ptex',
  meaning: 'index of the entry (group * 8 + slot)',
} as const;
export const avpn = {
  name: 'avpn',
  kind: 'word',
  meaning: 'abbreviated virtual page number, or mask with H_ANDCOND',
} as const;
export const word = <const Name extends string>(name: Name, meaning: string) =>
  ({ name, kind: 'word', meaning }) as const satisfies Argument<Name>;

type Row = Pick<Operation, 'name' | 'opcode' | 'arguments' | 'meaning'> & Partial<Operation>;

/** A row whose type still knows its names, for the types of the client; what it leaves out is filled in. */
type Filled<Given extends Row> = Omit<Operation, keyof Given> & Given;

export function hcall<const Given extends Row>(row: Given): Filled<Given> {
  return {
    kind: 'hcall',
    wordsMin: row.arguments.length,
    dataWordsMax: 0,
    results: [],
    flags: [],
    statuses: ['H_SUCCESS', 'H_PARAMETER'],
    source: 'PAPR, Logical Partitioning Option',
    ...row,
  };
}

export function control<const Given extends Row>(row: Given): Filled<Given> {
  return hcall<Given>({ kind: 'control', source: 'hptd', ...row });
}
