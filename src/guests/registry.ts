/**
 * The guests of a daemon, by name, and the processors that run them. Main thread only.
 */
import type { Logger } from 'pino';
import type { GuestConfig } from '../../schemas/guests.ts';
import {
  GUESTS_MAX,
  RECORDING_BACKLOG_BYTES_MAX,
  RECORDINGS_BYTES_MAX,
  SHUTDOWN_GRACE_MILLIS,
} from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import { startPool, stopPool } from '../processors/pool.ts';
import { findStuck } from '../processors/stuck.ts';
import type { Pool } from '../processors/pool.ts';
import { compileEngine, guestMemory, openEngine } from '../rings/engine.ts';
import type { Engine } from '../rings/engine.ts';
import { ImageWriteError } from '../state/images.ts';
import type { Damage } from '../state/load.ts';
import { nextEpoch } from '../state/pieces.ts';
import type { JournalEnd } from '../state/journal/read-journal.ts';
import type { State } from '../state/state.ts';
import { releaseDeadMemory } from '../rings/release.ts';
import { answerPlacesOf } from './facts.ts';
import type { AnswerPlaces } from './facts.ts';
import { openGuest } from './guest.ts';
import type { OwnedGuest } from './guest.ts';
import { processorsOf } from './guest-state.ts';
import type { Journal } from './journal/journal.ts';
import { BIRTH, followJournal, keepJournal } from './journal/keep.ts';
import { layOut } from './layout.ts';
import type { RecordingBudget } from './recording/recordings.ts';
import type { Guest, Guests, GuestsState } from './types.ts';

/** How long a peer that takes no answers can hold up the end of its guest: half of what a shutdown may take. */
const ANSWER_GRACE_MILLIS = SHUTDOWN_GRACE_MILLIS / 2;

/** Between looks at who waits for a lock. */
const STUCK_LOOK_MILLIS = 1000;

export interface GuestBounds {
  /** Tables get only the room that they count with for a quota; else whatever their guest's memory has. */
  readonly boundTables?: boolean;
  /** Memory that all recordings may take, and how much of it may wait for one's thread. */
  readonly recordingsBytesMax?: number;
  readonly recordingBacklogBytesMax?: number;
  /** Absent: guests end with the daemon. */
  readonly state?: State | undefined;
}

export interface GuestsOptions extends GuestBounds {
  readonly processors: number;
  readonly log: Logger;
}

interface Registry {
  readonly log: Logger;
  readonly state: State | undefined;
  readonly module: WebAssembly.Module;
  readonly pool: Pool;
  readonly boundTables: boolean;
  readonly recordingBudget: RecordingBudget;
  /** By number: a guest's number is its bits in the bells. */
  readonly byNumber: (OwnedGuest | undefined)[];
  readonly byName: Map<string, OwnedGuest>;
  readonly removals: Map<string, Promise<void>>;
  closing: Promise<void> | undefined;
  /** The same for all guests: known from the first on. */
  answerPlaces: AnswerPlaces | undefined;
}

/** With the guests that the state keeps, as they were. */
export async function openGuests(options: GuestsOptions): Promise<Guests> {
  const module = await compileEngine();
  const pool = await startPool(module, options.processors);
  return guestsOn(pool, module, options.log, options);
}

/** The guests of a pool, which is theirs from now on. */
export function guestsOn(
  pool: Pool,
  module: WebAssembly.Module,
  log: Logger,
  bounds: GuestBounds = {},
): Guests {
  const { state } = bounds;
  const byName = new Map<string, OwnedGuest>();
  const registry: Registry = {
    log,
    state,
    module,
    pool,
    boundTables: bounds.boundTables ?? false,
    recordingBudget: {
      bytesMax: bounds.recordingsBytesMax ?? RECORDINGS_BYTES_MAX,
      backlogBytesMax: bounds.recordingBacklogBytesMax ?? RECORDING_BACKLOG_BYTES_MAX,
      takenBytes: () =>
        [...byName.values()].reduce((sum, { recordings }) => sum + recordings.takenBytes(), 0),
    },
    byName,
    byNumber: [],
    removals: new Map(),
    closing: undefined,
    answerPlaces: undefined,
  };
  hearDeaths(registry);
  for (const name of state?.names ?? []) restore(registry, name);
  const watch = setInterval(() => reportStuck(registry, log), STUCK_LOOK_MILLIS).unref();
  return {
    state: state && stateOf(state),
    create: async (name, config) => create(registry, name, config),
    get: (name) => byName.get(name),
    list: () => [...byName.values()],
    processors: () =>
      pool.processors.map(({ index, alive, streams, deaths }) => ({
        index,
        alive,
        streams,
        deaths,
      })),
    remove: (name) => remove(registry, name),
    close: () => {
      clearInterval(watch);
      return (registry.closing ??= close(registry));
    },
  };
}

function hearDeaths({ pool, byName, log }: Registry): void {
  pool.onSuccession = (processor, error) => {
    log.error(
      { err: error, processor: processor.index },
      'a processor died: its successor goes on',
    );
    for (const guest of byName.values()) guest.noteDeath(processor);
  };
  pool.onDeath = (processor, error) => {
    log.fatal(
      { err: error, processor: processor.index },
      'a processor dies again and again: its guests fail',
    );
    for (const guest of byName.values()) {
      if (guest.isOn(processor)) guest.fail(`processor ${processor.index} died: ${error.message}`);
    }
  };
}

/** What may be asked of it, with problems for answers. */
function stateOf(state: State): GuestsState {
  return {
    ...state,
    refusal(name) {
      const damage = state.damage(name);
      return damage && damaged(damage);
    },
    snapshot: (name) => kept(state.snapshot(name)),
  };
}

