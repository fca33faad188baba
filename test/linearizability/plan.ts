/** How a call is taken apart: what parts.ts finds out and checker.ts carries out. */
import type { Company } from './company.ts';
import type { History } from './history.ts';
import { FRAMES } from './slot-states.ts';
import type { SlotStates } from './slot-states.ts';

/**
 * `slot`: one slot; `full`: eight, all taken; `prepare`: the preparation of a resize; `table`: everything; `ask`: what
 * the host knows of a frame; `sweep`: every entry of a frame; `write`: the memory of a frame.
 */
export type PartKind = 'slot' | 'full' | 'prepare' | 'table' | 'ask' | 'sweep' | 'write';

export interface Part {
  readonly kind: PartKind;
  readonly piece: number;
  /** Of `slot`: its number in the universe; of `full`: the first of eight; of the last three: the frame's number. */
  readonly slot: number;
  /** Words of the answer that it decides; of the model's answer, from `fromWord` on. */
  readonly word: number;
  readonly words: number;
  readonly fromWord: number;
  /** It decides status and length of the answer too. */
  readonly whole: boolean;
  /** H_BLOCK_REMOVE: it removes the anchor; it is judged beside the anchor, which lies in that slot. */
  readonly setsAnchor: boolean;
  readonly anchorSlot: number;
}

export interface Plan {
  readonly parts: readonly Part[];
  /** Slots it touches, as bits of the universe's words; behind the last slot: the preparation, and each frame. */
  readonly mask: readonly number[];
  /** Nothing is independent of it. */
  readonly wide: boolean;
}

/** The slots of a history: every ptex that an entry may be in, ascending. */
export interface Universe {
  readonly ptexes: readonly number[];
  readonly slotOf: ReadonlyMap<number, number>;
}

export function universeOf(ptexes: Iterable<number>): Universe {
  const sorted = [...new Set(ptexes)].sort((a, b) => a - b);
  return { ptexes: sorted, slotOf: new Map(sorted.map((ptex, slot) => [ptex, slot])) };
}

export const maskWords = ({ ptexes }: Universe): number =>
  (ptexes.length + FRAMES.length + 32) >> 5;

/** By request and order, then by answer; undefined: an answer that no table of that order gives. */
export type Plans = Map<string | number, Plan | undefined>[];

export interface Planner {
  readonly states: SlotStates;
  readonly universe: Universe;
  readonly plans: Plans;
  readonly company: Company;
}

export const LIKE_ONE_SLOT = { slot: 0, word: 0, fromWord: 0, setsAnchor: false, anchorSlot: -1 };

export const PTEX_FIELD = (1n << 56n) - 1n;
/** Types of a bulk or block removal's word. */
export const REQUEST = 1n;
export const END = 3n;

export function slotIn({ universe }: Planner, ptex: number, order: number): number | undefined {
  return ptex < 2 ** (order - 4) ? universe.slotOf.get(ptex) : undefined;
}

/** Does what the history says agree with the model's words, as halves? */
export function sameWords(
  { answers, answerAt }: History,
  call: number,
  { word, fromWord }: Part,
  words: number,
  expected: Uint32Array,
  undefinedWords: number,
): boolean {
  const from = answerAt[call]! + 2 + 2 * word;
  for (let i = 0; i < words; i++) {
    if ((undefinedWords & (1 << i)) !== 0) continue;
    const at = 2 * (fromWord + i);
    if (answers[from + 2 * i] !== expected[at]) return false;
    if (answers[from + 2 * i + 1] !== expected[at + 1]) return false;
  }
  return true;
}
