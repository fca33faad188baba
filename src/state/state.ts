/**
 * The state of a daemon: which guests there are, as files that outlive it. docs/state.md says what is kept, what is lost when,
 * and what to do with a damaged file.
 *
 * A guest is kept from its creation on: its first image is on the disk before it is there. What changes later is kept by
 * images that replace each other: one before the daemon ends, and in between as the durability says. An image that cannot
 * be written leaves the one before in force; that state is `failing` until it is written after all. Main thread only.
 */
import type { Logger } from 'pino';
import type { Durability } from '../../schemas/durabilities.ts';
import { STATE_LOOK_MILLIS, STATE_RETRY_MILLIS } from '../../schemas/limits.ts';
import type { MemoryMap } from '../rings/engine.ts';
import {
  guestDirectory,
  guestsIn,
  makeDirectory,
  makeGuestDirectory,
  removeGuestDirectory,
  writtenImages,
} from './directory.ts';
import type { WrittenImage } from './directory.ts';
import { loadNewest } from './load.ts';
import type { Damage, LoadedGuest } from './load.ts';
import { ImageWriteError, openImageThread } from './images.ts';
import type { ImageThread, TakenImage } from './images.ts';
import { FIRST, takeFirst, takeNext } from './kept-guest.ts';
import type { KeptGuest } from './kept-guest.ts';
import { lockDirectory, StateTakenError, StateUnusableError } from './lock.ts';
import type { StateLock } from './lock.ts';

export interface StateOptions {
  readonly directory: string;
  /** none: images when the daemon ends only; snapshot: every so many seconds, too; journal: when the journal wants one. */
  readonly durability: Durability;
  readonly snapshotSeconds: number;
  readonly log: Logger;
}

export interface Snapshot extends TakenImage {
  readonly guest: string;
  readonly number: number;
  readonly path: string;
}

export interface StateStatus {
  /** Guests whose last image or whose journal cannot be written, with what keeps it from that. */
  readonly failing: ReadonlyMap<string, string>;
  readonly damaged: readonly Damage[];
  readonly snapshots: number;
  readonly failures: number;
  /** By guest: when the image in force was taken, in milliseconds since 1970, and its bytes. */
  readonly newest: ReadonlyMap<
    string,
    { takenAtMillis: number; bytes: number; heldMillis: number }
  >;
}

export interface State {
  readonly directory: string;
  readonly durability: Durability;
  /** The guests that are there, for whoever starts them: each is loaded, then adopted. */
  readonly names: readonly string[];
  /** Reads the newest image of a guest into a fresh memory. Damage: it cannot be had, and nothing of it is to be used. */
  load(name: string, memory: WebAssembly.Memory, map: MemoryMap): LoadedGuest | Damage;
  /** Keeps a guest that was loaded. `recovered`: its journal has brought it further, and its segments go before this one. */
  adopt(guest: KeptGuest, loaded: LoadedGuest, recovered?: { readonly segment: number }): void;
  /** A guest whose image was loaded cannot be started after all. */
  refuse(damage: Damage): void;
  /** Where a guest's files are. */
  guestDirectory(name: string): string;
  /** Keeps a guest that was made and does not run yet. Throws ImageWriteError, and then it is not kept. */
  create(guest: KeptGuest): Promise<void>;
  /** Why a guest of this name cannot be started. */
  damage(name: string): Damage | undefined;
  /** Forgets a guest, kept or damaged, and its files. */
  remove(name: string): Promise<void>;
  /** Takes an image now. Throws ImageWriteError; what ended the guest meanwhile. */
  snapshot(name: string): Promise<Snapshot>;
  /** The images of a guest, the newest first. */
  images(name: string): readonly WrittenImage[];
  status(): StateStatus;
  /** From now on nothing begins by itself; resolves when nothing goes on any more. */
  rest(): Promise<void>;
  /** Takes the last images, of guests of which nothing is executed any more, and lets go of the directory. */
  close(): Promise<void>;
}

interface Kept {
  readonly guest: KeptGuest;
  number: number;
  /** `records` and the state of the image in force. */
  seen: string;
  newest: { takenAtMillis: number; bytes: number; heldMillis: number };
  /** When the last image was begun, well or not. */
  begunAt: number;
  /** One that is due waits for its turn, or is being taken. */
  isBegun: boolean;
}