function reportStuck({ byName, pool }: Registry, log: Logger): void {
  for (const { watched } of byName.values()) {
    for (const stuck of findStuck(watched, processorsOf(pool))) {
      log.warn(stuck, 'a processor waits for a lock; a holder that makes no progress is a defect');
    }
  }
}

async function create(registry: Registry, name: string, config: GuestConfig): Promise<Guest> {
  const { state } = registry;
  if (registry.closing !== undefined) throw problem('shutting-down', 'the daemon shuts down');
  if (registry.byName.has(name))
    throw problem('guest-exists', `there is a guest "${name}" already`);
  const damage = state?.damage(name);
  if (damage !== undefined) throw damaged(damage);
  const memory = memoryFor(name);
  const engine = openEngine(registry.module, memory);
  // Before anything is written: it is noted what was.
  if (state !== undefined) nextEpoch(memory, engine.map);
  layOut(config, engine, memory.buffer.byteLength, registry.boundTables);
  const guest = register(registry, name, config, new Date(), memory, engine);
  try {
    if (state !== undefined) await kept(state.create(guest.kept));
  } catch (error) {
    forget(registry, guest);
    throw error;
  }
  guest.begin(config.state, journalOf(registry, guest, BIRTH));
  return guest;
}

/** Makes a guest known that runs nothing yet. */
function register(
  registry: Registry,
  name: string,
  config: GuestConfig,
  createdAt: Date,
  memory: WebAssembly.Memory,
  engine: Engine,
): OwnedGuest {
  const number = freeNumber(registry);
  if (number === GUESTS_MAX)
    throw problem('guest-limit', `the daemon has ${GUESTS_MAX} guests, as many as it may`);
  const { pool } = registry;
  registry.answerPlaces ??= answerPlacesOf(engine);
  const { answerPlaces, recordingBudget } = registry;
  const { map } = engine;
  const { state } = registry;
  const guest = openGuest({
    name,
    number,
    config,
    createdAt,
    memory,
    map,
    engine,
    pool,
    answerPlaces,
    recordingBudget,
    // A change of state is no record of a stream, so the journal does not have it: an image does.
    keepState: state?.durability === 'journal' ? () => kept(state.snapshot(name)) : undefined,
  });
  registry.byName.set(name, guest);
  registry.byNumber[number] = guest;
  return guest;
}

function forget({ byName, byNumber }: Registry, guest: OwnedGuest): void {
  byName.delete(guest.name);
  byNumber[byNumber.indexOf(guest)] = undefined;
}

/** A guest that the state has, as it was; one that is damaged is left to whoever asks for it. */
function restore(registry: Registry, name: string): void {
  const memory = memoryFor(name);
  const engine = openEngine(registry.module, memory);
  const loaded = registry.state!.load(name, memory, engine.map);
  if ('reason' in loaded) return;
  const { state, log } = registry;
  const recovered = followJournal(state!, log, name, loaded, engine, memory);
  if (recovered === undefined) return;
  engine.calls.wakeGuest();
  const guest = register(registry, name, loaded.config, loaded.createdAt, memory, engine);
  state!.adopt(guest.kept, loaded, recovered.sizes.size === 0 ? undefined : recovered);
  guest.begin(loaded.facts.state, journalOf(registry, guest, recovered));
}

/** Undefined: none is asked for. */
function journalOf(
  { state, log }: Registry,
  { name, createdAt, kept: { memory, map } }: OwnedGuest,
  end: JournalEnd,
): Journal | undefined {
  if (state?.durability !== 'journal') return undefined;
  return keepJournal(state, log, name, createdAt, memory, map, end);
}

/** What whoever asks for such a guest is told. */
function damaged({ guest, reason, advice }: Damage): ProblemError {
  return problem('guest-damaged', `${guest}: ${reason}; ${advice}`);
}

/** What the disk refuses is a problem for whoever asked. */
async function kept<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ImageWriteError)) throw error;
    throw problem('state-unwritable', error.message, { cause: error });
  }
}

function freeNumber({ byNumber }: Registry): number {
  const hole = byNumber.indexOf(undefined);
  return hole === -1 ? byNumber.length : hole;
}

function memoryFor(name: string): WebAssembly.Memory {
  try {
    return guestMemory();
  } catch (error) {
    throw problem('guest-limit', `no address space is left for guest "${name}"`, { cause: error });
  }
}

async function remove(registry: Registry, name: string): Promise<void> {
  const { state, byName, removals } = registry;
  const guest = byName.get(name);
  if (guest === undefined && state?.damage(name) === undefined)
    throw problem('guest-not-found', `there is no guest "${name}"`);
  const going = removals.get(name);
  if (going !== undefined) return going;
  const removal = removeKept(registry, name, guest).finally(() => removals.delete(name));
  removals.set(name, removal);
  await removal;
  // Not in this turn: whoever asked for the removal still has the guest in hand.
  if (removals.size === 0) setImmediate(releaseDeadMemory);
}

/** From the disk first: what is gone must not come back. */
async function removeKept(
  registry: Registry,
  name: string,
  guest: OwnedGuest | undefined,
): Promise<void> {
  if (guest?.status().state === 'creating')
    throw problem('guest-state', `${name} is being created: it takes nothing yet`);
  if (registry.state !== undefined) await kept(registry.state.remove(name));
  await guest?.finish({ kind: 'deleted' }, ANSWER_GRACE_MILLIS);
  if (guest !== undefined) forget(registry, guest);
}

async function close(registry: Registry): Promise<void> {
  const { state, byName, pool } = registry;
  await state?.rest();
  try {
    await Promise.all(
      [...byName.values()].map((guest) => guest.finish({ kind: 'shutdown' }, ANSWER_GRACE_MILLIS)),
    );
    await stopPool(pool);
  } finally {
    await state?.close();
  }
}
