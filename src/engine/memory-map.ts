/**
 * Where everything lies in a guest's memory. Read this first.
 *
 *   0x0000_0000  nothing: an address of zero is never valid
 *   0x0000_1000  guest block     table, mode, gate, invalidation sequence, resize   (this file, "Guest block")
 *   0x0000_2000  memslots        32 x 64 bytes
 *   0x0000_3000  HTAB readers    16 x 64 bytes
 *   0x0001_0000  processors      64 x 4 KiB: active word, counters, the reason of the last answer
 *   0x0006_0000  streams        128 x 512 bytes: heads and tails, each in a cache line of its own
 *   0x0008_0000  pieces         a byte for each 64 KiB of the whole memory: when it changed last
 *   0x0010_0000  rings          128 x (1 MiB submission + 1 MiB completion)
 *   0x1010_0000  slot data       reverse-map heads, host page states, dirty bitmaps, backed guest memory
 *   tablesBase   tables          the active HPT with its reverse map, and beside it one in preparation
 *
 *   One table of order n:   +-- 2^n bytes: HPT -----------------+-- 2^n bytes: reverse map ------------+
 *                           | dword 0, dword 1 (16 bytes) ...   | guest_rpte u64, forw u32, back u32 ...|
 *                           +-----------------------------------+--------------------------------------+
 *
 * Memory starts as zeroes and costs nothing until it is touched. Nothing here is ever moved but the table.
 *
 * Who may write what:
 *   an entry's dword 0, dword 1 and guest_rpte   the holder of that entry's HVLOCK (dword 1's R and C: also the table walk,
 *                                                by atomic or)
 *   forw/back of a chain, its rmap word          the holder of the chain lock in that rmap word (chains of no or one entry:
 *                                                also by compare-and-swap of the word, see revmap.ts)
 *   host page states                             the holder of the chain lock of that frame
 *   dirty bitmaps                                anybody, by atomic or and exchange
 *   the guest block's table and mode             the processor that closed the gate (nobody else runs then)
 *   a processor's block                          that processor; the gate's closer reads ACTIVE
 *   stream heads and tails                       the side named beside each
 *   the bytes of pieces                          whoever changes a piece: all write the same
 *
 * All constants that the TypeScript side needs are exported as wasm globals: this file is their only home.
 */

/** A snapshot can be read by an engine of the same number only: one more when what it holds moves or changes its meaning. */
export const MEMORY_MAP_VERSION: u32 = 1;

// --- Guest block -------------------------------------------------------------------------------------------
/** Read on every hcall, written only while the gate is closed: one cache line of its own. */
export const TABLE_BASE: usize = 0x1000;
export const REVMAP_BASE: usize = 0x1004;
export const TABLE_ORDER: usize = 0x1008;
/** 0: no table (none yet, or the guest went radix), 1: hash MMU. */
export const MODE: usize = 0x100c;
/** u64: number of entries, 2^(order-4). */
export const PTEX_COUNT: usize = 0x1010;
export const ISA300: usize = 0x1018;
export const HOST_PAGE_SHIFT: usize = 0x101c;
/** u64: guest memory in bytes; bounds H_RESIZE_HPT_PREPARE. */
export const RAM_BYTES: usize = 0x1020;
export const MEMSLOT_COUNT: usize = 0x1028;
/** u32: how H_ENTER looks for a slot when its first pass found none; hcalls/enter.ts. Set before processors run. */
export const SLOT_SEARCH: usize = 0x102c;
export const SLOT_SEARCH_LINEARIZABLE: u32 = 0;
export const SLOT_SEARCH_TWO_PASS: u32 = 1;
export const SLOT_SEARCH_ONE_PASS: u32 = 2;
export const TABLES_BASE: usize = 0x1030;
export const TABLES_END: usize = 0x1034;
/** Table memory is still zero, never used, from TABLES_LOW_USED up to TABLES_HIGH_USED. */
export const TABLES_LOW_USED: usize = 0x1038;
export const TABLES_HIGH_USED: usize = 0x103c;

