/**
 * Looking at a guest's table over REST: an entry, a group, its statistics, its hash. Main thread;
 * all of it is made of control records that a processor runs, the table as a whole in bounded
 * pieces, so a guest goes on meanwhile. What is shown of a table in use is therefore no snapshot.
 */
import type { FastifyInstance } from 'fastify';
import {
  HPTE_R_KEY_HI,
  HPTE_R_KEY_LO,
  HPTE_V_ABSENT,
  HPTE_V_VALID,
  decodeEntry,
  fromIsa300,
  virtualPageOf,
} from '../../schemas/hpte.ts';
import { CHAIN_LENGTHS, PAGE_SIZES } from '../../schemas/controls.ts';
import { PIECE_ENTRIES_MAX } from '../../schemas/limits.ts';
import { operationByName } from '../../schemas/operations.ts';
import { problem } from '../../schemas/problems.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
import type { Guest, Guests } from '../guests/types.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

const GROUP_ENTRIES = 8;
const FNV_OFFSET_BASIS = 0xcbf2_9ce4_8422_2325n;
const REAL_KEY = HPTE_R_KEY_HI | HPTE_R_KEY_LO;

export function tableRoutes(app: FastifyInstance, guests: Guests): void {
  const hpt = '/v1/guests/:guest/hpt';
  app.get<{ Params: GuestParams & { ptex: string } }>(
    `${hpt}/entries/:ptex`,
    async ({ params }) => {
      const guest = guestNamed(guests, params.guest);
      const ptex = indexIn(params.ptex, tableOf(guest).entries, 'entry');
      return (await inspect(guest, ptex, 1))[0];
    },
  );

  app.get<{ Params: GuestParams & { group: string } }>(
    `${hpt}/groups/:group`,
    async ({ params }) => {
      const guest = guestNamed(guests, params.guest);
      const { entries, order } = tableOf(guest);
      const group = indexIn(params.group, entries / GROUP_ENTRIES, 'group');
      const slots = await inspect(guest, group * GROUP_ENTRIES, GROUP_ENTRIES);
      const occupied = slots.filter((slot) => slot.state !== 'empty').length;
      return { group: hex(BigInt(group)), order, occupied, slots };
    },
  );

  app.get<{ Params: GuestParams }>(`${hpt}/statistics`, async ({ params }) => {
    const guest = guestNamed(guests, params.guest);
    return { ...(await countTable(guest)), ...(await shapeTable(guest)) };
  });

  app.get<{ Params: GuestParams }>(`${hpt}/hash`, async ({ params }) => {
    return hashTable(guestNamed(guests, params.guest));
  });
}

interface Table {
  order: number;
  entries: number;
}

/** Throws no-table. */
function tableOf(guest: Guest): Table {
  const { order } = guest.status();
  if (order === 0) throw problem('no-table', `the guest ${guest.name} has no table`);
  return { order, entries: 2 ** (order - 4) };
}

/** A decimal or hexadecimal number below `limit`. */
function indexIn(text: string, limit: number, what: 'entry' | 'group'): number {
  const index = /^(0x[0-9a-fA-F]{1,12}|[0-9]{1,15})$/.test(text) ? Number(text) : Number.NaN;
  if (index < limit) return index;
  const plural = what === 'entry' ? 'entries' : 'groups';
  throw problem(
    'ptex-out-of-range',
    `${JSON.stringify(text)} is no ${what} of this table, which has ${limit} ${plural}`,
  );
}

function control(name: string, words: readonly bigint[]): RequestRecord {
  return { opcode: operationByName(name)!.opcode, tag: 0, words };
}

/** The entries from `first` on, read one after the other by one processor. */
async function inspect(guest: Guest, first: number, count: number) {
  const { order } = tableOf(guest);
  const indices = Array.from({ length: count }, (_, i) => BigInt(first + i));
  const answers = await guest.run(indices.map((ptex) => control('ENTRY_INSPECT', [ptex])));
  return answers.map((answer, i) => {
    if (answer.status !== STATUSES.H_SUCCESS) throw tableChanged(guest);
    return entryJson(indices[i]!, answer.words, order, guest.config.isa300);
  });
}

function entryJson(ptex: bigint, words: readonly bigint[], order: number, isa300: boolean) {
  const [dword0, dword1, guestRpte, forw, back, pteh, ptel] = words as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const group = ptex >> 3n;
  const state = stateOf(dword0, dword1);
  const real = isa300 ? fromIsa300(dword0, dword1) : { dword0, dword1 };
  const empty = state === 'empty';
  return {
    ptex: hex(ptex),
    group: hex(group),
    slot: Number(ptex & 7n),
    state,
    virtualPage: empty ? null : virtualPageOf(pteh, ptel, group, order),
    guest: empty ? null : decodeEntry(pteh, ptel),
    host: empty ? null : decodeEntry(real.dword0, real.dword1),
    /**
     * Entries that map the same guest page frame, in a ring; only those that the hardware may use
     * are in it.
     */
    chain: state === 'valid' ? { next: hex(forw), previous: hex(back) } : null,
    words: {
      dword0: hex(dword0),
      dword1: hex(dword1),
      guestRpte: hex(guestRpte),
      pteh: hex(pteh),
      ptel: hex(ptel),
      format: isa300 ? 'ISA 3.0' : 'PAPR',
    },
  };
}

