/**
 * The thread that writes images: reads guests' memories and writes files, so that no client waits for a disk. It does what
 * it is told, one message after the other; src/state/images.ts tells it.
 */
import { rmSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { releaseDeadMemory } from '../rings/release.ts';
import { PIECE_BYTES } from './image-format.ts';
import { openImageWriter } from './image-writer.ts';
import type { ImageWriter } from './image-writer.ts';
import type { FromImageThread, ToImageThread } from './messages.ts';
import { changedPieces } from './pieces.ts';
import type { PieceMap } from './pieces.ts';

interface OpenImage {
  readonly writer: ImageWriter;
  readonly memory: WebAssembly.Memory;
  readonly map: PieceMap;
}

if (parentPort === null) throw new Error('image-thread.ts runs as a worker thread');
const port = parentPort;
const images = new Map<number, OpenImage>();

port.on('message', (message: ToImageThread) => {
  let answer: FromImageThread;
  try {
    answer = { kind: 'done', bytes: obey(message) };
  } catch (error) {
    const { code, syscall, message: text } = error as NodeJS.ErrnoException;
    answer = { kind: 'failed', code: syscall === undefined ? undefined : code, message: text };
  }
  port.postMessage(answer);
});

/** Gives how many bytes it copied, or the length of the file. */
function obey(message: ToImageThread): number {
  if (message.kind === 'open') {
    const { image, temporaryPath, memoryMap, map, header, memory } = message;
    images.set(image, { writer: openImageWriter(temporaryPath, memoryMap, header), memory, map });
    return 0;
  }
  const open = images.get(message.image);
  // It could not be opened.
  if (open === undefined) return 0;
  if (message.kind === 'copy') return copy(open, message);
  if (message.kind === 'abandon') {
    forget(message.image);
    open.writer.abandon();
    return 0;
  }
  const bytes = open.writer.finish(message.facts, message.path);
  forget(message.image);
  for (const path of message.older) rmSync(path, { force: true });
  return bytes;
}

function copy(
  { writer, memory, map }: OpenImage,
  { ranges, epoch }: Extract<ToImageThread, { kind: 'copy' }>,
): number {
  let bytes = 0;
  for (const range of ranges) {
    for (const address of changedPieces(memory, map, range, epoch)) {
      writer.putPiece(
        new Uint8Array(memory.buffer, address, PIECE_BYTES),
        address,
        epoch !== undefined,
      );
      bytes += PIECE_BYTES;
    }
  }
  return bytes;
}

/** A guest may be gone, and this thread the last that holds its memory. */
function forget(image: number): void {
  images.delete(image);
  setImmediate(releaseDeadMemory);
}
