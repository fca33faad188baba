/**
 * The thread that tries inputs: first those that once failed, then new ones. It is a thread of its own because a decoder that
 * never ends must not keep anybody from telling so.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { randomFrom } from '../rings/random.ts';
import { keptInputs } from './corpus.ts';
import { openCoverage } from './coverage.ts';
import { DECODERS } from './decoders.ts';
import { InputError, fuzz, performAll } from './fuzzing.ts';
import { COVERED, INPUT_LENGTH, KEPT, TRIED, openBoard } from './messages.ts';
import type { Ended, Start } from './messages.ts';

const { decoder: name, millis, seed, guided, shared } = workerData as Start;
const decoder = DECODERS.find((row) => row.name === name)!;
const { words, input: board } = openBoard(shared);
const coverage = guided ? await openCoverage(decoder) : undefined;
const observer = {
  onInput(input: Uint8Array): void {
    board.set(input.subarray(0, board.length));
    words[INPUT_LENGTH] = Math.min(input.length, board.length);
    Atomics.add(words, TRIED, 1);
  },
  onKept(kept: number): void {
    words[KEPT] = kept;
    words[COVERED] = coverage?.size() ?? 0;
  },
};

async function tryOld(): Promise<void> {
  const target = await decoder.open();
  try {
    await performAll(target, await keptInputs(decoder), observer);
  } finally {
    await target.close();
  }
}

async function run(): Promise<Ended> {
  try {
    await tryOld();
    await fuzz(decoder, randomFrom(seed), millis, observer, coverage);
    return {};
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { failure: { input: error.input, reason: error.message } };
  } finally {
    coverage?.close();
  }
}

parentPort!.postMessage(await run());
