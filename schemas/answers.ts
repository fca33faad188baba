/**
 * What REST answers, as schemas: for documents, for clients that check, and for the tests that hold the routes to them.
 * The daemon itself does not pass its answers through here: it makes them in this shape, and a schema would cost time.
 */
import { z } from 'zod';
import { CHAIN_LENGTHS, PAGE_SIZES } from './controls.ts';
import { DURABILITIES } from './durabilities.ts';
import { guestState } from './guest-states.ts';
import { SLOT_SEARCHES } from './guests.ts';
import { statusesOf } from './operation.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { problemDocument } from './problem-document.ts';
import { PROBLEM_CODES } from './problems.ts';
import { RECORDING_ENDS } from './recordings.ts';
import type { RecordingEnd } from './recordings.ts';
import { PAGE_FAULT_OUTCOMES, RESIZE_STATES, WALK_OUTCOMES } from './resources.ts';
import { STATUSES } from './statuses.ts';

/** A 64-bit word as the daemon writes it. */
const hexWord = z.string().regex(/^0x[0-9a-f]{1,16}$/);
/** The same of 78 bits: a virtual address. */
const virtualAddress = z.string().regex(/^0x[0-9a-f]{1,20}$/);
const count = z.int().min(0);
const path = z.string().describe('an address of this daemon');

const slot = z.object({
  number: count.describe('its number in the guest'),
  base: hexWord.describe('guest address of its first byte'),
  bytes: count,
  kind: z.enum(['ram', 'ci']),
});

const guest = z.object({
  name: z.string(),
  state: guestState,
  order: count.describe("log2 of the table's bytes when the guest was created; 0: no table"),
  orderNow: count.describe('the order after resizes and resets'),
  ramBytes: count.optional(),
  memslots: z.array(slot),
  hostPageBytes: count,
  backingPageBytes: count,
  isa300: z.boolean(),
  memory: z.enum(['none', 'backed']),
  slotSearch: z.enum(SLOT_SEARCHES),
  streams: count.describe('open streams of clients'),
  createdAt: z.iso.datetime(),
  links: z.record(z.string(), path).describe('where to go on'),
});

const recording = z.object({
  id: z.string(),
  state: z.enum(['recording', 'ending', 'ended']),
  startedAt: z.iso.datetime(),
  ordered: z.boolean().describe('are the lines in the order of what happened?'),
  notes: z.array(z.string()).describe('what it costs the guest, or lacks'),
  events: count,
  lost: count.describe('records executed that are not in the file because of a limit'),
  bytes: count.describe('of the file, compressed'),
  end: z
    .enum(Object.keys(RECORDING_ENDS) as [RecordingEnd])
    .nullable()
    .describe('why it ended'),
  tableHash: z.boolean().describe('does the file end with a hash of the table?'),
});

const snapshot = z.object({
  number: count.describe('one more than that of the snapshot before'),
  file: z.string().describe('where it lies on the machine of the daemon'),
  bytes: count,
});

const state = z.object({
  directory: z.string(),
  durability: z.enum(DURABILITIES),
  guests: z.array(
    z.object({
      guest: z.string(),
      takenAt: z.iso.datetime().describe('when its newest snapshot was taken'),
      bytes: count,
      heldMillis: z.number().min(0).describe('how long it executed nothing for that'),
    }),
  ),
  failing: z
    .array(z.object({ guest: z.string(), reason: z.string() }))
    .describe('guests whose last snapshot could not be written'),
  damaged: z
    .array(
      z.object({
        guest: z.string(),
        kind: z.enum(['damaged', 'foreign', 'unreadable']),
        file: z.string(),
        reason: z.string(),
        whatToDo: z.string(),
      }),
    )
    .describe('guests that are kept and cannot be started'),
  snapshots: count.describe('written since the daemon was started'),
  failures: count.describe('that could not be written'),
});

const explanation = z.object({
  rule: z.string().describe('name of the rule that decided'),
  text: z.string().describe('why, in a sentence'),
  details: z.record(z.string(), hexWord).describe('the facts in the sentence, by name'),
});

/** What a call of the operation is answered: results by name, as many as there are. */
export function answerSchema(operation: Operation): z.ZodObject {
  const statuses = statusesOf(operation);
  const results = operation.results.map((name) => [name, hexWord.optional()] as const);
  return z
    .object({
      hcall: z.literal(operation.name),
      status: z.enum(statuses).describe('what r3 says'),
      code: z
        .literal(statuses.map((name) => STATUSES[name]))
        .meta({ type: 'integer', description: 'the same as a number, in the same order' }),
      ...Object.fromEntries(results),
      data: z.array(hexWord).optional().describe('words behind the named results'),
      explanation: explanation.optional(),
      tag: count.optional().describe("the call's tag"),
    })
    .describe(operation.meaning);
}

const batch = z.object({
  answers: z
    .array(z.looseObject({ hcall: z.string(), status: z.string(), code: z.int() }))
    .describe('in the order of the calls, each as the call alone is answered'),
});

const dword0 = z.object({
  word: hexWord,
  segment: z.string(),
  avpn: hexWord.describe('where it stands, as H_AVPN wants it'),
  compared: hexWord,
  hvlock: z.boolean(),
  absent: z.boolean(),
  bolted: z.boolean(),
  lock: z.boolean(),
  large: z.boolean(),
  secondary: z.boolean(),
  valid: z.boolean(),
});

const dword1 = z.object({
  word: hexWord,
  pp0: z.boolean(),
  ts: z.boolean(),
  key: count,
  rpn: hexWord,
  referenced: z.boolean(),
  changed: z.boolean(),
  wimg: z.string().describe('letters of the bits that are set'),
  noExecute: z.boolean(),
  pp: count,
  protection: z.string(),
});

