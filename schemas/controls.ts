/**
 * Control records: what a guest's host (an emulator, a test rig, a replay) says and asks beside hcalls. They are hptd's
 * own: their opcodes have bit 15 set, which no PAPR hcall has.
 */
import { control, ptex, word } from './operation.ts';
import type { Operation } from './operation.ts';

/** By which TABLE_SHAPE counts. `64Kin4K`: a page of 64 KiB in a segment of 4 KiB pages. */
export const PAGE_SIZES = ['4K', '64Kin4K', '16Min4K', '64K', '16Min64K', '16M', '16G'] as const;
export const CHAIN_LENGTHS = ['1', '2', '3', '4', '5to8', '9to16', '17to64', '65up'] as const;

export const CONTROLS = [
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
    arguments: [
      word('start', 'first ptex'),
      word('flags', '1: bolted entries only; 2: stop after each pass'),
    ],
    results: ['reader'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_RESOURCE'],
    meaning: 'open a reader of the incremental table stream',
  }),
  control({
    name: 'HTAB_READ',
    opcode: 0x800b,
    arguments: [
      word('reader', 'from HTAB_OPEN'),
      word('bytes', 'size of the buffer; 0 begins the next pass of a reader that stops'),
    ],
    results: ['bytes'],
    meaning:
      'the next piece of the table stream; its bytes follow, padded to a word. None at the end of a pass; H_CONTINUE: none yet',
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
  control({
    name: 'MEMSLOT_ADD',
    opcode: 0x8014,
    arguments: [
      word('number', 'of the slot, below 32'),
      word('base', 'guest address of its first byte'),
      word('bytes', 'its length; both multiples of the host page'),
      word('kind', '1 RAM, 2 cache-inhibited, 5 RAM whose bytes are kept'),
      word('backingShift', 'log2 of the bytes of the host pages behind it'),
    ],
    results: ['outcome'],
    meaning:
      'a memory slot for a guest that runs, every page of it present: 0 added, 1 the number is taken, 2 it overlaps another slot, 3 no room for what is kept about it',
  }),
  control({
    name: 'MEMSLOT_REMOVE',
    opcode: 0x8015,
    arguments: [word('number', 'of the slot')],
    results: ['framesLeft'],
    statuses: ['H_SUCCESS', 'H_PARAMETER', 'H_CONTINUE'],
    meaning:
      'take a memory slot away, a bounded piece at a time: entries that map it become ABSENT, then its addresses are MMIO; H_CONTINUE: call again',
  }),
  control({
    name: 'TABLE_SHAPE',
    opcode: 0x8016,
    arguments: [ptex, word('count', 'entries to look at')],
    results: [
      'next',
      ...[0, 1, 2, 3, 4, 5, 6, 7, 8].map((entries) => `groupsWith${entries}`),
      ...[0, 1, 2, 3, 4, 5, 6, 7].map((slot) => `entriesInSlot${slot}`),
      ...PAGE_SIZES.map((size) => `pages${size}`),
      ...CHAIN_LENGTHS.map((length) => `chainsOf${length}`),
    ],
    meaning:
      'how a piece of the table is filled: groups by their entries, entries by slot and page size, chains by length; next is the ptex to go on with',
  }),
] as const satisfies readonly Operation[];
