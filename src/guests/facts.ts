/**
 * Facts about a guest that are read straight from its memory. Main thread; RACE: plain reads of words that processors
 * write, for people: each is right for itself, all of them together may be of two moments.
 */
import type { GuestConfig } from '../../schemas/guests.ts';
import type { MemoryMap } from '../rings/engine.ts';
import { statusesOf } from '../../schemas/operation.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import type { StatusName } from '../../schemas/statuses.ts';
import { openRunCounts } from '../processors/run-counts.ts';
import type { Engine } from '../rings/engine.ts';
import type {
  AnswerCount,
  GuestSlot,
  ProcessorCounters,
  ResizeProgress,
  RunTotals,
} from './types.ts';

export function memslotsOf({ buffer }: WebAssembly.Memory, map: MemoryMap): GuestSlot[] {
  const slots: GuestSlot[] = [];
  const count = new Uint32Array(buffer, map.MEMSLOT_COUNT, 1)[0]!;
  for (let number = 0; number < count; number++) {
    const at = map.MEMSLOTS + map.MEMSLOT_BYTES * number;
    const [base, bytes] = new BigUint64Array(buffer, at + map.SLOT_BASE, 2);
    if (bytes === 0n) continue;
    const ci = new Uint32Array(buffer, at + map.SLOT_KIND, 1)[0] === map.MEMSLOT_CI;
    slots.push({ number, base: base!, bytes: Number(bytes), kind: ci ? 'ci' : 'ram' });
  }
  return slots;
}

export function resizeOf({ buffer }: WebAssembly.Memory, map: MemoryMap): ResizeProgress {
  const word = (at: number): number => new Uint32Array(buffer, at, 1)[0]!;
  const state = word(map.RESIZE_STATE);
  if (state === 0) return { state, order: 0, zeroedBytes: 0, bytes: 0 };
  const order = word(map.RESIZE_ORDER);
  const zeroedBytes = word(map.RESIZE_ZEROED) - word(map.RESIZE_BASE);
  // The table and its reverse map.
  return { state, order, zeroedBytes, bytes: 2 * 2 ** order };
}

/** The counters lie in the guest's memory by the processor's number: a successor goes on with them. */
export function countersOf(
  { buffer }: WebAssembly.Memory,
  map: MemoryMap,
  processors: number,
): ProcessorCounters[] {
  return Array.from({ length: processors }, (_, processor) => {
    const block = map.PROCESSORS + map.PROCESSOR_BYTES * processor;
    const count = (at: number): number => Number(new BigUint64Array(buffer, block + at, 1)[0]);
    return {
      processor,
      records: count(map.COUNT_RECORDS),
      lockWaits: count(map.COUNT_LOCK_WAITS),
      chainWaits: count(map.COUNT_CHAIN_WAITS),
      secondPasses: count(map.COUNT_SECOND_PASS),
      tlbies: count(map.COUNT_TLBIE),
      tlbsyncs: count(map.COUNT_TLBSYNC),
    };
  });
}

/** What the host's page behind an address is at a guest's birth: present and writable, and 4 for cache-inhibited. */
const RAM_PAGE = 3;
const CI_PAGE = 7;

/** Backing pages that are not as they were at birth, a HOST_SET_PTE each. */
export function* oddPagesOf(
  memory: WebAssembly.Memory,
  map: MemoryMap,
  { hostPageBytes, backingPageBytes }: GuestConfig,
): Generator<{ readonly gpa: bigint; readonly state: number }> {
  const backing = BigInt(backingPageBytes);
  for (const { number, base, bytes, kind } of memslotsOf(memory, map)) {
    const slot = map.MEMSLOTS + map.MEMSLOT_BYTES * number;
    const statesAt = new Uint32Array(memory.buffer, slot + map.SLOT_HOST, 1)[0]!;
    const states = new Uint8Array(memory.buffer, statesAt, Math.ceil(bytes / hostPageBytes));
    const atBirth = kind === 'ci' ? CI_PAGE : RAM_PAGE;
    for (let gpa = base; gpa < base + BigInt(bytes); gpa = (gpa / backing + 1n) * backing) {
      const state = states[Number((gpa - base) / BigInt(hostPageBytes))]!;
      if (state !== atBirth) yield { gpa, state };
    }
  }
}

/** Which answers are counted where in a processor's block; those of control records are one kind. */
export type AnswerPlaces = readonly {
  readonly hcall: string;
  readonly status: StatusName;
  readonly at: number;
}[];

/** Asked of the engine, whose matter it is. */
export function answerPlacesOf({ calls }: Engine): AnswerPlaces {
  const hcalls = OPERATIONS.filter(({ kind }) => kind === 'hcall');
  return hcalls.flatMap((operation) =>
    statusesOf(operation).map((status) => ({
      hcall: operation.name,
      status,
      at: calls.answerPlace(operation.opcode, STATUSES[status]),
    })),
  );
}

/** What was answered, summed over the processors; answers that never were are left out. */
export function answersOf(
  { buffer }: WebAssembly.Memory,
  map: MemoryMap,
  places: AnswerPlaces,
  processors: number,
): AnswerCount[] {
  const blocks = Array.from(
    { length: processors },
    (_, processor) =>
      new Uint32Array(
        buffer,
        map.PROCESSORS + map.PROCESSOR_BYTES * processor,
        map.PROCESSOR_BYTES >> 2,
      ),
  );
  const counts: AnswerCount[] = [];
  for (const { hcall, status, at } of places) {
    let count = 0;
    for (const block of blocks) count += block[at >> 2]! + 2 ** 32 * block[(at >> 2) + 1]!;
    if (count > 0) counts.push({ hcall, status, count });
  }
  return counts;
}

/** The processors' histograms, added up. */
export function runsOf(
  { buffer }: WebAssembly.Memory,
  map: MemoryMap,
  processors: number,
): RunTotals {
  const totals = { micros: noRuns(map), records: noRuns(map) };
  for (let processor = 0; processor < processors; processor++) {
    const { micros, records } = openRunCounts(buffer, map, processor);
    micros.forEach((value, i) => (totals.micros[i]! += value));
    records.forEach((value, i) => (totals.records[i]! += value));
  }
  return totals;
}

function noRuns({ RUN_BUCKETS }: MemoryMap): number[] {
  return Array<number>(RUN_BUCKETS + 1).fill(0);
}