const decoded = z.object({
  dword0,
  dword1,
  page: z.object({ base: z.string(), actual: z.string() }).nullable(),
  realAddress: hexWord,
});

const entry = z.object({
  ptex: hexWord,
  group: hexWord,
  slot: z.int().min(0).max(7),
  state: z.enum(['valid', 'absent', 'mmio', 'empty']),
  virtualPage: z
    .object({
      segment: z.string(),
      vsid: virtualAddress,
      segmentOffset: hexWord.nullable(),
      virtualAddress: virtualAddress.nullable(),
      found: z.boolean().describe('a search for the page looks into this group'),
    })
    .nullable(),
  guest: decoded.nullable().describe('as the guest sees it'),
  host: decoded.nullable().describe('as the hardware sees it'),
  chain: z
    .object({ next: hexWord, previous: hexWord })
    .nullable()
    .describe('entries of the same frame'),
  words: z.object({
    dword0: hexWord,
    dword1: hexWord,
    guestRpte: hexWord,
    pteh: hexWord,
    ptel: hexWord,
    format: z.enum(['PAPR', 'ISA 3.0']),
  }),
});

const group = z.object({
  group: hexWord,
  order: count,
  occupied: z.int().min(0).max(8),
  slots: z.array(entry).length(8),
});

const named = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z.object(
    Object.fromEntries(names.map((name) => [name, count])) as Record<Names[number], z.ZodInt>,
  );

const statistics = z.object({
  order: count,
  entries: count,
  groups: count,
  occupied: count,
  valid: count,
  absent: count,
  bolted: count,
  secondary: count,
  referenced: count,
  changed: count,
  fullGroups: count,
  emptyGroups: count,
  groupsByEntries: z.array(count).length(9).describe('groups with 0, 1, … 8 entries'),
  entriesBySlot: z.array(count).length(8).describe('entries in slot 0, 1, … 7'),
  entriesByPageSize: named(PAGE_SIZES),
  chainsByLength: named(CHAIN_LENGTHS),
  map: z
    .object({ entriesPerBucket: count, occupied: z.array(count) })
    .describe('how full the table is from its first entry to its last'),
  processors: z
    .array(
      z.object({
        processor: count,
        records: count,
        lockWaits: count,
        chainWaits: count,
        secondPasses: count,
        tlbies: count,
        tlbsyncs: count,
      }),
    )
    .describe(
      'the last one is the main thread, which executes short hcalls that come one at a time itself',
    ),
});

const page = (state: string) => z.object({ gpa: hexWord, page: z.literal(state) });

const resize = z.object({
  state: z.enum(RESIZE_STATES),
  order: count,
  zeroedBytes: count,
  bytes: count,
});

const problemRow = z.object({
  code: z.enum(PROBLEM_CODES),
  type: path,
  status: count,
  title: z.string(),
  meaning: z.string(),
  whatToDo: z.string(),
});

/** By the name that each has in the documents. */
export const ANSWERS = {
  Index: z.looseObject({ name: z.string(), about: z.string() }),
  Guest: guest,
  GuestList: z.object({ guests: z.array(guest) }),
  Explanation: explanation,
  BatchAnswer: batch,
  DecodedEntry: decoded,
  Entry: entry,
  Group: group,
  Statistics: statistics,
  Hash: z.object({ order: count, fnv1a64: hexWord, validEntries: count }),
  Memslot: slot,
  MemslotList: z.object({ memslots: z.array(slot) }),
  Recording: recording,
  RecordingList: z.object({ recordings: z.array(recording) }),
  State: state,
  Snapshot: snapshot.extend({
    guest: z.string(),
    takenAt: z.iso.datetime(),
    state: z.enum(['running', 'paused']),
    order: count,
    heldMillis: z.number().min(0).describe('how long the guest executed nothing for it'),
  }),
  SnapshotList: z.object({
    snapshots: z.array(snapshot.extend({ writtenAt: z.iso.datetime() })),
  }),
  PageAway: page('away'),
  PageReadOnly: page('read-only'),
  PageWritable: page('writable'),
  Aged: z.object({ gpa: hexWord, referenced: z.boolean() }),
  Dirty: z.object({
    gpa: hexWord,
    pageBytes: count,
    pages: count,
    dirty: count,
    bitmap: z.base64().describe('bit n of byte m is page 8 m + n'),
  }),
  PageFault: z.object({ ptex: hexWord, outcome: z.enum(PAGE_FAULT_OUTCOMES) }),
  Walk: z.object({
    outcome: z.enum(WALK_OUTCOMES),
    ptex: hexWord.nullable(),
    gpa: hexWord.nullable(),
    pageBytes: count.nullable(),
    wimg: hexWord.nullable(),
    dsisr: hexWord.nullable().describe('what a guest would see of the fault'),
  }),
  TableLoaded: z.object({ bytes: count, records: count, entries: count }),
  Resize: resize,
  ResizeCommitted: resize.extend({ orderNow: count }),
  Problem: problemDocument,
  ProblemRow: problemRow,
  ProblemList: z.object({ problems: z.array(problemRow) }),
} as const satisfies Record<string, z.ZodType>;

export type AnswerName = keyof typeof ANSWERS;

/** Answers of calls, by operation. */
export const CALL_ANSWERS: ReadonlyMap<string, z.ZodObject> = new Map(
  OPERATIONS.map((operation) => [operation.name, answerSchema(operation)]),
);
