/** A recording of a guest's conversation, as REST starts and shows it. docs/recordings.md tells the whole of it. */
import { z } from 'zod';
import { RECORDING_BYTES_MAX, RECORDING_EVENTS_MAX, RECORDING_SECONDS_MAX } from './limits.ts';

const DEFAULT_BYTES = RECORDING_BYTES_MAX / 4;
const DEFAULT_SECONDS = 3600;

export const recordingBody = z.strictObject({
  ordered: z
    .boolean()
    .default(true)
    .describe(
      'true: the lines are in the order of what happened, for which the processors of the daemon run this guest in turns; false: it is not slowed, and lines of several streams may stand in another order',
    ),
  bytesMax: z
    .int()
    .min(1)
    .max(RECORDING_BYTES_MAX)
    .default(DEFAULT_BYTES)
    .describe('length of the file, compressed, at which it ends'),
  eventsMax: z
    .int()
    .min(1)
    .max(RECORDING_EVENTS_MAX)
    .default(RECORDING_EVENTS_MAX)
    .describe('events at which it ends'),
  secondsMax: z
    .int()
    .min(1)
    .max(RECORDING_SECONDS_MAX)
    .default(DEFAULT_SECONDS)
    .describe('after how long it ends by itself'),
});

export type RecordingOptions = z.output<typeof recordingBody>;

/** What PATCH takes. */
export const recordingPatch = z.strictObject({
  state: z.literal('ended').describe('ended: its file is whole and can be downloaded'),
});

/** Why a recording ended, and what its file is worth then. */
export const RECORDING_ENDS = {
  asked: 'somebody ended it',
  time: 'secondsMax is over',
  bytes: 'the file has reached bytesMax',
  events: 'eventsMax is reached',
  backlog: 'events came faster than they could be written',
  'not-recordable': 'something happened that the format has no event for',
  guest: 'the guest failed or ended',
} as const;

export type RecordingEnd = keyof typeof RECORDING_ENDS;

export interface RecordingFacts {
  readonly id: string;
  readonly state: 'recording' | 'ending' | 'ended';
  readonly startedAt: string;
  /** Are the lines in the order of what happened? */
  readonly ordered: boolean;
  /** What it costs the guest, or makes the file less than it should be. */
  readonly notes: readonly string[];
  readonly events: number;
  /** Records executed that are not in the file because of a limit. */
  readonly lost: number;
  /** Of the file, compressed. */
  readonly bytes: number;
  readonly end: RecordingEnd | null;
  /** Does the file end with a hash of the whole table, which a replay compares? */
  readonly tableHash: boolean;
}