interface Keeping {
  readonly options: StateOptions;
  readonly lock: StateLock;
  readonly thread: ImageThread;
  /** For guests that are made: they do not wait for a large one's image. */
  readonly births: ImageThread;
  readonly kept: Map<string, Kept>;
  readonly damaged: Map<string, Damage>;
  readonly failing: Map<string, string>;
  snapshots: number;
  failures: number;
  /** One image of a guest that runs at a time. */
  turn: Promise<unknown>;
}

/** Throws StateTakenError, StateUnusableError. */
export function openState(options: StateOptions): State {
  const { lock, names } = openDirectory(options.directory);
  const keeping: Keeping = {
    options,
    lock,
    thread: openImageThread(),
    births: openImageThread(),
    kept: new Map(),
    damaged: new Map(),
    failing: new Map(),
    snapshots: 0,
    failures: 0,
    turn: Promise.resolve(),
  };
  const { directory, durability } = options;
  // Larger than a file may be: then a write fails, as on a full disk, instead of ending the process.
  process.on('SIGXFSZ', ignore);
  const watch = setInterval(() => look(keeping), STATE_LOOK_MILLIS).unref();
  return {
    directory,
    durability,
    names,
    load: (name, memory, map) => load(keeping, name, memory, map),
    adopt: (guest, loaded, recovered) => adopt(keeping, guest, loaded, recovered),
    refuse: (one) => refuse(keeping, one),
    guestDirectory: (name) => guestDirectory(directory, name),
    create: (guest) => create(keeping, guest),
    damage: (name) => keeping.damaged.get(name),
    remove: (name) => remove(keeping, name),
    snapshot: (name) =>
      inTurn(keeping, () => snapshot(keeping, keptNamed(keeping, name), 'running')),
    images: (name) => writtenImages(guestDirectory(directory, name)),
    status: () => statusOf(keeping),
    async rest() {
      clearInterval(watch);
      await keeping.turn;
    },
    close: () => close(keeping),
  };
}

function openDirectory(directory: string): { lock: StateLock; names: string[] } {
  try {
    makeDirectory(directory);
    const lock = lockDirectory(directory);
    return { lock, names: guestsIn(directory) };
  } catch (error) {
    if (error instanceof StateTakenError) throw error;
    throw new StateUnusableError(`${directory} cannot be used (${(error as Error).message})`, {
      cause: error,
    });
  }
}

function ignore(): void {}

function load(
  keeping: Keeping,
  name: string,
  memory: WebAssembly.Memory,
  map: MemoryMap,
): LoadedGuest | Damage {
  const path = guestDirectory(keeping.options.directory, name);
  const loaded = loadNewest(path, name, memory, map);
  if ('reason' in loaded) refuse(keeping, loaded);
  return loaded;
}

function refuse({ options, damaged }: Keeping, damage: Damage): void {
  const { guest, reason, advice } = damage;
  damaged.set(guest, damage);
  options.log.error(damage, `guest ${guest} is not started: ${reason}; ${advice}`);
}

function adopt(
  keeping: Keeping,
  guest: KeptGuest,
  { number, newest }: LoadedGuest,
  recovered: { readonly segment: number } | undefined,
): void {
  // An image's number is its segment's: no segment is to follow an image that does not belong to it.
  const one = keep(keeping, guest, Math.max(number, (recovered?.segment ?? 0) - 1), newest);
  if (recovered !== undefined) one.seen = 'its journal is ahead of its image';
}

function keep({ kept }: Keeping, guest: KeptGuest, number: number, newest: Kept['newest']): Kept {
  const seen = sightOf(guest);
  const one = { guest, number, newest, seen, begunAt: Date.now(), isBegun: false };
  kept.set(guest.name, one);
  return one;
}

/** Differs when an image would. */
function sightOf(guest: KeptGuest): string {
  return `${guest.facts()?.state} ${guest.records()}`;
}

async function create(keeping: Keeping, guest: KeptGuest): Promise<void> {
  const { options, births } = keeping;
  try {
    await makeGuestDirectory(options.directory, guest.name, async (path) => {
      const taken = await takeFirst(births, guest, path);
      keep(keeping, guest, FIRST, newestOf(taken));
    });
    keeping.snapshots++;
  } catch (error) {
    keeping.kept.delete(guest.name);
    keeping.failures++;
    throw asWriteError(error);
  }
}

/** Of the file system, from the thread or from here: it is one matter. */
function asWriteError(error: unknown): unknown {
  const { code, message, syscall } = error as NodeJS.ErrnoException;
  return code !== undefined && syscall !== undefined ? new ImageWriteError(code, message) : error;
}

function newestOf({ facts, bytes, heldMillis }: TakenImage): Kept['newest'] {
  return { takenAtMillis: Date.parse(facts.takenAt), bytes, heldMillis };
}

