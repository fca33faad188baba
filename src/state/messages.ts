/** What the main thread and the thread that writes images say to each other. Each message to it is answered once, in order. */
import type { ImageFacts, ImageHeader } from './image-format.ts';
import type { PieceMap, Range } from './pieces.ts';

export type ToImageThread =
  | {
      readonly kind: 'open';
      readonly image: number;
      readonly temporaryPath: string;
      readonly memoryMap: number;
      readonly map: PieceMap;
      readonly header: ImageHeader;
      readonly memory: WebAssembly.Memory;
    }
  /** Pieces of the ranges that were ever changed; with `epoch` those changed in it, whole. */
  | {
      readonly kind: 'copy';
      readonly image: number;
      readonly ranges: readonly Range[];
      readonly epoch: number | undefined;
    }
  /** Ends the image; files at `older` are not needed any more then. */
  | {
      readonly kind: 'finish';
      readonly image: number;
      readonly facts: ImageFacts;
      readonly path: string;
      readonly older: readonly string[];
    }
  | { readonly kind: 'abandon'; readonly image: number };

export type FromImageThread =
  | { readonly kind: 'done'; readonly bytes: number }
  /** `code`: of the file system; undefined: a defect. */
  | { readonly kind: 'failed'; readonly code: string | undefined; readonly message: string };
