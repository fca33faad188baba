/** What a guest's modules share: what it was opened with, and what it has by now. Main thread only. */
import type { GuestConfig } from '../../schemas/guests.ts';
import type { Here } from '../processors/here.ts';
import type { Pool, Processor } from '../processors/pool.ts';
import type { Engine } from '../rings/engine.ts';
import type { Caller } from './caller.ts';
import type { AnswerPlaces } from './facts.ts';
import type { OwnedStream } from './guest-stream.ts';
import type { Journal } from './journal/journal.ts';
import type { Life } from './life.ts';
import type { RecordedGuest } from './recording/recorded-guest.ts';
import type { RecordingBudget } from './recording/recordings.ts';
import type { StreamEnd } from './types.ts';

export interface GuestSite {
  readonly name: string;
  /** The guest's number in the daemon. */
  readonly number: number;
  readonly config: GuestConfig;
  readonly createdAt: Date;
  readonly memory: WebAssembly.Memory;
  readonly map: Engine['map'];
  /** The main thread's, with which the guest was laid out. */
  readonly engine: Engine;
  readonly pool: Pool;
  readonly answerPlaces: AnswerPlaces;
  readonly recordingBudget: RecordingBudget;
  /** Resolves when a change of its state will outlive the daemon, if such changes are kept at once. */
  readonly keepState?: (() => Promise<unknown>) | undefined;
}

export interface GuestState {
  readonly site: GuestSite;
  readonly words: Int32Array<SharedArrayBuffer>;
  /** By slot. */
  readonly streams: (OwnedStream | undefined)[];
  readonly processors: Set<Processor>;
  readonly callers: Map<Processor, Caller>;
  readonly life: Life;
  readonly recorded: RecordedGuest;
  /** Why the guest takes nothing more. */
  end: StreamEnd | undefined;
  /** The main thread as a processor of the guest, since there first was something for it. */
  here: Here | undefined;
  /** Ends every stream at once, and recordings. */
  readonly fail: (reason: string) => void;
  journal: Journal | undefined;
}

/** Of the pool's, and the main thread, whose block is behind theirs (src/processors/here.ts). */
export function processorsOf({ processors }: Pool): number {
  return processors.length + 1;
}

export function orderOf({ words, site: { map } }: GuestState): number {
  return Atomics.load(words, map.MODE >> 2) === 0 ? 0 : Atomics.load(words, map.TABLE_ORDER >> 2);
}

export function openStreams(state: GuestState): OwnedStream[] {
  return state.streams.filter((stream) => stream !== undefined);
}
