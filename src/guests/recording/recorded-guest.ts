/** What a recording needs of a guest and its streams: the guest gives it (guest.ts), nobody else calls it. Main thread. */
import type { GuestConfig } from '../../../schemas/guests.ts';
import type { MemoryMap } from '../../rings/engine.ts';
import type { Caller } from '../caller.ts';
import type { GuestSlot } from '../types.ts';
import type { GuestState } from '../../../schemas/guest-states.ts';

export interface StreamTap {
  /** A frame was taken; the bytes are the caller's. */
  onFrame(frame: Uint8Array): void;
  /** A stamped item of answers, whole records; the bytes are the ring's. */
  onItem(stamp: number, answers: Uint8Array): void;
}

export interface RecordedStream {
  /** From the answers on that were not delivered yet. */
  tap(tap: StreamTap | undefined): void;
  /** Shows the tap what is in the ring by now, delivered or not. */
  show(): void;
  /** Copies of what was submitted and is not executed; only while no processor runs the stream. */
  unexecuted(): Uint8Array[];
}

export interface RecordedGuest {
  readonly name: string;
  readonly config: GuestConfig;
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  /** Of the daemon. */
  readonly processors: number;
  /** It runs in turns with or without a recording, because it keeps a journal. */
  alwaysInTurn(): boolean;
  status(): { readonly order: number; readonly state: GuestState };
  memslots(): readonly GuestSlot[];
  /** Streams of all kinds. */
  streams(): readonly RecordedStream[];
  /** Is told of each stream that is opened. */
  onStream: ((stream: RecordedStream) => void) | undefined;
  /** Runs `work` while no hcall is executed, and not while the guest's state changes. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when each processor of the guest has begun anew since the call. */
  allPassed(): Promise<void>;
  /** A stream with the role host for `work`, which hcalls of others do not hold up. */
  withOwnStream<T>(work: (caller: Caller) => Promise<T>): Promise<T>;
}
