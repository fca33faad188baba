/**
 * The files of a state directory:
 *
 *     lock.sqlite                 lock.ts
 *     guests/NAME/N.image         an image of the guest, the greatest number is the newest; the one before it is kept
 *     guests/NAME/N.image.damaged set aside: the guest does not start until an operator takes it away
 *     guests/NAME/N.tmp           being written; of no use after a crash
 *     guests/.new-NAME, .old-…    a guest being made or deleted, in one rename each; of no use after a crash
 *
 * Main thread. What is said about names relies on guestName (schemas/guests.ts): a guest's name is a file's, without a dot in front.
 */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { guestName } from '../../schemas/guests.ts';
import { makeFolder } from '../operations/folders.ts';
import { syncDirectorySync } from './image-writer.ts';
import { syncDirectory } from './journal/files.ts';

export interface ImageFile {
  readonly number: number;
  readonly path: string;
}

const IMAGE = /^(\d{1,15})\.image$/;
const DAMAGED = /\.image\.damaged$/;

/** To be locked next. */
export function makeDirectory(directory: string): void {
  makeFolder(join(directory, 'guests'));
}

/** Names of the guests. Throws away what a crash left, so only at start, locked. */
export function guestsIn(directory: string): string[] {
  const guests = join(directory, 'guests');
  const names: string[] = [];
  for (const name of readdirSync(guests)) {
    if (/^\.(new|old)-/.test(name)) rmSync(join(guests, name), { recursive: true });
    else if (guestName.safeParse(name).success) {
      removeUnfinished(join(guests, name));
      names.push(name);
    }
  }
  return names.sort();
}

function removeUnfinished(path: string): void {
  for (const name of readdirSync(path)) if (name.endsWith('.tmp')) rmSync(join(path, name));
}

export function guestDirectory(directory: string, guest: string): string {
  return join(directory, 'guests', guest);
}

/** The images of a guest, the newest first, and one that was set aside. */
export function imagesIn(path: string): { images: ImageFile[]; damaged: string | undefined } {
  const images: ImageFile[] = [];
  let damaged: string | undefined;
  for (const name of readdirSync(path)) {
    const number = IMAGE.exec(name)?.[1];
    if (DAMAGED.test(name)) damaged = join(path, name);
    else if (number !== undefined) images.push({ number: Number(number), path: join(path, name) });
  }
  return { images: images.sort((a, b) => b.number - a.number), damaged };
}

export function imageFile(path: string, number: number): ImageFile & { temporaryPath: string } {
  return {
    number,
    path: join(path, `${number}.image`),
    temporaryPath: join(path, `${number}.tmp`),
  };
}

/** Gives the name under which it is kept for whoever wants to look at it. */
export function setAside(path: string, image: ImageFile): string {
  const name = `${image.path}.damaged`;
  renameSync(image.path, name);
  syncDirectorySync(path);
  return name;
}

export interface WrittenImage extends ImageFile {
  readonly bytes: number;
  readonly writtenAt: Date;
}

/** `path`: the guest's directory. */
export function writtenImages(path: string): WrittenImage[] {
  return imagesIn(path).images.map((image) => {
    const { size, mtime } = statSync(image.path);
    return { ...image, bytes: size, writtenAt: mtime };
  });
}

/** Makes a guest's directory by `fill`, which gets its path for the time being; it is there whole, or not at all. */
export async function makeGuestDirectory(
  directory: string,
  guest: string,
  fill: (path: string) => Promise<void>,
): Promise<void> {
  const making = guestDirectory(directory, `.new-${guest}`);
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { mode: 0o700 });
  try {
    await fill(making);
    await rename(making, guestDirectory(directory, guest));
    await syncDirectory(join(directory, 'guests'));
  } catch (error) {
    await rm(making, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
}

/** Gone in one rename; how long the disk takes over the rest is nobody's business. */
export async function removeGuestDirectory(directory: string, guest: string): Promise<void> {
  const going = guestDirectory(directory, `.old-${guest}-${process.hrtime.bigint()}`);
  await rename(guestDirectory(directory, guest), going);
  await syncDirectory(join(directory, 'guests'));
  await rm(going, { recursive: true, force: true });
}