/** u32: slot data may be something else than zeroes below this address. u32: slots added and removed since birth. */
export const SLOT_DATA_USED: usize = 0x1148;
export const SLOT_CHANGES: usize = 0x114c;

/** i32: 0 open, else 1 + the processor that stopped all others to replace the table. */
export const GATE: usize = 0x1040;
/** i32: 0, else 1 + the processor that repairs what a dead one left; beside GATE, so that one look sees both. */
export const RECOVERY: usize = 0x1044;
/** u64: a bit for each processor whose thread is gone and whose journal is not yet worked off. Set by the main thread. */
export const DEAD: usize = 0x1048;
/** u32: while the guest is paused, PAUSED_HCALLS or PAUSED_ALL. Set by the main thread, looked at before each frame. */
export const PAUSED: usize = 0x1050;
/** Control records only. */
export const PAUSED_HCALLS: u32 = 1;
/** Nothing is executed: a snapshot is being taken. */
export const PAUSED_ALL: u32 = 2;
/** u32: a recording goes on (RECORDING_): items of completion rings get stamps. Set by the main thread. */
export const RECORDING: usize = 0x1054;
export const RECORDING_OFF: u32 = 0;
/** Processors run the guest's records as they please. */
export const RECORDING_LOOSE: u32 = 1;
/** One after the other: a processor runs records of the guest only while it has the turn. */
export const RECORDING_IN_TURN: u32 = 2;
/** u32: stamps given so far; the last 24 bits go into an item. */
export const STAMPS: usize = 0x1180;
/** i32: 0, else 1 + the processor whose turn it is, or TURN_MAIN. i32: processors that wait for it. */
export const TURN: usize = 0x1184;
export const TURN_WAITERS: usize = 0x1188;
export const TURN_MAIN: i32 = 255;
/** u8: what pieces.ts notes, from 1 on; 0: nobody keeps the guest. The main thread changes it while nothing is executed. */
export const KEEP_EPOCH: usize = 0x1058;
/** u64: completed host invalidations. */
export const INVALIDATE_SEQ: usize = 0x1080;
/** u8: host invalidations going on. A byte, as MOD_INTEREST: an atomic load of a byte costs no alignment check. */
export const INVALIDATE_IN_PROGRESS: usize = 0x1088;
/** u8: open HTAB readers; above 0 each change sets MODIFIED in guest_rpte. */
export const MOD_INTEREST: usize = 0x10c0;
/** u64: bumped when an MMIO entry is removed or re-protected. */
export const MMIO_UPDATE: usize = 0x10c8;

/** i32: 0, else 1 + the processor that holds the lock on the resize words below; held for a few stores or a slice. */
export const RESIZE_LOCK: usize = 0x1100;
/** i32: RESIZE_NONE, RESIZE_ZEROING, RESIZE_READY or RESIZE_FAILED. */
export const RESIZE_STATE: usize = 0x1104;
export const RESIZE_ORDER: usize = 0x1108;
/** i32: the status that a failed preparation answers. */
export const RESIZE_ERROR: usize = 0x110c;
export const RESIZE_BASE: usize = 0x1110;
/** u32: the pending table is zero below this address. */
export const RESIZE_ZEROED: usize = 0x1114;
/** u32: 1 + the processor that zeroes it between its batches. */
export const RESIZE_OWNER: usize = 0x1118;
export const RESIZE_NONE: i32 = 0;
export const RESIZE_ZEROING: i32 = 1;
export const RESIZE_READY: i32 = 2;
export const RESIZE_FAILED: i32 = 3;

/** u64: where H_CLEAR_HPT goes on. */
export const CLEAR_NEXT: usize = 0x1140;

