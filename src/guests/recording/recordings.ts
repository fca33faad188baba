/**
 * The recordings of one guest: one going on, a few kept. They end with their guest. What all of a daemon take together is
 * bounded: one that goes on counts with what it may come to. Main thread only.
 */
import { RECORDINGS_PER_GUEST_MAX } from '../../../schemas/limits.ts';
import { problem } from '../../../schemas/problems.ts';
import type { RecordingFacts, RecordingOptions } from '../../../schemas/recordings.ts';
import type { RecordedGuest } from './recorded-guest.ts';
import { startRecorder } from './recorder.ts';
import type { Recorder } from './recorder.ts';

/** What transports may ask. Each throws recording-not-found for an id that there is not. */
export interface Recordings {
  /** Resolves when the guest is being recorded. */
  start(options: RecordingOptions): Promise<RecordingFacts>;
  list(): RecordingFacts[];
  facts(id: string): RecordingFacts;
  /** Resolves when the file is whole; one that has ended stays as it is. */
  end(id: string): Promise<RecordingFacts>;
  /** gzip'd lines; throws recording-running. */
  file(id: string): Uint8Array[];
  /** Ends it if it goes on, and forgets its file. */
  remove(id: string): void;
}

/** What the guest may do beside. */
export interface OwnedRecordings extends Recordings {
  /** Memory, that of one going on as it may come to. */
  takenBytes(): number;
  noteDeath(processor: number): void;
  /** The guest failed: what was recorded until then is kept. */
  endAll(): void;
  dropAll(): void;
}

/** Of a daemon. */
export interface RecordingBudget {
  readonly bytesMax: number;
  /** Frames and answers that may wait for the thread of one recording. */
  readonly backlogBytesMax: number;
  /** By the recordings of all guests. */
  takenBytes(): number;
}

export function openRecordings(guest: RecordedGuest, budget: RecordingBudget): OwnedRecordings {
  const recorders = new Map<string, Recorder>();
  let lastId = 0;
  let starting = false;
  /** What the one that goes on, or starts, may come to. */
  let mayTakeBytes = 0;

  function recorder(id: string): Recorder {
    const found = recorders.get(id);
    if (found === undefined)
      throw problem('recording-not-found', `${guest.name} has no recording ${JSON.stringify(id)}`);
    return found;
  }

  function goingOn(): Recorder | undefined {
    return [...recorders.values()].find((one) => one.facts().state !== 'ended');
  }

  return {
    async start(options) {
      if (starting || goingOn() !== undefined)
        throw problem('recording-running', `${guest.name} is being recorded already`);
      if (recorders.size >= RECORDINGS_PER_GUEST_MAX)
        throw problem('recording-limit', `${guest.name} keeps ${recorders.size} recordings`);
      mayTakeBytes = mustFit(budget, options);
      starting = true;
      try {
        const id = String(++lastId);
        const started = await startRecorder(id, guest, options, budget.backlogBytesMax);
        recorders.set(id, started);
        return started.facts();
      } finally {
        starting = false;
      }
    },
    takenBytes: () =>
      keptBytes(recorders) + (starting || goingOn() !== undefined ? mayTakeBytes : 0),
    list: () => [...recorders.values()].map((one) => one.facts()),
    facts: (id) => recorder(id).facts(),
    async end(id) {
      const one = recorder(id);
      await one.end('asked');
      return one.facts();
    },
    file: (id) => recorder(id).file(),
    remove(id) {
      recorder(id).drop();
      recorders.delete(id);
    },
    noteDeath: (processor) => goingOn()?.noteDeath(processor),
    endAll: () => void goingOn()?.end('guest'),
    dropAll() {
      for (const one of recorders.values()) one.drop();
      recorders.clear();
    },
  };
}

/** What a recording may come to; throws recording-memory. */
function mustFit(budget: RecordingBudget, { bytesMax }: RecordingOptions): number {
  const bytes = bytesMax + budget.backlogBytesMax;
  const taken = budget.takenBytes();
  if (taken + bytes <= budget.bytesMax) return bytes;
  throw problem(
    'recording-memory',
    `recordings take ${taken} bytes of ${budget.bytesMax}; this one may come to ${bytes}`,
  );
}

/** The files of those that have ended. */
function keptBytes(recorders: ReadonlyMap<string, Recorder>): number {
  const ended = [...recorders.values()]
    .map((one) => one.facts())
    .filter(({ state }) => state === 'ended');
  return ended.reduce((sum, { bytes }) => sum + bytes, 0);
}
