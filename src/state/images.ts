/**
 * Takes images of guests by a thread of its own, while they run. Main thread only.
 *
 * How is a running guest copied? In passes: each begins an epoch (pieces.ts) in a moment in which nothing is executed, then
 * copies, the guest running on, what changed in the epoch before; the first copies all that was ever changed. When little is
 * left, or after PASSES_MAX, the guest is held for as long as the rest takes, and that is the moment of the snapshot. So the
 * hold does not grow with the table, but with what is changed while a pass goes on.
 *
 * If the table is replaced or a memory slot changed meanwhile, what was copied is worth nothing, and all is begun again;
 * after MOVES_MAX times the guest is held for all of it.
 */
import { Worker } from 'node:worker_threads';
import type { MemoryMap } from '../rings/engine.ts';
import type { ImageFacts, ImageHeader } from './image-format.ts';
import { PIECE_BYTES } from './image-format.ts';
import type { FromImageThread, ToImageThread } from './messages.ts';
import { changedPieces, FIRST_PIECE, layoutOf, nextEpoch, rangesOf } from './pieces.ts';
import type { PieceMap, Range } from './pieces.ts';

/** Copied in some milliseconds: what a guest may be held for. */
const REST_BYTES = 4 * 1024 * 1024;
const PASSES_MAX = 5;
const MOVES_MAX = 2;

/** An image that could not be written. `code` is the file system's. */
export class ImageWriteError extends Error {
  override readonly name = 'ImageWriteError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ImageThread {
  ask(message: ToImageThread): Promise<number>;
  /** Images are numbered through. */
  number(): number;
  close(): Promise<void>;
}

function errorOf({ code, message }: Extract<FromImageThread, { kind: 'failed' }>): Error {
  return code === undefined ? new Error(message) : new ImageWriteError(code, message);
}

/** Started with the first question. */
export function openImageThread(): ImageThread {
  let thread: Worker | undefined;
  let images = 0;
  const waiting: PromiseWithResolvers<number>[] = [];
  function start(): Worker {
    const worker = new Worker(new URL('./image-thread.ts', import.meta.url), { name: 'images' });
    worker.on('message', (message: FromImageThread) => {
      const question = waiting.shift()!;
      if (message.kind === 'done') question.resolve(message.bytes);
      else question.reject(errorOf(message));
    });
    let error = new Error('the thread of images ended');
    worker.on('error', (thrown: Error) => {
      error = thrown;
    });
    worker.on('exit', () => {
      thread = undefined;
      for (const question of waiting.splice(0)) question.reject(error);
    });
    worker.unref();
    return worker;
  }
  return {
    ask(message) {
      thread ??= start();
      const question = Promise.withResolvers<number>();
      waiting.push(question);
      thread.postMessage(message);
      return question.promise;
    },
    number: () => images++,
    async close() {
      await thread?.terminate();
    },
  };
}

/** What an image is taken of. */
export interface ImageSubject {
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  readonly header: ImageHeader;
  /** Runs `work` while nothing of the guest is executed; undefined: nothing is anyhow. */
  readonly hold: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
  /** How it is at this moment. */
  readonly facts: () => ImageFacts;
}

export interface ImageFiles {
  readonly temporaryPath: string;
  /** Resolves with its name when it may have one: after the moment of the snapshot. */
  readonly path: () => Promise<string>;
  /** Not needed any more once this image is there. */
  readonly older: readonly string[];
}

export interface TakenImage {
  readonly facts: ImageFacts;
  /** Of the file. */
  readonly bytes: number;
  /** How long nothing was executed, the longest of its moments. */
  readonly heldMillis: number;
}

/** Throws ImageWriteError, or what `hold` throws; then no file is left but what was there before. */
export async function takeImage(
  thread: ImageThread,
  subject: ImageSubject,
  files: ImageFiles,
): Promise<TakenImage> {
  const { memory, map, header } = subject;
  for (let moves = 0; ; moves++) {
    const image = thread.number();
    try {
      await thread.ask({
        kind: 'open',
        image,
        temporaryPath: files.temporaryPath,
        memoryMap: map.MEMORY_MAP_VERSION,
        map: pieceMap(map),
        header,
        memory,
      });
      const passes = subject.hold === undefined || moves === MOVES_MAX ? 0 : PASSES_MAX;
      const copied = await copyInPasses(thread, image, subject, passes);
      if (copied !== 'moved') {
        const { older } = files;
        const path = await files.path();
        const bytes = await thread.ask({ kind: 'finish', image, facts: copied.facts, path, older });
        return { ...copied, bytes };
      }
    } catch (error) {
      await thread.ask({ kind: 'abandon', image }).catch(() => {});
      throw error;
    }
    await thread.ask({ kind: 'abandon', image });
  }
}

interface Copied {
  readonly facts: ImageFacts;
  readonly heldMillis: number;
}

/** What changed in that epoch is to be copied while the guest runs; undefined: whatever ever was. */
interface Epoch {
  readonly changed: number | undefined;
}

async function copyInPasses(
  thread: ImageThread,
  image: number,
  subject: ImageSubject,
  passes: number,
): Promise<Copied | 'moved'> {
  const { memory, map, hold = (work) => work() } = subject;
  let heldMillis = 0;
  let layout: string | undefined;
  let epoch: number | undefined;
  for (let pass = 0; ; pass++) {
    const ranges: Range[] = [];
    const step = await hold(async (): Promise<'moved' | Copied | Epoch> => {
      const begun = performance.now();
      const found = layoutOf(memory, map);
      if ((layout ??= found) !== found) return 'moved';
      ranges.push(...rangesOf(memory, map));
      const changed = epoch;
      if (pass < passes && changedBytes(subject, ranges, epoch) > REST_BYTES) {
        epoch = nextEpoch(memory, map);
        heldMillis = Math.max(heldMillis, performance.now() - begun);
        return { changed };
      }
      await thread.ask({ kind: 'copy', image, ranges: [...ranges, FIRST_PIECE], epoch });
      const facts = subject.facts();
      heldMillis = Math.max(heldMillis, performance.now() - begun);
      return { facts, heldMillis };
    });
    if (step === 'moved' || 'facts' in step) return step;
    await thread.ask({ kind: 'copy', image, ranges, epoch: step.changed });
  }
}

function changedBytes(
  { memory, map }: ImageSubject,
  ranges: readonly Range[],
  epoch: number | undefined,
): number {
  let bytes = 0;
  for (const range of ranges)
    for (const _ of changedPieces(memory, map, range, epoch)) bytes += PIECE_BYTES;
  return bytes;
}

/** What the thread needs: a whole memory map would be copied with each message. */
function pieceMap(map: MemoryMap): PieceMap {
  const { PIECES, PIECE_SHIFT, KEEP_EPOCH, SLOT_DATA, SLOT_DATA_USED } = map;
  const { SLOT_CHANGES, MODE, TABLE_BASE, TABLE_ORDER } = map;
  return {
    PIECES,
    PIECE_SHIFT,
    KEEP_EPOCH,
    SLOT_DATA,
    SLOT_DATA_USED,
    SLOT_CHANGES,
    MODE,
    TABLE_BASE,
    TABLE_ORDER,
  };
}
