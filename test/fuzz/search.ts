/** A search for inputs that a decoder fails on: starts the thread that tries them, and notices when one never ends. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { FRAME_BYTES_MAX } from '../../schemas/limits.ts';
import type { Decoder } from './decoder.ts';
import { INPUT_MILLIS } from './fuzzing.ts';
import { COVERED, INPUT_LENGTH, KEPT, TRIED, createBoard, openBoard } from './messages.ts';
import type { Board, Ended, Failure, Start } from './messages.ts';

const LOOK_MILLIS = 1000;
/** Twice as long as the thread itself waits for a promise. */
const ENDLESS_MILLIS = 2 * INPUT_MILLIS;

export interface Searched {
  readonly tried: number;
  /** Inputs that went where none went before, and how much is covered; 0 without a guide. */
  readonly kept: number;
  readonly covered: number;
}

export interface Search extends Pick<Start, 'millis' | 'seed' | 'guided'> {
  /** Now and then. */
  readonly onProgress?: (searched: Searched) => void;
}

export async function search(
  decoder: Decoder,
  { millis, seed, guided, onProgress }: Search,
): Promise<Searched & Ended> {
  const shared = createBoard(FRAME_BYTES_MAX);
  const board = openBoard(shared);
  const workerData: Start = { decoder: decoder.name, millis, seed, guided, shared };
  const worker = new Worker(new URL('./fuzz-thread.ts', import.meta.url), { workerData });
  const ended = once(worker, 'message') as Promise<[Ended]>;
  const endless = watch(board, () => onProgress?.(soFar(board)));
  try {
    const [{ failure }] = await Promise.race([ended, endless.failure]);
    return { ...soFar(board), ...(failure === undefined ? {} : { failure }) };
  } finally {
    endless.stop();
    await worker.terminate();
  }
}

function soFar({ words }: Board): Searched {
  return { tried: words[TRIED]!, kept: words[KEPT]!, covered: words[COVERED]! };
}

/** Fails when one input takes too long. */
function watch(board: Board, onLook: () => void) {
  const { promise, resolve } = Promise.withResolvers<[{ readonly failure: Failure }]>();
  let [tried, since] = [-1, performance.now()];
  const timer = setInterval(() => {
    onLook();
    const now = Atomics.load(board.words, TRIED);
    if (now !== tried) [tried, since] = [now, performance.now()];
    if (performance.now() - since < ENDLESS_MILLIS) return;
    const input = board.input.slice(0, board.words[INPUT_LENGTH]);
    resolve([{ failure: { input, reason: `no end in ${ENDLESS_MILLIS / 1000} s` } }]);
  }, LOOK_MILLIS);
  return { failure: promise, stop: () => clearInterval(timer) };
}
