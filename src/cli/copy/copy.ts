/**
 * Copies a guest from one daemon to another while it runs, over the table stream alone (docs/htab.md).
 *
 *     migrating: create there, passes ... -> paused: the last pass, compare -> run there
 *
 * Until the destination is asked to run, whatever goes wrong is undone: the copy is deleted and the source goes on as it
 * was. An hcall is acknowledged before the source was paused, and then the last pass has it, or not at all there.
 */
import { guestConfig } from '../../../schemas/guests.ts';
import { RefusedError } from '../../client/errors.ts';
import { loadTable, readTable } from '../../client/htab.ts';
import { connectRest, type Json, type Rest } from '../../client/rest.ts';
import { CliError, EXIT } from '../errors.ts';
import { handOver } from './hand-over.ts';
import { placeText, type Place } from './place.ts';
import { changeState, guestPath, type Copy, type CopyOptions, type PassReport } from './session.ts';
import { undo } from './undo.ts';

/** So little changed that the guest can be paused for the rest: some milliseconds. */
const SMALL_BYTES = 256 * 1024;
/** A guest that changes its table as fast as it is copied is paused all the same. */
const PASSES_MAX = 20;
/** A pass that is not this much smaller than the one before gains nothing. */
const SHRINKS_TO = 0.8;
/** Times the copy begins again because the table was replaced under it. */
const ATTEMPTS_MAX = 3;

export interface CopyReport {
  readonly source: string;
  readonly destination: string;
  readonly attempts: number;
  readonly passes: readonly PassReport[];
  readonly pausedMillis: number;
  readonly order: number;
  /** Of both tables; null: a guest without a table. */
  readonly fnv1a64: string | null;
  readonly validEntries: number;
  /** Of the guest at its destination. */
  readonly state: 'running' | 'paused';
  readonly sourceDeleted: boolean;
}

export class CancelledError extends Error {
  override readonly name = 'CancelledError';
}

export async function copyGuest(options: CopyOptions): Promise<CopyReport> {
  const [source, target] = [restOf(options.from), restOf(options.to)];
  const guest = await source.getGuest(options.from.guest);
  const { state } = guest;
  if (state !== 'running' && state !== 'paused')
    throw refusal(
      `${options.from.guest} is ${String(state)}`,
      'only a running or paused guest can be copied',
    );
  if (guest['memory'] === 'backed')
    throw refusal(
      `${options.from.guest} keeps the bytes of its memory, which a table stream does not carry`,
      'only guests with memory=none can be copied',
    );
  await mustBeFree(target, options.to);
  for (let attempts = 1; ; attempts++) {
    const copy: Copy = {
      ...options,
      source,
      target,
      state,
      created: false,
      reader: undefined,
      handedOver: false,
      passes: [],
      pausedAt: 0,
    };
    const report = await attempt(copy);
    if (report !== undefined) return { ...report, attempts };
    if (attempts === ATTEMPTS_MAX)
      throw refusal(
        `the table of ${options.from.guest} was replaced during each of ${ATTEMPTS_MAX} attempts; it is as it was`,
        'copy it when it does not resize its table',
      );
  }
}

function restOf(place: Place): Rest {
  return connectRest(place.daemon, place);
}

function refusal(message: string, advice: string): CliError {
  return new CliError(EXIT.data, message, advice);
}

async function mustBeFree(target: Rest, to: Place): Promise<void> {
  const there = await target.listGuests();
  if (there.some(({ name }) => name === to.guest))
    throw refusal(
      `there is a guest ${placeText(to)} already`,
      `delete it first, or give the copy another name: ${placeText({ ...to, guest: 'NAME' })}`,
    );
}

/** Undefined: the source's table or memory was replaced meanwhile; all is as it was, and the copy may begin again. */
async function attempt(copy: Copy): Promise<Omit<CopyReport, 'attempts'> | undefined> {
  let described: Json = {};
  let hash: Hash | undefined;
  try {
    described = await begin(copy);
    hash = await passes(copy, described);
    if (hash !== undefined) await handOver(copy);
  } catch (error) {
    const changed = !copy.signal.aborted && !copy.handedOver && (await hasChanged(copy, described));
    await undo(copy, error);
    if (copy.signal.aborted) throw new CancelledError('the copy was cancelled', { cause: error });
    if (!changed) throw error;
    return undefined;
  }
  if (hash !== undefined) return finish(copy, described, hash);
  await undo(copy, new Error('the table was replaced'));
  return undefined;
}

async function begin(copy: Copy): Promise<Json> {
  const { source, target, from, to, signal } = copy;
  signal.throwIfAborted();
  copy.onStep?.('creating the guest', 0);
  if (copy.state === 'running') await changeState(source, from.guest, 'migrating');
  const described = await source.getGuest(from.guest);
  const { config, slotsLater } = configOf(described);
  signal.throwIfAborted();
  copy.created = true;
  try {
    await target.createGuest(to.guest, config);
  } catch (error) {
    // Refused: what is there by that name, if anything, is not ours.
    if (error instanceof RefusedError) copy.created = false;
    throw error;
  }
  for (const { number, ...slot } of slotsLater)
    await target.send('PUT', `${guestPath(to.guest)}/memslots/${String(number)}`, slot);
  return described;
}

