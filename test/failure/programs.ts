/**
 * Small programs for death and for interleavings: what stands in the table before, and one processor's calls. Between
 * them they go through every step that changes shared memory.
 */
import type { GuestConfig } from '../../schemas/guests.ts';
import { FLAGS } from '../../schemas/flags.ts';
import type { Call } from './mortal.ts';

export interface Program {
  readonly name: string;
  readonly config: Partial<GuestConfig>;
  readonly before: readonly Call[];
  readonly calls: readonly Call[];
}

const MIB = 1024 * 1024;
const config: Partial<GuestConfig> = { order: 18, ramBytes: 16 * MIB, backingPageBytes: 65536 };
const V = 0x1234_5600_0001n;
const AVPN = V & ~0x7fn;
/** A bolted entry that stands in the group its hash says: VSID 1, offset 0. */
const BOLTED_V = (1n << 12n) | 0x11n;
const BOLTED_PTEX = 8n;

const call = (name: string, ...args: bigint[]): Call => ({ name, args });
const enter = (ptex: bigint, frame = 1n, v = V): Call =>
  call('H_ENTER', FLAGS.H_EXACT, ptex, v, (frame << 16n) | 0x192n);
const request = (ptex: bigint, selector = 0n): bigint => (1n << 62n) | (selector << 56n) | ptex;
/** Two neighbours on the chain of frame 1 around the entry that a program is about. */
const chain = [enter(0x20n), enter(0x28n), enter(0x30n)];
const R_AND_C = call('SET_RC', 0x28n, 0x180n, 0n);
const UNMAP = call('HOST_UNMAP', 0x10000n);
const RESTORE = call('HOST_SET_PTE', 0x10000n, 3n);

export const PROGRAMS: readonly Program[] = [
  { name: 'H_ENTER', config, before: chain, calls: [call('H_ENTER', 0n, 0x28n, V, 0x10192n)] },
  {
    name: 'H_ENTER into a full group',
    config,
    before: [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n].map((slot) => enter(slot)),
    calls: [call('H_ENTER', 0n, 0n, V, 0x10192n), call('H_ENTER', FLAGS.H_EXACT, 3n, V, 0x10192n)],
  },
  { name: 'H_ENTER of MMIO', config, before: [], calls: [enter(0x28n, 0x4000n)] },
  {
    name: 'H_REMOVE',
    config,
    before: [...chain, R_AND_C],
    calls: [call('H_REMOVE', 0n, 0x28n, 0n)],
  },
  {
    name: 'H_ENTER and H_REMOVE of the only one of a chain',
    config,
    before: [],
    calls: [
      call('H_ENTER', 0n, 0x28n, V, 0x10112n),
      call('SET_RC', 0x28n, 0x100n, 0n),
      call('H_REMOVE', 0n, 0x28n, 0n),
    ],
  },
  {
    name: "H_REMOVE of the chain's head, its tail and its last",
    config,
    before: chain,
    calls: [0x20n, 0x30n, 0x28n].map((ptex) => call('H_REMOVE', FLAGS.H_AVPN, ptex, AVPN)),
  },
  {
    name: 'H_BULK_REMOVE',
    config,
    before: [...chain, R_AND_C, enter(0x38n, 0x4000n)],
    calls: [
      call(
        'H_BULK_REMOVE',
        request(0x28n),
        0n,
        request(0x38n),
        0n,
        request(0x28n),
        0n,
        request(0x30n),
        0n,
      ),
      call('H_BULK_REMOVE', request(0x20n, 2n), AVPN, request(0x21n), 0n, 0x20n, 0n),
    ],
  },
  {
    name: 'H_BLOCK_REMOVE',
    config,
    before: [...chain, R_AND_C],
    calls: [
      call(
        'H_BLOCK_REMOVE',
        AVPN,
        request(0x28n),
        request(0x28n, 1n),
        request(0x20n),
        request(0x29n),
      ),
    ],
  },
  {
    name: 'H_PROTECT',
    config,
    before: [...chain, R_AND_C],
    calls: [call('H_PROTECT', 0x203n, 0x28n, 0n), call('H_READ', 0n, 0x28n)],
  },
  {
    name: 'H_CLEAR_REF and H_CLEAR_MOD',
    config,
    before: [...chain, R_AND_C],
    calls: [
      call('H_CLEAR_REF', 0n, 0x28n),
      call('H_CLEAR_MOD', 0n, 0x28n),
      call('H_READ', 0n, 0x28n),
      call('HOST_AGE', 0x10000n),
      call('HOST_DIRTY', 0x10000n, 1n),
    ],
  },
  {
    name: 'SET_RC and the walk',
    config,
    before: chain,
    calls: [call('SET_RC', 0x28n, 0x180n, 0n), call('H_REMOVE', 0n, 0x28n, 0n)],
  },
  {
    name: 'HOST_UNMAP and HOST_PAGE_FAULT',
    config,
    before: [...chain, R_AND_C],
    calls: [
      UNMAP,
      call('H_READ', 0n, 0x28n),
      RESTORE,
      call('HOST_PAGE_FAULT', 0x28n, 0n),
      call('HOST_AGE', 0x10000n),
    ],
  },
  {
    name: 'HOST_AGE and HOST_DIRTY',
    config,
    before: [...chain, R_AND_C, call('SET_RC', 0x30n, 0x180n, 0n)],
    calls: [
      call('HOST_AGE', 0x10000n),
      call('HOST_AGE', 0x10000n),
      call('HOST_DIRTY', 0n, 4n),
      call('HOST_DIRTY', 0n, 4n),
      call('H_READ', 0n, 0x30n),
    ],
  },
  {
    name: 'a resize',
    config: { ...config, ramBytes: 64 * MIB },
    before: [enter(BOLTED_PTEX, 1n, BOLTED_V), ...chain],
    calls: [call('HPT_RESIZE', 19n), call('H_READ', 0n, BOLTED_PTEX)],
  },
  {
    name: 'a new table, and none',
    config,
    before: chain,
    calls: [
      call('HPT_RESET', 18n),
      enter(0x28n),
      call('HPT_FREE'),
      call('HPT_RESET', 18n),
      enter(0x20n),
    ],
  },
  {
    name: 'a table stream',
    config,
    before: chain,
    calls: [
      call('HTAB_OPEN', 0n, 0n),
      call('HTAB_READ', 0n, 200n),
      call('HTAB_CLOSE', 0n),
      call('HTAB_CLOSE', 0n),
    ],
  },
  {
    name: 'a memory slot that goes and comes',
    config: {
      ...config,
      memslots: [
        { base: 0n, bytes: 4 * 65536, kind: 'ram' },
        { base: 0x100_0000n, bytes: 4 * 65536, kind: 'ram' },
      ],
    },
    before: [...chain, R_AND_C],
    calls: [
      call('MEMSLOT_REMOVE', 0n),
      call('MEMSLOT_REMOVE', 0n),
      call('H_READ', 0n, 0x28n),
      call('HOST_PAGE_FAULT', 0x28n, 0n),
      enter(0x38n),
      call('MEMSLOT_ADD', 0n, 0n, 0x30000n, 1n, 16n),
      call('MEMSLOT_ADD', 0n, 0x40000n, 0x10000n, 1n, 16n),
      call('MEMSLOT_ADD', 2n, 0x20000n, 0x20000n, 1n, 16n),
      call('HOST_PAGE_FAULT', 0x28n, 0n),
      call('HOST_PAGE_FAULT', 0x38n, 0n),
      call('HOST_DIRTY', 0n, 3n),
    ],
  },
];
