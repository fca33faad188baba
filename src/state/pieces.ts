/**
 * Which pieces of a guest's memory an image holds, and which of them changed since when (engine/pieces.ts). The main thread
 * and the thread of snapshots; the epoch is moved by the main thread while nothing is executed.
 */
import type { MemoryMap } from '../rings/engine.ts';
import { PIECE_BYTES } from './image-format.ts';

export type PieceMap = Pick<
  MemoryMap,
  | 'PIECES'
  | 'PIECE_SHIFT'
  | 'KEEP_EPOCH'
  | 'SLOT_DATA'
  | 'SLOT_DATA_USED'
  | 'SLOT_CHANGES'
  | 'MODE'
  | 'TABLE_BASE'
  | 'TABLE_ORDER'
>;

/** Memory from one piece to another. */
export interface Range {
  readonly from: number;
  readonly end: number;
  /** From a piece to the one whose note counts for it too; 0: its own only. */
  readonly twin: number;
}

/** The guest block, the memory slots and the readers: small, and changed without a note. */
export const FIRST_PIECE: Range = { from: 0, end: PIECE_BYTES, twin: 0 };
const EPOCH_MAX = 255;

function word(memory: WebAssembly.Memory, at: number): number {
  return new Uint32Array(memory.buffer, at, 1)[0]!;
}

/** What is in use beside the first piece: what is kept about memory slots, and the active table with its reverse map. */
export function rangesOf(memory: WebAssembly.Memory, map: PieceMap): Range[] {
  const data = { from: map.SLOT_DATA, end: word(memory, map.SLOT_DATA_USED), twin: 0 };
  if (word(memory, map.MODE) === 0) return [data];
  const base = word(memory, map.TABLE_BASE);
  const bytes = 2 ** word(memory, map.TABLE_ORDER);
  return [
    data,
    { from: base, end: base + bytes, twin: 0 },
    { from: base + bytes, end: base + 2 * bytes, twin: -bytes },
  ];
}

/** Changes when the ranges mean something else than before: what was copied is not to be gone on with then. */
export function layoutOf(memory: WebAssembly.Memory, map: PieceMap): string {
  return [map.MODE, map.TABLE_BASE, map.TABLE_ORDER, map.SLOT_CHANGES, map.SLOT_DATA_USED]
    .map((at) => word(memory, at))
    .join();
}

/** Begins the next epoch; gives its number. Nothing is executed meanwhile. */
export function nextEpoch(memory: WebAssembly.Memory, map: PieceMap): number {
  const epoch = new Uint8Array(memory.buffer, map.KEEP_EPOCH, 1);
  epoch[0] = epoch[0] === EPOCH_MAX ? 1 : epoch[0]! + 1;
  return epoch[0];
}

/** Addresses of the pieces that were ever changed; with `epoch`, in that epoch. */
export function* changedPieces(
  memory: WebAssembly.Memory,
  map: PieceMap,
  { from, end, twin }: Range,
  epoch?: number,
): Generator<number> {
  const notes = new Uint8Array(memory.buffer, map.PIECES, 2 ** (32 - map.PIECE_SHIFT));
  const counts = (address: number): boolean => {
    if (address === FIRST_PIECE.from) return true;
    const note = notes[address >>> map.PIECE_SHIFT]!;
    return epoch === undefined ? note !== 0 : note === epoch;
  };
  for (let at = from; at < end; at += PIECE_BYTES)
    if (counts(at) || (twin !== 0 && counts(at + twin))) yield at;
}

/** A piece was read from an image. */
export function notePiece(memory: WebAssembly.Memory, map: PieceMap, address: number): void {
  new Uint8Array(memory.buffer, map.PIECES + (address >>> map.PIECE_SHIFT), 1)[0] = new Uint8Array(
    memory.buffer,
    map.KEEP_EPOCH,
    1,
  )[0]!;
}
