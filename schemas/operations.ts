/**
 * The one table of what a stream can ask for: the hcalls a guest makes, and the control records with
 * which its host (an emulator, a test rig, a replay) tells hptd what happened to the table without an hcall.
 *
 * It drives validation, the CLI's help, documents and generated tests. The engine keeps opcodes and word
 * counts of its own (AssemblyScript cannot import this file); test/engine/dispatch.test.ts compares the two.
 *
 * SPEC: PAPR, chapter "Logical Partitioning Option"; opcodes and register use as there. Control records are
 * hptd's own: their opcodes have bit 15 set, which no PAPR hcall has.
 */
import type { FlagName } from './flags.ts';
import type { StatusName } from './statuses.ts';

export interface Argument {
  readonly name: string;
  /** `flags` takes flag names or a word, `ptex` an entry index, `word` any 64-bit value. */
  readonly kind: 'flags' | 'ptex' | 'word';
  readonly meaning: string;
}

export interface Operation {
  readonly name: string;
  readonly opcode: number;
  readonly kind: 'hcall' | 'control';
  readonly arguments: readonly Argument[];
  /** The fewest argument words a record may carry; the most is `arguments.length` (+ `dataWordsMax`). */
  readonly wordsMin: number;
  /** Words of data that may follow the arguments. */
  readonly dataWordsMax: number;
  /** Names of the result words (r4 on); an operation may answer fewer, or data words after them. */
  readonly results: readonly string[];
  readonly flags: readonly FlagName[];
  readonly statuses: readonly StatusName[];
  readonly meaning: string;
  readonly source: string;
}

const flags = { name: 'flags', kind: 'flags', meaning: 'what to do and what to compare' } as const;
const ptex = {
  name: 'ptex',
  kind: 'ptex',
  meaning: 'index of the entry (group * 8 + slot)',
} as const;
const avpn = {
  name: 'avpn',
  kind: 'word',
  meaning: 'abbreviated virtual page number, or mask with H_ANDCOND',
} as const;
const word = (name: string, meaning: string): Argument => ({ name, kind: 'word', meaning });

type Row = Pick<Operation, 'name' | 'opcode' | 'arguments' | 'meaning'> & Partial<Operation>;

function hcall(row: Row): Operation {
  return {
    kind: 'hcall',
    wordsMin: row.arguments.length,
    dataWordsMax: 0,
    results: [],
    flags: [],
    statuses: ['H_SUCCESS', 'H_PARAMETER'],
    source: 'PAPR, Logical Partitioning Option',
    ...row,
  };
}

function control(row: Row): Operation {
  return hcall({ kind: 'control', source: 'hptd', ...row });
}

