/**
 * The scenarios of the contention profile: what each thread does, over and over, and why a slot is free at every
 * instant of every counted H_ENTER. Only that makes each H_PTEG_FULL a false one.
 *
 * - Only the measured thread enters under its own AVPN, and it takes out what it entered before it enters again. So
 *   while one of its H_ENTERs runs it has no entry in the table.
 * - A prober's H_REMOVEs ask for an AVPN that nobody has: they lock, look, and change nothing.
 * - The shuttler has one entry at most: it takes it out of slot 0 before it puts it into slot 7, and the other way
 *   round. With slots 1 to 6 taken for good, slot 0 or slot 7 is free at every instant. (Entering before removing
 *   would fill the group for a moment.) When the measured thread's entry is in its way its H_ENTER fails, it has no
 *   entry for a while, and goes on.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { operationByName } from '../../schemas/operations.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { COUNTED_TAG } from './messages.ts';

export const SCENARIO_NAMES = ['exact-probe', 'group-probe', 'shuttle', 'shuttle-slow'] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

export interface Scenario {
  readonly name: ScenarioName;
  readonly summary: string;
  /** Executed once, before the threads start. */
  readonly before: readonly RequestRecord[];
  /** What each thread does; the first is the measured one. */
  readonly threads: readonly (readonly RequestRecord[])[];
  /** The measured thread runs the engine's test build, and loses some time before it looks at a slot. */
  readonly slowScan?: boolean;
}

/** Some group, and the slot of it that is free and probed. */
const GROUP = 8n * 37n;
const PROBED = GROUP + 5n;
const VALID = 1n;
/** WIMG 0010, PP 2. */
const MEMORY = 0x12n;
/** Records in a frame: enough that most of the time is spent in the engine; the others' are shorter than the measured thread's. */
const FRAME_RECORDS = 240;
const OTHERS_FRAME_RECORDS = 60;
/** A page by a number of its own: its AVPN, its entry, its frame. */
const avpn = (page: bigint): bigint => page << 12n;
const MEASURED = 1n;
const SHUTTLED = 2n;
const NOBODY = 3n;
const RESIDENT = 16n;

function record(name: string, words: readonly bigint[], tag = 0): RequestRecord {
  return { opcode: operationByName(name)!.opcode, tag, words };
}

function enter(flags: bigint, ptex: bigint, page: bigint, tag = 0): RequestRecord {
  return record('H_ENTER', [flags, ptex, avpn(page) | VALID, (page << 16n) | MEMORY], tag);
}

const enterAt = (ptex: bigint, page: bigint) => enter(FLAGS.H_EXACT, ptex, page);
const remove = (ptex: bigint, page: bigint) => record('H_REMOVE', [FLAGS.H_AVPN, ptex, avpn(page)]);

function filled(upTo: number, records: readonly RequestRecord[]): RequestRecord[] {
  return Array.from({ length: Math.floor(upTo / records.length) }, () => records).flat();
}

const repeated = (...records: readonly RequestRecord[]) => filled(FRAME_RECORDS, records);

const residents = (slots: readonly bigint[]) =>
  slots.map((slot) => enterAt(GROUP + slot, RESIDENT + slot));
const prober = (...slots: readonly bigint[]) =>
  filled(
    OTHERS_FRAME_RECORDS,
    slots.map((slot) => remove(slot, NOBODY)),
  );

const MIDDLE = [1n, 2n, 3n, 4n, 5n, 6n];
const FIRST = GROUP;
const LAST = GROUP + 7n;
const measuredInShuttle = repeated(
  enter(0n, GROUP, MEASURED, COUNTED_TAG),
  remove(FIRST, MEASURED),
  remove(LAST, MEASURED),
);
const shuttler = filled(OTHERS_FRAME_RECORDS, [
  remove(FIRST, SHUTTLED),
  enterAt(LAST, SHUTTLED),
  remove(LAST, SHUTTLED),
  enterAt(FIRST, SHUTTLED),
]);
export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'exact-probe',
    summary: 'H_ENTER with H_EXACT into an empty slot that another thread only looks at',
    before: [],
    threads: [
      repeated(enter(FLAGS.H_EXACT, PROBED, MEASURED, COUNTED_TAG), remove(PROBED, MEASURED)),
      prober(PROBED),
    ],
  },
  {
    name: 'group-probe',
    summary: 'H_ENTER into a group with one free slot, which another thread only looks at',
    before: residents([0n, 1n, 2n, 3n, 4n, 6n, 7n]),
    threads: [
      repeated(enter(0n, GROUP, MEASURED, COUNTED_TAG), remove(PROBED, MEASURED)),
      prober(PROBED),
    ],
  },
  {
    name: 'shuttle',
    summary:
      "H_ENTER into a group where another thread's entry hops between the first and last slot",
    before: [...residents(MIDDLE), enterAt(FIRST, SHUTTLED)],
    threads: [measuredInShuttle, shuttler],
  },
  {
    name: 'shuttle-slow',
    summary: 'the same, with a scan that takes longer at each slot',
    before: [...residents(MIDDLE), enterAt(FIRST, SHUTTLED)],
    threads: [measuredInShuttle, shuttler],
    slowScan: true,
  },
];
