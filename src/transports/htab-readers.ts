/**
 * The open readers of table streams that REST gives out, by a number that is never used again. Main thread.
 *
 * A reader belongs to nobody's connection, so it ends when it is closed, when a pass of it is cut short (its changes are
 * lost then), or when it is left alone for too long: the engine has few, and makes every hcall note its changes for them.
 */
import { HTAB_READERS_MAX } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import type { Guest } from '../guests/types.ts';
import type { Readable } from 'node:stream';
import { runOperation } from './controls.ts';
import { readPass } from './htab-read.ts';

const BOLTED_ONLY = 1n;
const STOPS = 2n;

interface Reader {
  readonly guest: Guest;
  /** Of the engine. */
  readonly number: bigint;
  reading: boolean;
  /** Closes it when nobody comes back. */
  idle: NodeJS.Timeout | undefined;
}

export interface Readers {
  /** The first pass, of a reader that closes behind it. */
  readOnce(guest: Guest, boltedOnly: boolean): Promise<Readable>;
  /** The first pass, of a reader that stays. */
  follow(guest: Guest, boltedOnly: boolean): Promise<{ id: number; pass: Readable }>;
  /** Throws htab-reader-not-found, htab-reader-busy. */
  next(guest: Guest, id: number): Readable;
  close(guest: Guest, id: number): Promise<void>;
}

interface Open {
  /** How long a pass may stand still, and a reader be left alone. */
  readonly idleMillis: number;
  /** By what REST calls them. */
  readonly readers: Map<number, Reader>;
}

export function openReaders(idleMillis: number): Readers {
  const open: Open = { idleMillis, readers: new Map() };
  let ids = 0;
  return {
    async readOnce(guest, boltedOnly) {
      const reader = await openReader(guest, boltedOnly);
      return orClosed(guest, reader, () =>
        readPass({ guest, reader, onlyPass: true, idleMillis, onEnd() {} }),
      );
    },
    async follow(guest, boltedOnly) {
      const number = await openReader(guest, boltedOnly);
      const id = ++ids;
      const reader: Reader = { guest, number, reading: false, idle: undefined };
      const first = orClosed(guest, number, () => begin(open, id, reader));
      open.readers.set(id, reader);
      return { id, pass: first };
    },
    next: (guest, id) => begin(open, id, readerOf(open, guest, id)),
    close: (guest, id) => close(open, guest, id),
  };
}

/** Begins a pass. */
function begin(open: Open, id: number, reader: Reader): Readable {
  const { guest, number } = reader;
  const readable = readPass({
    guest,
    reader: number,
    onlyPass: false,
    idleMillis: open.idleMillis,
    onEnd(whole) {
      reader.reading = false;
      if (!whole) return forget(open, id);
      // The guest may be gone by then, and its readers with it.
      const closeIt = (): void => void close(open, guest, id).catch(() => {});
      reader.idle = setTimeout(closeIt, open.idleMillis).unref();
    },
  });
  clearTimeout(reader.idle);
  reader.reading = true;
  return readable;
}

function readerOf(open: Open, guest: Guest, id: number): Reader {
  const reader = open.readers.get(id);
  if (reader === undefined || reader.guest !== guest)
    throw problem(
      'htab-reader-not-found',
      `${guest.name} has no table reader ${id}: it was closed, cut short, or left alone for ${open.idleMillis} ms`,
    );
  if (reader.reading)
    throw problem('htab-reader-busy', `a pass of table reader ${id} is being read`);
  return reader;
}

async function close(open: Open, guest: Guest, id: number): Promise<void> {
  const { number } = readerOf(open, guest, id);
  forget(open, id);
  await runOperation(guest, 'HTAB_CLOSE', number);
}

function forget(open: Open, id: number): void {
  clearTimeout(open.readers.get(id)?.idle);
  open.readers.delete(id);
}

/** What cannot begin to read leaves no reader behind. */
function orClosed(guest: Guest, reader: bigint, read: () => Readable): Readable {
  try {
    return read();
  } catch (error) {
    void runOperation(guest, 'HTAB_CLOSE', reader).catch(() => {});
    throw error;
  }
}

/**
 * From here on every change is noted. An hcall that began before may have looked whether to note its change a moment too
 * early, and its entry may be passed by as empty: so the first read waits for all of those.
 */
async function openReader(guest: Guest, boltedOnly: boolean): Promise<bigint> {
  guest.checkStream();
  const { status, words } = await runOperation(
    guest,
    'HTAB_OPEN',
    0n,
    STOPS | (boltedOnly ? BOLTED_ONLY : 0n),
  );
  if (status === STATUSES.H_RESOURCE)
    throw problem('htab-reader-limit', `${guest.name} has ${HTAB_READERS_MAX} table readers open`);
  if (status !== STATUSES.H_SUCCESS)
    throw problem('no-table', `the guest ${guest.name} has no table`);
  await guest.allPassed();
  return words[0]!;
}