// --- Memslots ----------------------------------------------------------------------------------------------
export const MEMSLOTS: usize = 0x2000;
export const MEMSLOTS_MAX: u32 = 32;
/** No guest address is as great as this. */
export const GPA_LIMIT: u64 = 1 << 44;
export const MEMSLOT_BYTES: usize = 64;
/** u64 guest address, u64 bytes; 0 bytes: not in use. They change with the gate closed only: host/memslot-change.ts. */
export const SLOT_BASE: usize = 0;
export const SLOT_LENGTH: usize = 8;
/** u32: MEMSLOT_RAM or MEMSLOT_CI. */
export const SLOT_KIND: usize = 16;
export const SLOT_BACKING_SHIFT: usize = 20;
/** u32 addresses: rmap words (u64 a host page), host page states (u8), dirty bitmap (bits), guest memory or 0. */
export const SLOT_RMAP: usize = 24;
export const SLOT_HOST: usize = 28;
export const SLOT_DIRTY: usize = 32;
export const SLOT_MEMORY: usize = 36;
/** u32: behind all that. */
export const SLOT_END: usize = 40;
/** u32: 0, or 1 + the frame that its removal goes on with. u64: the length that a slot being added is to have. */
export const SLOT_REMOVING: usize = 44;
export const SLOT_NEW_LENGTH: usize = 48;
export const MEMSLOT_RAM: u32 = 1;
export const MEMSLOT_CI: u32 = 2;

// --- HTAB readers ------------------------------------------------------------------------------------------
export const READERS: usize = 0x3000;
export const READERS_MAX: u32 = 16;
export const READER_BYTES: usize = 64;
/** i32: 0 free, 1 open, from 16 on busy in the hands of a processor. */
export const READER_STATE: usize = 0;
export const READER_FLAGS: usize = 4;
export const READER_FIRST_PASS: usize = 8;
export const READER_INDEX: usize = 16;

// --- Processors --------------------------------------------------------------------------------------------
export const PROCESSORS: usize = 0x10000;
export const PROCESSORS_MAX: u32 = 64;
export const PROCESSOR_BYTES: usize = 4096;
/** i32: 0 not executing, 1 executing hcalls of this guest, 2 parked inside one while a recovery goes on. */
export const ACTIVE: usize = 0;
/** u64 counters, written with plain stores by their processor, read by anybody. */
export const COUNT_TLBIE: usize = 64;
export const COUNT_TLBSYNC: usize = 72;
/** The operand of the last tlbie in an hcall that asked to be explained. */
export const LAST_TLBIE_RB: usize = 80;
export const COUNT_RECORDS: usize = 88;
export const COUNT_LOCK_WAITS: usize = 96;
export const COUNT_CHAIN_WAITS: usize = 104;
export const COUNT_SECOND_PASS: usize = 112;
/** u64: address of the entry (or rmap word) whose lock it has waited for for long, 0: none. For people to see. */
export const WAITING_FOR: usize = 120;
/** u64: the rule that gave the last explained answer (rules.ts), then RULE_DETAILS words about it. */
export const RULE: usize = 256;
export const RULE_DETAILS: u32 = 9;

/** The processor's journal: see journal.ts. */
export const JOURNAL: usize = 512;
export const JOURNAL_BYTES: usize = 512;

/** u64 counters of answers, by hcall and status: answer-counts.ts. */
export const COUNT_ANSWERS: usize = 1024;
/** Written by processor.ts of src/processors after each run: f64, RUN_BUCKETS counts and a sum. */
export const RUN_MICROS: usize = 3328;
export const RUN_RECORDS: usize = 3584;
/** Bucket i holds values of at most 2^i; the last, all that are greater. */
export const RUN_BUCKETS: u32 = 18;

