/**
 * What a row of the table of routes says, and the bodies and parameters that its rows name.
 */
import { z } from 'zod';
import type { AnswerName } from './answers.ts';
import { callSchema } from './calls.ts';
import { guestPatch } from './guest-states.ts';
import { guestConfig } from './guests.ts';
import { BATCH_HCALLS_MAX } from './limits.ts';
import { HCALLS } from './operations.ts';
import { recordingBody, recordingPatch } from './recordings.ts';
import type { ProblemCode } from './problems.ts';
import {
  dirtyBody,
  hostPageBody,
  memslotBody,
  pageFaultBody,
  resizeBody,
  walkBody,
} from './resources.ts';

/** By the name that each has in the documents. */
export const BODIES = {
  GuestConfig: guestConfig,
  GuestPatch: guestPatch,
  Batch: z.strictObject({
    calls: z
      .array(z.union(HCALLS.map(({ name }) => callSchema(name)!)))
      .min(1)
      .max(BATCH_HCALLS_MAX)
      .describe('calls that name their `hcall`, made in this order'),
  }),
  MemslotBody: memslotBody,
  HostPage: hostPageBody,
  PageFaultBody: pageFaultBody,
  DirtyBody: dirtyBody,
  WalkBody: walkBody,
  ResizeBody: resizeBody,
  RecordingBody: recordingBody,
  RecordingPatch: recordingPatch,
} as const satisfies Record<string, z.ZodType>;

export type BodyName = keyof typeof BODIES;

export interface Parameter {
  readonly name: string;
  readonly meaning: string;
  readonly schema: z.ZodType;
  readonly required: boolean;
}

export interface Answer {
  readonly meaning: string;
  /** A schema by name, the answer of the operation that the address names, or a media type. */
  readonly content?: AnswerName | 'call' | `${string}/${string}`;
}

export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** Parameters in braces; each has a row in PATH_PARAMETERS. */
  readonly path: string;
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly query?: readonly Parameter[];
  /** A schema by name, a call of the operation that the address names, or a media type. */
  readonly body?: BodyName | 'call' | `${string}/${string}`;
  readonly answers: Readonly<Record<number, Answer>>;
  readonly problems: readonly ProblemCode[];
  /** `{name}` stands for each hcall, or each operation. */
  readonly each?: 'hcall' | 'operation';
}

export const TAGS = {
  guests: "A guest's life",
  hcalls: 'Calls: hcalls, one by name or many at once, and control operations of the host',
  table: 'The table, and its resize',
  memory: 'Memory slots, and the bytes behind them',
  host: 'What a host does to its guest',
  recordings: 'Recordings of a guest, to be replayed',
  state: 'What outlives the daemon',
  daemon: 'The daemon itself',
} as const;

const index = z.string().regex(/^(0x[0-9a-fA-F]{1,12}|[0-9]{1,15})$/);

export const PATH_PARAMETERS: Readonly<Record<string, Omit<Parameter, 'name' | 'required'>>> = {
  guest: { meaning: 'name of the guest', schema: z.string() },
  name: { meaning: 'name of the operation', schema: z.string() },
  ptex: { meaning: 'index of the entry, decimal or 0x…', schema: index },
  group: { meaning: 'index of the group (PTEG), a ptex divided by 8', schema: index },
  number: { meaning: 'number of the memory slot', schema: z.int().min(0).max(31) },
  reader: { meaning: 'number of the table reader', schema: z.int().min(1) },
  code: { meaning: 'code of the problem', schema: z.string() },
  id: { meaning: 'number of the recording', schema: z.string() },
};

const address = z.string().regex(/^(0x[0-9a-fA-F]{1,16}|[0-9]{1,15})$/);
export const gpaQuery = {
  name: 'gpa',
  meaning: 'guest address, decimal or 0x…',
  schema: address,
  required: true,
};
export const bytesQuery = {
  name: 'bytes',
  meaning: 'how many bytes, decimal or 0x…',
  schema: address,
  required: true,
};
export const roleQuery = {
  name: 'role',
  meaning: 'host: the stream carries control records too',
  schema: z.enum(['guest', 'host']).default('guest'),
  required: false,
};

/** Sets of problems that many rows have. */
export const named: readonly ProblemCode[] = ['guest-not-found', 'guest-damaged'];
/** Whatever runs records on the guest's processors. */
export const running: readonly ProblemCode[] = [
  ...named,
  'guest-deleted',
  'guest-failed',
  'guest-state',
  'processor-busy',
  'shutting-down',
  'state-unwritable',
];
export const looking: readonly ProblemCode[] = [...running, 'no-table', 'table-changed'];
/** Whatever takes a JSON body. */
export const reading: readonly ProblemCode[] = [
  'body-invalid',
  'body-too-large',
  'unsupported-media-type',
  'argument-invalid',
  'field-unknown',
];
export const calling: readonly ProblemCode[] = [
  ...running,
  ...reading,
  'hcall-unknown',
  'flag-unknown',
];
/** DELETE and the like: Fastify reads a body that nobody wants, and refuses one that it cannot read. */
export const unread: readonly ProblemCode[] = [
  'body-invalid',
  'body-too-large',
  'unsupported-media-type',
];

export const ok = (
  content: Answer['content'],
  meaning: string,
): Readonly<Record<number, Answer>> => ({
  200: { meaning, ...(content === undefined ? {} : { content }) },
});
export const done = (meaning: string): Readonly<Record<number, Answer>> => ({ 204: { meaning } });

export const guest = '/v1/guests/{guest}';