async function remove({ options, kept, damaged, failing, turn }: Keeping, name: string) {
  const one = kept.get(name);
  kept.delete(name);
  // An image of it may be being taken.
  await turn;
  try {
    await removeGuestDirectory(options.directory, name);
  } catch (error) {
    if (one !== undefined) kept.set(name, one);
    throw asWriteError(error);
  }
  damaged.delete(name);
  failing.delete(name);
}

/** Begins what is due, one guest after the other. */
function look(keeping: Keeping): void {
  const { options, kept, failing } = keeping;
  for (const one of kept.values()) {
    const since = Date.now() - one.begunAt;
    const isDue =
      options.durability === 'snapshot' &&
      since >= options.snapshotSeconds * 1000 &&
      sightOf(one.guest) !== one.seen;
    const again = failing.has(one.guest.name) && since >= STATE_RETRY_MILLIS;
    const wants = one.guest.journal()?.wantsImage();
    const soon = wants === 'answers wait' || (wants !== undefined && since >= STATE_RETRY_MILLIS);
    if (one.isBegun || !(isDue || again || soon)) continue;
    one.isBegun = true;
    void inTurn(keeping, () => snapshot(keeping, one, 'running'))
      .catch(() => {})
      .finally(() => {
        one.isBegun = false;
      });
  }
}

function keptNamed({ kept }: Keeping, name: string): Kept {
  const one = kept.get(name);
  if (one === undefined) throw new Error(`guest ${name} is not kept`);
  return one;
}

function inTurn<T>(keeping: Keeping, work: () => Promise<T>): Promise<T> {
  const done = keeping.turn.then(work);
  keeping.turn = done.catch(() => {});
  return done;
}

async function snapshot(keeping: Keeping, one: Kept, guestIs: 'running' | 'still') {
  const { options, kept, thread, log } = { ...keeping, log: keeping.options.log };
  const { guest } = one;
  if (kept.get(guest.name) !== one) throw new Error(`guest ${guest.name} is not kept any more`);
  const path = guestDirectory(options.directory, guest.name);
  one.begunAt = Date.now();
  let seen = one.seen;
  try {
    const { file, ...taken } = await takeNext(thread, guest, path, one.number + 1, guestIs, () => {
      seen = sightOf(guest);
    });
    Object.assign(one, { number: file.number, seen, newest: newestOf(taken) });
    keeping.snapshots++;
    if (keeping.failing.delete(guest.name))
      log.warn({ guest: guest.name }, `${guest.name} is kept again: its image was written`);
    return { guest: guest.name, number: file.number, path: file.path, ...taken };
  } catch (thrown) {
    const error = asWriteError(thrown);
    if (error instanceof ImageWriteError) noteFailure(keeping, guest.name, error);
    throw error;
  }
}

/** Said once, not at every try. */
function noteFailure(keeping: Keeping, guest: string, error: ImageWriteError): void {
  keeping.failures++;
  const isNew = !keeping.failing.has(guest);
  keeping.failing.set(guest, error.message);
  if (isNew)
    keeping.options.log.error(
      { err: error, guest },
      `the state of ${guest} cannot be written: make room in ${keeping.options.directory}; it is tried again, and what is kept is the snapshot before`,
    );
}

function statusOf({ failing, damaged, snapshots, failures, kept }: Keeping): StateStatus {
  const newest = new Map([...kept].map(([name, one]) => [name, one.newest]));
  const troubles = new Map(failing);
  for (const [name, { guest }] of kept) {
    const trouble = guest.journal()?.trouble();
    if (trouble !== undefined) troubles.set(name, trouble.message);
  }
  return { failing: troubles, damaged: [...damaged.values()], snapshots, failures, newest };
}

/** Rejects with what kept an image from being written, when all others are. */
async function close(keeping: Keeping): Promise<void> {
  let failure: unknown;
  try {
    for (const one of keeping.kept.values()) {
      await keepLast(keeping, one).catch((error: unknown) => {
        failure = error;
      });
      await one.guest.journal()?.close();
    }
  } finally {
    await Promise.all([keeping.thread.close(), keeping.births.close()]);
    process.off('SIGXFSZ', ignore);
    keeping.lock.release();
  }
  if (failure !== undefined) throw failure;
}

async function keepLast(keeping: Keeping, one: Kept): Promise<void> {
  if (one.guest.facts() === undefined) return;
  if (sightOf(one.guest) === one.seen && !keeping.failing.has(one.guest.name)) return;
  await snapshot(keeping, one, 'still');
}