/** Slots get their numbers in order when a guest is created; those behind a hole are added one by one. */
function configOf(described: Json): { config: Json; slotsLater: readonly Json[] } {
  const given = Object.keys(guestConfig.shape).filter((name) => name in described);
  const slots = described['memslots'] as Json[];
  const hole = slots.findIndex(({ number }, i) => number !== i);
  const first = hole === -1 ? slots : slots.slice(0, hole);
  const sum = slots.reduce(
    (bytes, slot) => bytes + (slot['kind'] === 'ram' ? Number(slot['bytes']) : 0),
    0,
  );
  const config: Json = {
    ...Object.fromEntries(given.map((name) => [name, described[name]])),
    order: described['orderNow'],
    memslots: first.map(({ base, bytes, kind }) => ({ base, bytes, kind })),
    state: 'paused',
  };
  if (config['ramBytes'] === undefined && sum > 0) config['ramBytes'] = sum;
  return { config, slotsLater: slots.slice(first.length) };
}

interface Hash {
  readonly fnv1a64: string | null;
  readonly validEntries: number;
}

/** Undefined: what was copied is not what the source has. */
async function passes(copy: Copy, described: Json): Promise<Hash | undefined> {
  const { source, target, from, to } = copy;
  const hasTable = described['orderNow'] !== 0;
  if (hasTable) {
    await copyPass(copy, `${guestPath(from.guest)}/htab?follow=true`);
    while (copy.state === 'running' && !isEnough(copy.passes)) await copyPass(copy, copy.reader!);
  }
  copy.signal.throwIfAborted();
  copy.onStep?.('pausing the guest', 0);
  copy.pausedAt = performance.now();
  await changeState(source, from.guest, 'paused');
  if (await hasChanged(copy, described)) return undefined;
  if (!hasTable) return { fnv1a64: null, validEntries: 0 };
  await copyPass(copy, copy.reader!);
  copy.onStep?.('comparing the tables', 0);
  const [here, there] = await Promise.all([
    source.send('GET', `${guestPath(from.guest)}/hpt/hash`),
    target.send('GET', `${guestPath(to.guest)}/hpt/hash`),
  ]);
  copy.signal.throwIfAborted();
  return JSON.stringify(here) === JSON.stringify(there) ? (here as Hash) : undefined;
}

function isEnough(done: readonly PassReport[]): boolean {
  const [last, before] = [done.at(-1)!, done.at(-2)];
  if (last.bytes <= SMALL_BYTES || done.length >= PASSES_MAX) return true;
  return before !== undefined && last.bytes > SHRINKS_TO * before.bytes;
}

async function copyPass(copy: Copy, path: string): Promise<void> {
  const { from, to, signal } = copy;
  signal.throwIfAborted();
  const begun = performance.now();
  const { bytes, reader } = await readTable(from, path, signal);
  copy.reader ??= reader;
  const step = `pass ${copy.passes.length + 1}${copy.pausedAt === 0 ? '' : ', paused'}`;
  let seen = 0;
  copy.onStep?.(step, 0);
  bytes.on('data', (chunk: Buffer) => copy.onStep?.(step, (seen += chunk.length)));
  const loaded = await loadTable(to, `${guestPath(to.guest)}/htab`, bytes, signal);
  const millis = performance.now() - begun;
  copy.passes.push({
    bytes: loaded.bytes,
    entries: loaded.entries,
    millis,
    whilePaused: copy.pausedAt !== 0 || copy.state === 'paused',
  });
}

/** The guest's own hcalls may resize its table at any time, and its host may change its memory. */
async function hasChanged({ source, from }: Copy, described: Json): Promise<boolean> {
  if (described['orderNow'] === undefined) return false;
  try {
    const now = await source.getGuest(from.guest);
    return shapeOf(now) !== shapeOf(described);
  } catch {
    return false;
  }
}

function shapeOf(guest: Json): string {
  return JSON.stringify([guest['orderNow'], guest['memslots'], guest['createdAt']]);
}

async function finish(
  copy: Copy,
  described: Json,
  hash: Hash,
): Promise<Omit<CopyReport, 'attempts'>> {
  const { source, from, to, deleteSource, state } = copy;
  const pausedMillis = state === 'paused' ? 0 : performance.now() - copy.pausedAt;
  if (copy.reader !== undefined) await source.send('DELETE', copy.reader).catch(() => {});
  if (deleteSource) await source.deleteGuest(from.guest);
  return {
    source: placeText(from),
    destination: placeText(to),
    passes: copy.passes,
    pausedMillis,
    order: Number(described['orderNow']),
    fnv1a64: hash.fnv1a64,
    validEntries: hash.validEntries,
    state,
    sourceDeleted: deleteSource,
  };
}
