/**
 * A guest's newest image into a fresh memory: whole, or not at all. An image that is damaged is set aside under another
 * name; the one before it stays, but is not used unasked, because it is older than what was promised. Main thread, at start.
 */
import type { GuestConfig } from '../../schemas/guests.ts';
import type { MemoryMap } from '../rings/engine.ts';
import { imagesIn, setAside } from './directory.ts';
import type { ImageFile } from './directory.ts';
import { DamagedImageError, ForeignImageError, PIECE_BYTES } from './image-format.ts';
import type { ImageFacts } from './image-format.ts';
import { readImage } from './image-reader.ts';
import type { ImageDescription } from './image-reader.ts';
import { nextEpoch, notePiece } from './pieces.ts';

/** Why a guest is not started. */
export interface Damage {
  readonly guest: string;
  /** damaged: not what was written; foreign: of another hptd; unreadable: the file system does not give it. */
  readonly kind: 'damaged' | 'foreign' | 'unreadable';
  /** Where the image lies now; its guest's directory if there is none. */
  readonly path: string;
  readonly reason: string;
  /** What an operator can do. */
  readonly advice: string;
}

export interface LoadedGuest {
  readonly number: number;
  readonly config: GuestConfig;
  readonly createdAt: Date;
  /** How it was when the image was taken. */
  readonly facts: ImageFacts;
  readonly newest: { takenAtMillis: number; bytes: number; heldMillis: number };
}

/** `path`: the guest's directory. After Damage the memory is of no use. */
export function loadNewest(
  path: string,
  guest: string,
  memory: WebAssembly.Memory,
  map: MemoryMap,
): LoadedGuest | Damage {
  let image: ImageFile | undefined;
  let before: ImageFile | undefined;
  try {
    const { images, damaged } = imagesIn(path);
    [image, before] = images;
    if (damaged !== undefined)
      return damageOf('damaged', guest, damaged, 'its image is damaged', image);
    if (image === undefined) throw new ForeignImageError('there is no image of it');
    return loadedGuest(image.number, guest, readInto(image.path, memory, map));
  } catch (error) {
    const reason = `${image?.path ?? path}: ${(error as Error).message}`;
    if (error instanceof DamagedImageError)
      return damageOf('damaged', guest, setAside(path, image!), reason, before);
    const kind = error instanceof ForeignImageError ? 'foreign' : 'unreadable';
    return damageOf(kind, guest, image?.path ?? path, reason, before);
  }
}

function readInto(path: string, memory: WebAssembly.Memory, map: MemoryMap): ImageDescription {
  nextEpoch(memory, map);
  return readImage(path, map.MEMORY_MAP_VERSION, (address, bytes) => {
    const end = address + bytes.length;
    const kept =
      end <= PIECE_BYTES || (address >= map.SLOT_DATA && end <= memory.buffer.byteLength);
    if (!kept) throw new DamagedImageError('a chunk lies where no image has any');
    new Uint8Array(memory.buffer, address, bytes.length).set(bytes);
    notePiece(memory, map, address);
  });
}

function loadedGuest(
  number: number,
  guest: string,
  { header, facts, bytes }: ImageDescription,
): LoadedGuest {
  if (header.guest !== guest)
    throw new ForeignImageError(`it is an image of the guest ${header.guest}`);
  const newest = { takenAtMillis: Date.parse(facts.takenAt), bytes, heldMillis: 0 };
  const createdAt = new Date(header.createdAt);
  return { number, config: header.config, createdAt, facts, newest };
}

function damageOf(
  kind: Damage['kind'],
  guest: string,
  path: string,
  reason: string,
  before: ImageFile | undefined,
): Damage {
  return { guest, kind, path, reason, advice: adviceFor(kind, guest, path, before) };
}

function adviceFor(
  kind: Damage['kind'],
  guest: string,
  path: string,
  before: ImageFile | undefined,
): string {
  const giveUp = `delete the guest ("hptd delete ${guest}")`;
  if (kind === 'unreadable') return 'let the daemon read it, and start it again';
  if (kind === 'foreign')
    return `start the hptd that wrote it, put an image of this guest there, or ${giveUp}`;
  return before === undefined
    ? `put a copy of the image back as ${path.replace(/\.damaged$/, '')} and remove ${path}, or ${giveUp}`
    : `to go on from the snapshot before, ${before.path}, remove ${path} and start again; or ${giveUp}`;
}
