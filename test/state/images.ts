/** Images of guests for tests, written on this thread, and what they give back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { MemoryMap } from '../../src/rings/engine.ts';
import { PIECE_BYTES } from '../../src/state/image-format.ts';
import type { ImageFacts, ImageHeader } from '../../src/state/image-format.ts';
import { openImageWriter } from '../../src/state/image-writer.ts';
import { changedPieces, FIRST_PIECE, rangesOf } from '../../src/state/pieces.ts';
import type { TestGuest } from '../engine/harness.ts';
import { config } from '../guests/configs.ts';

/** A directory that goes with the test. */
export function directoryFor(context: Pick<TestContext, 'after'>): string {
  const path = mkdtempSync(join(tmpdir(), 'hptd-state-'));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

export const HEADER: ImageHeader = {
  guest: 'g',
  config: config(),
  createdAt: '2020-01-01T00:00:00.000Z',
  writtenBy: '0.0.0',
};
export const FACTS: ImageFacts = {
  takenAt: '2020-01-02T00:00:00.000Z',
  state: 'running',
  order: 18,
};

/** Everything that was noted, in one pass. */
export function writeImage({ memory, engine: { map } }: TestGuest, path: string): void {
  const writer = openImageWriter(`${path}.tmp`, map.MEMORY_MAP_VERSION, HEADER);
  for (const range of [...rangesOf(memory, map), FIRST_PIECE])
    for (const address of changedPieces(memory, map, range))
      writer.putPiece(new Uint8Array(memory.buffer, address, PIECE_BYTES), address, false);
  writer.finish(FACTS, path);
}

/** Notes all that is in use, as a guest of a daemon with a state has from its birth. */
export function noteEverything(memory: WebAssembly.Memory, map: MemoryMap): void {
  new Uint8Array(memory.buffer, map.KEEP_EPOCH, 1)[0] = 1;
  const notes = new Uint8Array(memory.buffer, map.PIECES, 2 ** (32 - map.PIECE_SHIFT));
  for (const { from, end } of rangesOf(memory, map))
    notes.fill(1, from >>> map.PIECE_SHIFT, end >>> map.PIECE_SHIFT);
}
