/** What a decoder is to the fuzzers: bytes in, and a complaint if it does anything but understand or refuse them. */
import type { Random } from '../rings/random.ts';

/** Where a decoder is tried. */
export interface Target {
  /** Throws when the decoder crashes, or answers what it may not, or leaves the table wrong. */
  perform(input: Uint8Array): void | Promise<void>;
  close(): Promise<void>;
}

/** Told what the engine does, where it is the engine that decodes. */
export type Note = (feature: string) => void;

export interface Decoder {
  readonly name: string;
  /** Source files that decode: what new code is looked for in. `engine`: it decodes, and tells itself where it was. */
  readonly sources: RegExp | 'engine';
  /** Something nearly right. */
  draw(random: Random): Uint8Array;
  open(note?: Note): Promise<Target>;
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}
