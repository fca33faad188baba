/**
 * The types of calls and answers, derived from the one table of operations: what an hcall is named, takes and gives.
 * 64-bit words are bigints here. Types only: nothing of it exists at run time.
 */
import type { FlagName } from '../../schemas/flags.ts';
import type { CONTROLS, HCALLS } from '../../schemas/operations.ts';
import type { Explanation } from '../../schemas/rules.ts';
import type { StatusName } from '../../schemas/statuses.ts';

type HcallRow = (typeof HCALLS)[number];
type Row = HcallRow | (typeof CONTROLS)[number];
type RowOf<Name> = Extract<Row, { readonly name: Name }>;

export type HcallName = HcallRow['name'];
/** The hcalls, and the control operations that a stream with the role of the host may ask for. */
export type OperationName = Row['name'];

type ArgumentOf<Name extends OperationName> = RowOf<Name>['arguments'][number];
type TakesFlags<Name extends OperationName> = Extract<ArgumentOf<Name>, { readonly kind: 'flags' }>;
type WordName<Name extends OperationName> = Exclude<
  ArgumentOf<Name>,
  { readonly kind: 'flags' }
>['name'];
type Words<Name extends OperationName> = { readonly [Word in WordName<Name>]: bigint };
/** A row that does not list its flags takes none by name. */
type FlagOf<Name extends OperationName> = FlagName extends RowOf<Name>['flags'][number]
  ? never
  : RowOf<Name>['flags'][number];

/** The named arguments of an operation. Words may be left out, from the last one on, where the table says so. */
export type ArgumentsOf<Name extends OperationName> = (number extends RowOf<Name>['wordsMin']
  ? Words<Name>
  : Partial<Words<Name>>) &
  ([TakesFlags<Name>] extends [never]
    ? unknown
    : { readonly flags?: readonly FlagOf<Name>[] | bigint }) &
  (number extends RowOf<Name>['dataWordsMax'] ? unknown : { readonly data?: readonly bigint[] }) & {
    /** Answer which rule decided, and why. */
    readonly explain?: boolean;
  };

/** One call with its name, for `callMany`. */
export type Call<Name extends OperationName = OperationName> = {
  [Each in Name]: { readonly hcall: Each } & ArgumentsOf<Each>;
}[Name];

type ResultName<Name extends OperationName> = string extends RowOf<Name>['results'][number]
  ? never
  : RowOf<Name>['results'][number];

/** A status is an answer, whatever it is. Results are there if the operation gave them: with few exceptions, on success. */
export type AnswerOf<Name extends OperationName> = {
  readonly hcall: Name;
  readonly status: StatusName | `${number}`;
  /** The status as a number, r3. */
  readonly code: number;
  /** Words behind the named results. */
  readonly data?: readonly bigint[];
  /** If the call asked for it. */
  readonly explanation?: Explanation;
} & { readonly [Result in ResultName<Name>]?: bigint };

/** The answers of a `callMany`, in the order of its calls. */
export type AnswersOf<Calls extends readonly Call[]> = {
  -readonly [Index in keyof Calls]: AnswerOf<Calls[Index]['hcall']>;
};
