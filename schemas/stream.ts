/** The hello with which the daemon opens every stream (docs/stream.md); clients and tests check it with this. */
import { z } from 'zod';

export const STREAM_PROTOCOL = 'hptd.v1';
export const JSON_STREAM_PROTOCOL = 'hptd.v1.json';

const opening = {
  type: z.literal('hello'),
  version: z.string().describe("the daemon's version"),
  guest: z.string(),
  role: z.enum(['guest', 'host']).describe('host: control records are answered too'),
  processor: z.int().min(0).describe('the processor that answers this stream'),
  order: z.int().min(0).describe("log2 of the table's bytes; 0: no table"),
  createdAt: z
    .string()
    .optional()
    .describe(
      'tells a guest from a later one of the same name; absent: there is no guest behind it',
    ),
  traceId: z
    .string()
    .optional()
    .describe("the stream's name in the daemon's log; that of the upgrade, if it brought one"),
};

export const binaryHello = z.object({
  ...opening,
  protocol: z.literal(STREAM_PROTOCOL),
  limits: z.object({
    frameBytes: z.int().positive().describe('length of the longest frame'),
    creditBytes: z.int().positive().describe('what may be unanswered'),
    frameOverheadBytes: z
      .int()
      .min(0)
      .describe("added to a frame's length when credits are counted"),
  }),
});

export const jsonHello = z.object({
  ...opening,
  protocol: z.literal(JSON_STREAM_PROTOCOL),
  limits: z.object({
    frameBytes: z.int().positive().describe('length of the longest message'),
    inFlightHcalls: z.int().positive().describe('calls that may be unanswered'),
  }),
});

export const hello = z.discriminatedUnion('protocol', [binaryHello, jsonHello]);

export type BinaryHello = z.output<typeof binaryHello>;
export type JsonHello = z.output<typeof jsonHello>;
export type Hello = z.output<typeof hello>;

/** Codes with which the daemon closes a stream, what each asks of the client, and where connecting again makes sense. */
export const CLOSE_CODES = [
  {
    code: 1009,
    again: false,
    meaning: 'a frame was longer than the limit',
    advice: 'send smaller frames',
  },
  { code: 1012, again: true, meaning: 'the daemon shuts down', advice: 'connect again later' },
  {
    code: 1013,
    again: true,
    meaning: 'the stream cannot be opened now',
    advice: 'try again later',
  },
  { code: 4400, again: false, meaning: 'a frame was malformed', advice: 'mend the client' },
  {
    code: 4403,
    again: false,
    meaning: 'the token or certificate is no longer valid, or lost its scope',
    advice: 'ask who runs the daemon for a new one',
  },
  { code: 4408, again: true, meaning: 'pings were not answered', advice: 'connect again' },
  { code: 4410, again: false, meaning: 'the guest was deleted', advice: 'create it again' },
  {
    code: 4413,
    again: false,
    meaning: 'more was in flight than credits allow',
    advice: 'wait for answers before sending more',
  },
  {
    code: 4500,
    again: false,
    meaning: 'the guest failed',
    advice: "see the daemon's log, then delete the guest",
  },
] as const;
