/**
 * The loop: draw an input or change one that went where none went before, perform it, keep it if it goes on from there.
 * Without coverage every input is drawn.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../rings/random.ts';
import type { Coverage } from './coverage.ts';
import { pick } from './decoder.ts';
import type { Decoder, Target } from './decoder.ts';

/** Told before each input, and behind each batch how many went where none went before. */
export interface Observer {
  onInput(input: Uint8Array): void;
  onKept(kept: number): void;
}

/** An input that a decoder failed on. */
export class InputError extends Error {
  readonly input: Uint8Array;
  constructor(input: Uint8Array, cause: unknown) {
    super(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause), { cause });
    this.input = input;
  }
}

const INPUT_BYTES_MAX = 8192;
export const INPUT_MILLIS = 20_000;
const CHANGES_MAX = 4;

export async function fuzz(
  decoder: Decoder,
  random: Random,
  millis: number,
  observer: Observer,
  coverage?: Coverage,
): Promise<void> {
  const target = await decoder.open(coverage?.note);
  const kept: Uint8Array[] = [];
  try {
    for (const end = performance.now() + millis; performance.now() < end; ) {
      const batch = Array.from({ length: coverage?.batch ?? 1 }, () =>
        kept.length > 0 && random.below(2) === 0
          ? changed(random, pick(random, kept), pick(random, kept))
          : decoder.draw(random),
      );
      await performAll(target, batch, observer);
      if (coverage === undefined) continue;
      kept.push(...(await newOnes(target, batch, coverage, observer)));
      observer.onKept(kept.length);
    }
  } finally {
    await target.close();
  }
}

/** Those of a list just performed that went somewhere new: it is halved, and each half performed again. */
async function newOnes(
  target: Target,
  list: readonly Uint8Array[],
  coverage: Coverage,
  observer: Observer,
): Promise<Uint8Array[]> {
  const single = list.length === 1;
  if (!(await coverage.isNew(single))) return [];
  if (single) return [...list];
  const middle = list.length >> 1;
  const fresh: Uint8Array[] = [];
  for (const half of [list.slice(0, middle), list.slice(middle)]) {
    await performAll(target, half, observer);
    fresh.push(...(await newOnes(target, half, coverage, observer)));
  }
  return fresh;
}

export async function performAll(
  target: Target,
  inputs: readonly Uint8Array[],
  observer: Observer,
): Promise<void> {
  for (const input of inputs) {
    observer.onInput(input);
    await performOne(target, input);
  }
}

async function performOne(target: Target, input: Uint8Array): Promise<void> {
  try {
    const performed = target.perform(input);
    if (performed === undefined) return;
    const ended = await Promise.race([
      performed.then(() => true),
      sleep(INPUT_MILLIS, false, { ref: false }),
    ]);
    if (!ended) throw new Error(`no answer in ${INPUT_MILLIS / 1000} s`);
  } catch (error) {
    throw new InputError(input, error);
  }
}

/** A kept input with some of its bytes changed, taken out, doubled, or replaced by some of another's. */
function changed(random: Random, from: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes = [...from];
  for (let i = 1 + random.below(CHANGES_MAX); i > 0; i--) {
    const at = random.below(bytes.length + 1);
    const length = 1 + random.below(random.below(4) === 0 ? 64 : 8);
    const piece = bytes.slice(at, at + length);
    const away = random.below(other.length + 1);
    switch (random.below(6)) {
      case 0:
        bytes.splice(at, 1, random.below(256));
        break;
      case 1:
        bytes.splice(at, 1, (bytes[at] ?? 0) ^ (1 << random.below(8)));
        break;
      case 2:
        bytes.splice(at, length);
        break;
      case 3:
        bytes.splice(at, 0, ...piece);
        break;
      case 4:
        bytes.splice(at, 0, ...other.slice(away, away + length));
        break;
      default:
        bytes = [...bytes.slice(0, at), ...other.slice(away)];
    }
  }
  return Uint8Array.from(bytes.slice(0, INPUT_BYTES_MAX));
}