export const OPERATIONS: readonly Operation[] = [
  hcall({
    name: 'H_REMOVE',
    opcode: 0x04,
    arguments: [flags, ptex, avpn],
    results: ['pteh', 'ptel'],
    flags: ['H_AVPN', 'H_ANDCOND'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_NOT_FOUND', 'H_FUNCTION'],
    meaning: 'invalidate an entry and give back what it held',
  }),
  hcall({
    name: 'H_ENTER',
    opcode: 0x08,
    arguments: [
      flags,
      ptex,
      word('pteh', 'dword 0 of the new entry'),
      word('ptel', 'dword 1 of the new entry'),
    ],
    results: ['ptex'],
    flags: [
      'H_EXACT',
      'H_ZERO_PAGE',
      'H_ICACHE_INVALIDATE',
      'H_ICACHE_SYNCHRONIZE',
      'H_COALESCE_CAND',
      'H_LARGE_PAGE',
    ],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_PTEG_FULL', 'H_FUNCTION', 'H_TOO_BIG'],
    meaning: 'put an entry into a free slot of a group, or with H_EXACT into that very slot',
  }),
  hcall({
    name: 'H_READ',
    opcode: 0x0c,
    arguments: [flags, ptex],
    results: ['pteh0', 'ptel0', 'pteh1', 'ptel1', 'pteh2', 'ptel2', 'pteh3', 'ptel3'],
    flags: ['H_READ_4', 'H_R_XLATE'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_FUNCTION'],
    meaning: 'read an entry, or with H_READ_4 the four of its half group',
  }),
  hcall({
    name: 'H_CLEAR_MOD',
    opcode: 0x10,
    arguments: [flags, ptex],
    results: ['ptel'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_NOT_FOUND', 'H_FUNCTION'],
    meaning: 'clear Changed and give back dword 1 as it was',
  }),
  hcall({
    name: 'H_CLEAR_REF',
    opcode: 0x14,
    arguments: [flags, ptex],
    results: ['ptel'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_NOT_FOUND', 'H_FUNCTION'],
    meaning: 'clear Referenced and give back dword 1 as it was',
  }),
  hcall({
    name: 'H_PROTECT',
    opcode: 0x18,
    arguments: [flags, ptex, avpn],
    flags: [
      'H_AVPN',
      'H_PP0',
      'H_PP1',
      'H_PP2',
      'H_N',
      'H_KEY0',
      'H_KEY1',
      'H_KEY2',
      'H_KEY3',
      'H_KEY4',
    ],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_NOT_FOUND', 'H_FUNCTION'],
    meaning: "change an entry's protection and storage key",
  }),
  hcall({
    name: 'H_PAGE_INIT',
    opcode: 0x2c,
    arguments: [
      flags,
      word('destination', 'guest address of the 4 KiB page to fill'),
      word('source', 'guest address to copy from'),
    ],
    flags: [
      'H_ZERO_PAGE',
      'H_COPY_PAGE',
      'H_ICACHE_INVALIDATE',
      'H_ICACHE_SYNCHRONIZE',
      'H_PAGE_STATE_CHANGE',
      'H_PAGE_UNUSED',
      'H_PAGE_SET_LOANED',
    ],
    meaning: 'zero or copy a page of guest memory',
  }),
  hcall({
    name: 'H_BULK_REMOVE',
    opcode: 0x124,
    wordsMin: 1,
    arguments: [0, 1, 2, 3].flatMap((i) => [
      word(`tsh${i}`, 'type, selector and ptex of a removal'),
      word(`tsl${i}`, 'its AVPN or mask'),
    ]),
    results: [0, 1, 2, 3].flatMap((i) => [`tsh${i}`, `tsl${i}`]),
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_FUNCTION'],
    meaning: 'up to four removals; words that are not given stand for the end marker',
  }),
  hcall({
    name: 'H_BLOCK_REMOVE',
    opcode: 0x328,
    wordsMin: 2,
    arguments: [
      word('ava', 'AVPN of the 8-page block'),
      ...[0, 1, 2, 3, 4, 5, 6, 7].map((i) => word(`ts${i}`, 'a removal in the block')),
    ],
    results: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `ts${i}`),
    statuses: ['H_SUCCESS', 'H_PARTIAL', 'H_PARAMETER', 'H_FUNCTION'],
    meaning:
      'up to eight removals inside one block of eight pages; busy entries are not waited for',
  }),
  hcall({
    name: 'H_CLEAR_HPT',
    opcode: 0x358,
    arguments: [],
    statuses: ['H_SUCCESS', 'H_CONTINUE', 'H_FUNCTION'],
    meaning:
      'remove every entry but those of the virtual real mode area; call again while it answers H_CONTINUE',
  }),
  hcall({
    name: 'H_RESIZE_HPT_PREPARE',
    opcode: 0x36c,
    arguments: [flags, word('shift', 'order of the new table; 0 cancels')],
    statuses: [
      'H_SUCCESS',
      'H_LONG_BUSY_ORDER_100_MSEC',
      'H_PARAMETER',
      'H_RESOURCE',
      'H_NO_MEM',
      'H_NOT_AVAILABLE',
    ],
    meaning: 'prepare a table of another order beside the active one',
  }),
  hcall({
    name: 'H_RESIZE_HPT_COMMIT',
    opcode: 0x370,
    arguments: [flags, word('shift', 'order of the prepared table')],
    statuses: [
      'H_SUCCESS',
      'H_PARAMETER',
      'H_CLOSED',
      'H_BUSY',
      'H_PTEG_FULL',
      'H_NO_MEM',
      'H_HARDWARE',
      'H_NOT_AVAILABLE',
    ],
    meaning: 'move the bolted entries into the prepared table and make it the active one',
  }),

  control({
    name: 'HOST_UNMAP',
    opcode: 0x8001,
    arguments: [word('gpa', 'guest address in the backing page')],
    results: ['result'],
    meaning: 'the host takes a backing page away: its entries become ABSENT',
  }),
  control({
    name: 'HOST_SET_PTE',
    opcode: 0x8002,
    arguments: [
      word('gpa', 'guest address in the backing page'),
      word('state', '1 present, 2 writable, 4 cache-inhibited'),
    ],
    results: ['result'],
    meaning: 'what the host page behind a guest address is from now on',
  }),
  control({
    name: 'HOST_AGE',
    opcode: 0x8003,
    arguments: [word('gpa', 'guest address in the backing page')],
    results: ['referenced'],
    meaning:
      "was the page referenced since the last time? Clears the host's view of R, keeps the guest's",
  }),
  control({
    name: 'HOST_PAGE_FAULT',
    opcode: 0x8004,
    arguments: [ptex, word('write', '1 for a store')],
    results: ['outcome'],
    meaning:
      'the guest touched an ABSENT entry: 0 now valid, 1 empty, 2 MMIO, 3 host page absent, 4 page too big, 5 bad WIMG',
  }),
  control({
    name: 'SET_RC',
    opcode: 0x8005,
    arguments: [
      ptex,
      word('bits', '0x100 Referenced, 0x80 Changed'),
      word('absentToo', "1: put them into the guest's view of an ABSENT entry"),
    ],
    results: ['outcome'],
    meaning:
      "the processor's table walk set R or C: 0 done, 1 the entry was not valid for the hardware",
  }),
  control({
    name: 'TABLE_HASH',
    opcode: 0x8006,
    arguments: [
      ptex,
      word('count', 'entries to add'),
      word('hash', 'FNV-1a-64 so far'),
      word('valid', 'valid entries so far'),
    ],
    results: ['hash', 'valid', 'next'],
    meaning:
      'hash the table as H_READ shows it, a bounded piece at a time; next is the ptex to go on with',
  }),
  control({
    name: 'HPT_RESET',
    opcode: 0x8007,
    arguments: [word('order', 'log2 of the bytes of the new table')],
    results: ['result'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_NO_MEM'],
    meaning: 'a new zeroed table; memory and slots stay',
  }),
  control({
    name: 'HPT_FREE',
    opcode: 0x8008,
    arguments: [],
    results: ['result'],
    meaning: 'the guest went radix: no table',
  }),
  control({
    name: 'HPT_RESIZE',
    opcode: 0x8009,
    arguments: [word('order', 'log2 of the bytes of the new table')],
    results: ['result'],
    meaning:
      'prepare and commit in one, without the limit that H_RESIZE_HPT_PREPARE keeps: 0 or -errno',
  }),
  control({
    name: 'HTAB_OPEN',
    opcode: 0x800a,
    arguments: [word('start', 'first ptex'), word('flags', '1: bolted entries only')],
    results: ['reader'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_RESOURCE'],
    meaning: 'open a reader of the incremental table stream',
  }),
  control({
    name: 'HTAB_READ',
    opcode: 0x800b,
    arguments: [word('reader', 'from HTAB_OPEN'), word('bytes', 'size of the buffer')],
    results: ['bytes'],
    meaning: 'the next piece of the table stream; its bytes follow, padded to a word',
  }),
  control({
    name: 'HTAB_CLOSE',
    opcode: 0x800c,
    arguments: [word('reader', 'from HTAB_OPEN')],
    results: ['result'],
    meaning: 'close a reader',
  }),
  control({
    name: 'HTAB_WRITE',
    opcode: 0x800d,
    arguments: [word('bytes', 'length of the data')],
    dataWordsMax: 4000,
    results: ['bytes'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_HARDWARE'],
    meaning:
      'load a piece of a table stream: whole records only; answers how many bytes were taken',
  }),
  control({
    name: 'WALK',
    opcode: 0x800e,
    arguments: [
      word('ea', 'effective address'),
      word('slbv', 'VSID word of the segment, as slbmte takes it in RS'),
      word('access', '1 store, 2 instruction fetch, 4 problem state'),
      word('amr', 'Authority Mask Register'),
    ],
    results: ['outcome', 'ptex', 'gpa', 'shift', 'wimg', 'dsisr'],
    meaning:
      'translate as the hardware does, setting R and C: 0 translated, 1 no entry, 2 protection, 3 storage key, 4 no execute, 5 entry absent, 6 MMIO',
  }),
  control({
    name: 'HOST_DIRTY',
    opcode: 0x800f,
    arguments: [word('gpa', 'first guest address'), word('frames', 'host pages, at most 4096')],
    results: ['dirty'],
    meaning: 'harvest and clear the dirty bitmap; its words follow, bit n is the n-th page',
  }),
  control({
    name: 'ENTRY_INSPECT',
    opcode: 0x8010,
    arguments: [ptex],
    results: ['dword0', 'dword1', 'guestRpte', 'forw', 'back', 'pteh', 'ptel'],
    meaning: "an entry's words as the host sees them, then as H_READ shows them",
  }),
  control({
    name: 'MEMORY_READ',
    opcode: 0x8011,
    arguments: [word('gpa', '8-byte aligned guest address'), word('words', 'at most 4096')],
    results: [],
    meaning: 'read backed guest memory, little-endian words of its bytes',
  }),
  control({
    name: 'MEMORY_WRITE',
    opcode: 0x8012,
    arguments: [word('gpa', '8-byte aligned guest address')],
    dataWordsMax: 4000,
    results: [],
    meaning: 'write backed guest memory',
  }),
  control({
    name: 'TABLE_COUNT',
    opcode: 0x8013,
    arguments: [ptex, word('count', 'entries to look at')],
    results: [
      'next',
      'valid',
      'absent',
      'bolted',
      'secondary',
      'referenced',
      'changed',
      'fullGroups',
      'emptyGroups',
    ],
    meaning: 'occupancy of a piece of the table, group by group; next is the ptex to go on with',
  }),
];

const BY_NAME = new Map(OPERATIONS.map((row) => [row.name, row]));
const BY_OPCODE = new Map(OPERATIONS.map((row) => [row.opcode, row]));

export const HCALLS: readonly Operation[] = OPERATIONS.filter((row) => row.kind === 'hcall');

export function operationByName(name: string): Operation | undefined {
  return BY_NAME.get(name);
}

export function operationByOpcode(opcode: number): Operation | undefined {
  return BY_OPCODE.get(opcode);
}
