/**
 * The engine as TypeScript sees it: one compiled module, one instance of it on each guest's memory in each
 * thread that needs one.
 *
 * The main thread uses an instance to lay a new guest out (startGuest, addMemslot, openTable, boundTables) before any
 * processor knows the guest; a processor uses its own to run streams. Instances share nothing but the memory.
 * Addresses are taken from the module's globals, so src/engine/memory-map.ts stays their only home.
 */
import { readFile } from 'node:fs/promises';

const ENGINE_FILE = new URL('../../build/engine.wasm', import.meta.url);

/** 64 KiB pages of a guest's memory: the most that leaves no address to overflow. */
const GUEST_PAGES = 65535;

/** What the rings, the guests and the tests need of the memory map. */
const MAP_NAMES = [
  'MEMORY_MAP_VERSION',
  'DEAD',
  'PAUSED_HCALLS',
  'PAUSED_ALL',
  'KEEP_EPOCH',
  'PIECES',
  'PIECE_SHIFT',
  'SLOT_DATA_USED',
  'SLOT_CHANGES',
  'MEMSLOTS',
  'MEMSLOT_BYTES',
  'MEMSLOT_COUNT',
  'SLOT_BASE',
  'SLOT_KIND',
  'RESIZE_STATE',
  'RESIZE_ORDER',
  'RESIZE_BASE',
  'RESIZE_OWNER',
  'SLOT_DATA_USED',
  'RESIZE_ZEROED',
  'PAUSED',
  'RECORDING',
  'RECORDING_OFF',
  'RECORDING_LOOSE',
  'RECORDING_IN_TURN',
  'STAMPS',
  'TURN',
  'TURN_WAITERS',
  'TURN_MAIN',
  'SLOT_HOST',
  'PROCESSORS',
  'PROCESSOR_BYTES',
  'WAITING_FOR',
  'COUNT_RECORDS',
  'COUNT_LOCK_WAITS',
  'COUNT_CHAIN_WAITS',
  'COUNT_SECOND_PASS',
  'COUNT_TLBIE',
  'COUNT_TLBSYNC',
  'JOURNAL',
  'RUN_MICROS',
  'RUN_RECORDS',
  'RUN_BUCKETS',
  'TABLE_BASE',
  'MODE',
  'TABLE_ORDER',
  'STREAMS',
  'STREAM_BYTES',
  'STREAMS_MAX',
  'PROCESSORS_MAX',
  'MEMSLOTS_MAX',
  'READERS_MAX',
  'SUBMISSION_HEAD',
  'CONSUMED',
  'EXECUTED_TO',
  'ANSWERED_TO',
  'SUBMISSION_TAIL',
  'COMPLETION_TAIL',
  'COMPLETION_HEAD',
  'ROLE_HOST',
  'RINGS',
  'SUBMISSION_RING_BYTES',
  'COMPLETION_RING_BYTES',
  'RING_PAIR_BYTES',
  'SLOT_DATA',
  'ITEM_HEADER_BYTES',
  'ITEM_RECORDS',
  'ITEM_SKIP',
  'ITEM_FAULT',
  'ITEM_STAMPED',
  'ITEM_STAMP_SHIFT',
  'FAULT_LENGTH',
  'FAULT_VERSION',
  'FAULT_COUNT',
  'RUN_MORE',
  'RUN_STALLED',
  'RUN_BACKGROUND',
  'MEMSLOT_RAM',
  'MEMSLOT_CI',
] as const;

export type MemoryMap = Readonly<Record<(typeof MAP_NAMES)[number], number>>;

/** The engine's calls. Numbers are u32, bigints u64; a bool comes back as 0 or 1. */
export interface EngineCalls {
  startGuest(memoryBytes: number, ramBytes: bigint, hostPageShift: number, isa300: number): void;
  addMemslot(
    base: bigint,
    bytes: bigint,
    kind: number,
    backingShift: number,
    backed: number,
  ): number;
  openTable(order: number): number;
  boundTables(bytes: bigint): void;
  /** Before processors run: 0 linearizable, 1 two passes, 2 one pass. */
  setSlotSearch(search: number): void;
  /** After the memory was read from an image, instead of the calls above. */
  wakeGuest(): void;
  beProcessor(index: number): void;
  /** Executes up to `quantum` records of a stream: their number, with the RUN_ bits. */
  run(stream: number, quantum: number): number;
  /** This instance's thread never waits: `run` traps where it would have to, and then `stepBack` is to be called. */
  neverWait(): void;
  /** 1: the hcall at which it stopped is taken back, and was not executed. 0: it trapped for another reason, a defect. */
  stepBack(): number;
  /** Puts right what a dead predecessor of this processor left in the guest. Before anything else is run. */
  recover(): void;
  /** 1 + the stream that the predecessor was in the middle of, to be run first; 0: none. */
  interruptedStream(): number;
  /** Where in a processor's block the counter of such an answer is. */
  answerPlace(opcode: number, status: number): number;
  /** One bounded slice of resize preparation; 1 while more is to be done. */
  backgroundSlice(): number;
}

export interface Engine {
  readonly calls: EngineCalls;
  readonly map: MemoryMap;
}

export async function compileEngine(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(ENGINE_FILE));
}

/**
 * A guest's memory: zeroes that cost address space only until they are touched. Throws RangeError without any.
 *
 * Grown, not made as large as it is: V8 takes what a memory is made with for 4 GiB that are in use, looks through the whole heap
 * (30 ms in which nothing is answered), and leaves room for a megabyte of young objects, so that ever after it collects ten
 * times as often.
 */
export function guestMemory(): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({ shared: true, initial: 1, maximum: GUEST_PAGES });
  memory.grow(GUEST_PAGES - 1);
  return memory;
}

/**
 * An engine on a guest's memory, for the calling thread alone. `more`: what a build imports that is not for daemons.
 */
export function openEngine(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  more: Record<string, Record<string, unknown>> = {},
): Engine {
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, ...more });
  const map = Object.fromEntries(
    MAP_NAMES.map((name) => [name, (exports[name] as { value: number }).value >>> 0]),
  ) as MemoryMap;
  return { calls: exports as unknown as EngineCalls, map };
}