// --- Streams -----------------------------------------------------------------------------------------------
export const STREAMS: usize = 0x60000;
export const STREAMS_MAX: u32 = 128;
export const STREAM_BYTES: usize = 512;
/** Written by the processor. Heads and tails are free-running byte counts, modulo 2^32. */
export const SUBMISSION_HEAD: usize = 0;
/** u32: frame bytes and overheads finished; what is submitted less this is in flight. One u64 with SUBMISSION_HEAD. */
export const CONSUMED: usize = 4;
/** u32: records of the frame at the head are executed up to here; at or before its first record: not begun. */
export const EXECUTED_TO: usize = 8;
/** u32: their answers reach up to here, published or not. One u64 with EXECUTED_TO: both move at once. */
export const ANSWERED_TO: usize = 12;
/** u32: 1 after a malformed frame: nothing more is executed. */
export const FAULTED: usize = 16;
/** Written by the main thread. */
export const SUBMISSION_TAIL: usize = 64;
/** Written by the processor. */
export const COMPLETION_TAIL: usize = 128;
/** Written by the main thread. */
export const COMPLETION_HEAD: usize = 192;
/** Written by the main thread before the stream is given to a processor: 1 may send control records. */
export const ROLE_HOST: usize = 256;

// --- Pieces ------------------------------------------------------------------------------------------------
/** u8 for each piece: KEEP_EPOCH when it was last changed; 0: never, so it is zero. pieces.ts. */
export const PIECES: usize = 0x80000;
export const PIECE_SHIFT: u32 = 16;

export const RINGS: usize = 0x100000;
export const SUBMISSION_RING_BYTES: usize = 0x100000;
export const COMPLETION_RING_BYTES: usize = 0x100000;
export const RING_PAIR_BYTES: usize = SUBMISSION_RING_BYTES + COMPLETION_RING_BYTES;
/** Address space left free behind the slots of a guest's birth, for what is kept about slots added later. */
export const SLOT_ROOM_BYTES: u32 = 0x4000000;
export const SLOT_DATA: usize = RINGS + RING_PAIR_BYTES * <usize>STREAMS_MAX;

/** An item of either ring: u32 length, u32 kind, then `length` bytes that never wrap. */
export const ITEM_HEADER_BYTES: usize = 8;
/** Submission: a frame of request records. Completion: answer records. */
export const ITEM_RECORDS: u32 = 1;
/** Nothing more before the ring's end. */
export const ITEM_SKIP: u32 = 2;
/** Completion: the frame was refused; u32 fault, u32 byte offset in the frame. */
export const ITEM_FAULT: u32 = 3;
/** With one of these: the bits from ITEM_STAMP_SHIFT on are the item's stamp among all of the guest's. */
export const ITEM_STAMPED: u32 = 16;
export const ITEM_STAMP_SHIFT: u32 = 8;
export const FAULT_LENGTH: u32 = 1;
export const FAULT_VERSION: u32 = 2;
export const FAULT_COUNT: u32 = 3;

/** What `run` answers beside the number of records it executed (low 24 bits). */
export const RUN_MORE: u32 = 1 << 30;
export const RUN_STALLED: u32 = 1 << 29;
export const RUN_BACKGROUND: u32 = 1 << 28;

export function streamBlock(stream: u32): usize {
  return STREAMS + STREAM_BYTES * <usize>stream;
}

export function submissionRing(stream: u32): usize {
  return RINGS + RING_PAIR_BYTES * <usize>stream;
}

export function completionRing(stream: u32): usize {
  return submissionRing(stream) + SUBMISSION_RING_BYTES;
}

/** Address of an entry's dword 0; dword 1 is 8 above. */
@inline
export function hpteAddress(ptex: u64): usize {
  return <usize>load<u32>(TABLE_BASE) + (<usize>ptex << 4);
}

/** The ptex of the entry at an address. */
@inline
export function ptexOf(entry: usize): u64 {
  return <u64>((entry - <usize>load<u32>(TABLE_BASE)) >> 4);
}

/** Address of an entry's guest_rpte; forw is 8 above, back 12. */
@inline
export function revmapAddress(ptex: u64): usize {
  return <usize>load<u32>(REVMAP_BASE) + (<usize>ptex << 4);
}