/**
 * `absent`: the host's page is away, the guest sees a valid entry; `mmio`: no memory slot is behind
 * it.
 */
function stateOf(dword0: bigint, dword1: bigint): 'valid' | 'absent' | 'mmio' | 'empty' {
  if ((dword0 & HPTE_V_VALID) !== 0n) return 'valid';
  if ((dword0 & HPTE_V_ABSENT) === 0n) return 'empty';
  return (dword1 & REAL_KEY) === REAL_KEY ? 'mmio' : 'absent';
}

const COUNTS = operationByName('TABLE_COUNT')!.results.slice(1);

/** Buckets of the map: as many as a picture has room for. */
const BUCKETS_MAX = 4096;
/** Buckets asked for at once: some milliseconds of a processor at the greatest order. */
const BUCKETS_AT_ONCE = 64;

async function shapeTable(guest: Guest) {
  const { entries } = tableOf(guest);
  const perBucket = Math.max(GROUP_ENTRIES, entries / BUCKETS_MAX);
  const totals = Array.from({ length: 32 }, () => 0);
  const occupied: number[] = [];
  for (let first = 0; first < entries; first += perBucket * BUCKETS_AT_ONCE) {
    const count = Math.min(BUCKETS_AT_ONCE, (entries - first) / perBucket);
    const records = Array.from({ length: count }, (_, i) =>
      control('TABLE_SHAPE', [BigInt(first + i * perBucket), BigInt(perBucket)]),
    );
    for (const { status, words } of await guest.run(records)) {
      if (status !== STATUSES.H_SUCCESS) throw tableChanged(guest);
      const counts = words.slice(1).map(Number);
      counts.forEach((value, i) => {
        totals[i]! += value;
      });
      occupied.push(counts.slice(0, 9).reduce((sum, groups, taken) => sum + groups * taken, 0));
    }
  }
  const named = (names: readonly string[], from: number) =>
    Object.fromEntries(names.map((name, i) => [name, totals[from + i]!]));
  return {
    groupsByEntries: totals.slice(0, 9),
    entriesBySlot: totals.slice(9, 17),
    entriesByPageSize: named(PAGE_SIZES, 17),
    chainsByLength: named(CHAIN_LENGTHS, 24),
    map: { entriesPerBucket: perBucket, occupied },
    processors: guest.counters(),
  };
}

async function countTable(guest: Guest) {
  const { order, entries } = tableOf(guest);
  const totals = COUNTS.map(() => 0n);
  await overPieces(guest, async (ptex, count) => {
    const [next, ...counts] = await runPiece(guest, 'TABLE_COUNT', [ptex, count]);
    counts.forEach((value, i) => {
      totals[i]! += value;
    });
    return next!;
  });
  const counted = Object.fromEntries(COUNTS.map((name, i) => [name, Number(totals[i])]));
  const occupied = counted.valid! + counted.absent!;
  return { order, entries, groups: entries / GROUP_ENTRIES, occupied, ...counted };
}

/** FNV-1a-64 over the table as H_READ shows it, as TABLE_HASH of a trace has it. */
async function hashTable(guest: Guest) {
  let hash = FNV_OFFSET_BASIS;
  let valid = 0n;
  const { order } = tableOf(guest);
  await overPieces(guest, async (ptex, count) => {
    const [hashNow, validNow, next] = await runPiece(guest, 'TABLE_HASH', [
      ptex,
      count,
      hash,
      valid,
    ]);
    hash = hashNow!;
    valid = validNow!;
    return next!;
  });
  return { order, fnv1a64: hex(hash), validEntries: Number(valid) };
}

/**
 * Goes over the whole table; `piece` gives the ptex to go on with. A table replaced meanwhile is no
 * table to count.
 */
async function overPieces(
  guest: Guest,
  piece: (ptex: bigint, count: bigint) => Promise<bigint>,
): Promise<void> {
  const { order, entries } = tableOf(guest);
  const end = BigInt(entries);
  for (let ptex = 0n; ptex < end; ) {
    const next = await piece(ptex, BigInt(PIECE_ENTRIES_MAX));
    if (next <= ptex) throw tableChanged(guest);
    ptex = next;
  }
  if (guest.status().order !== order) throw tableChanged(guest);
}

async function runPiece(
  guest: Guest,
  name: string,
  words: readonly bigint[],
): Promise<readonly bigint[]> {
  const [answer] = await guest.run([control(name, words)]);
  if (answer!.status !== STATUSES.H_SUCCESS) throw tableChanged(guest);
  return answer!.words;
}

function tableChanged(guest: Guest) {
  return problem(
    'table-changed',
    `the table of ${guest.name} was resized, reset or freed while it was being read`,
  );
}
