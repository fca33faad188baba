/** What the main thread and the thread that writes a recording say to each other. Bytes are copies, and change hands. */
import type { RecordingEnd } from '../../../schemas/recordings.ts';

/** What a recording is born with. */
export interface WriterBirth {
  readonly bytesMax: number;
  readonly eventsMax: number;
}

/** In the order in which it is to stand in the file, but for `frame`: that comes before the answers to it. */
export type ToWriter =
  /** A piece of the table as it is at the start, in KVM's HTAB format. */
  | { readonly kind: 'table'; readonly bytes: Uint8Array }
  /** Host pages that are not as they are at a guest's birth. */
  | { readonly kind: 'page'; readonly gpa: bigint; readonly state: number }
  /** That was the start: from now on events are written. */
  | { readonly kind: 'begun' }
  | { readonly kind: 'frame'; readonly cpu: number; readonly bytes: Uint8Array }
  | { readonly kind: 'answers'; readonly cpu: number; readonly bytes: Uint8Array }
  /** A hash of the table is being taken: it is good if no event comes before the end. */
  | { readonly kind: 'hashing' }
  | { readonly kind: 'end'; readonly last: Last };

export interface Last {
  readonly end: RecordingEnd;
  readonly order: number;
  readonly lost: number;
  readonly hash: { readonly fnv1a64: bigint; readonly valid: bigint } | undefined;
}

export type FromWriter =
  | {
      readonly kind: 'written';
      /** Of what was sent so far. */
      readonly bytesTaken: number;
      readonly events: number;
      readonly fileBytes: number;
      /** It writes no more events: which limit it met, or that one could not be written. */
      readonly full: RecordingEnd | undefined;
    }
  | {
      readonly kind: 'ended';
      /** Gzip members; the header, which the main thread writes, goes before them. */
      readonly file: readonly Uint8Array<ArrayBuffer>[];
      readonly events: number;
      readonly hcalls: number;
      /** Records that came when the file was full. */
      readonly lost: number;
      readonly tableHash: boolean;
      readonly full: RecordingEnd | undefined;
      readonly note: string | undefined;
    };
