/**
 * The processors of a daemon, seen from the main thread: starting them, pinning streams, replacing one that died.
 *
 * What a processor does is in processor.ts; what is said to it in messages.ts. Main thread only.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { GUESTS_MAX } from '../../schemas/limits.ts';
import type { MemoryMap } from '../rings/engine.ts';
import { newBell, resetBell, ringFor, ringForMail, ringForRoom } from '../rings/wakeups.ts';
import type { Bell } from '../rings/wakeups.ts';
import { listenToBell } from './completions.ts';
import type { CompletionListener } from './completions.ts';
import {
  forgetGuest,
  forgetStream,
  freeTurns,
  inheritanceOf,
  markDead,
  newEstate,
  noteGuest,
  noteMessage,
} from './estate.ts';
import type { Estate } from './estate.ts';
import type { FromProcessor, ProcessorBirth, ToProcessor } from './messages.ts';

/** How long a processor may take to load before the daemon gives up starting. */
const START_MILLIS = 30_000;
/** Lives in a row that end before the processor is ready: a defect that the next life would meet too. */
const LIVES_LOST_MAX = 5;
/**
 * V8 takes the addresses of a guest's memory, 4 GiB, for memory in use. Beyond half of what a thread's heap may have it stops
 * that thread for 10 ms and looks for dead objects, at each guest that comes. So the heap may have twice what all guests can.
 */
const HEAP_MB_MAX = 2 * GUESTS_MAX * 4096;

export interface Processor {
  readonly index: number;
  readonly bell: Bell;
  readonly estate: Estate;
  worker: Worker;
  alive: boolean;
  /** Streams pinned to it, of all guests. */
  streams: number;
  livesLost: number;
  /** Threads of it that died. */
  deaths: number;
}

export interface Pool {
  readonly module: WebAssembly.Module;
  readonly mainBell: Bell;
  readonly processors: readonly Processor[];
  readonly completions: CompletionListener;
  /** Promises of detachments and passings, by what is awaited. */
  readonly waiting: Map<string, () => void>;
  /** How often a processor was asked to pass: numbers the questions. */
  passings: number;
  /** A processor's thread ended although nobody stopped it; its successor starts. Set by who owns the guests. */
  onSuccession: (processor: Processor, error: Error) => void;
  /** A processor is given up: its streams answer nothing more. Set by who owns the guests. */
  onDeath: (processor: Processor, error: Error) => void;
}

export async function startPool(module: WebAssembly.Module, count: number): Promise<Pool> {
  const mainBell = newBell();
  const processors = Array.from({ length: count }, (_, index) => {
    const [bell, estate] = [newBell(), newEstate()];
    const worker = startThread({
      index,
      module,
      bell,
      mainBell,
      inheritance: inheritanceOf(estate),
    });
    return { index, bell, estate, worker, alive: true, streams: 0, livesLost: 0, deaths: 0 };
  });
  try {
    await Promise.all(
      processors.map(({ worker }) =>
        once(worker, 'message', { signal: AbortSignal.timeout(START_MILLIS) }),
      ),
    );
  } catch (error) {
    await Promise.all(processors.map(({ worker }) => worker.terminate()));
    throw error;
  }
  const pool: Pool = {
    module,
    mainBell,
    processors,
    completions: listenToBell(mainBell),
    waiting: new Map(),
    passings: 0,
    onSuccession: () => {},
    onDeath: () => {},
  };
  for (const processor of processors) watch(pool, processor);
  return pool;
}

/** It says `ready` when it is. */
function startThread(birth: ProcessorBirth): Worker {
  return new Worker(new URL('./processor.ts', import.meta.url), {
    workerData: birth,
    name: `processor-${birth.index}`,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  });
}

function watch(pool: Pool, processor: Processor): void {
  let error = new Error('the thread ended without an error');
  processor.worker.on('message', (message: FromProcessor) => hear(pool, processor, message));
  processor.worker.on('error', (thrown: Error) => {
    error = thrown;
  });
  processor.worker.on('exit', () => {
    if (!processor.alive) return;
    freeTurns(processor.estate, processor.index);
    processor.livesLost++;
    processor.deaths++;
    if (processor.livesLost <= LIVES_LOST_MAX) return succeed(pool, processor, error);
    processor.alive = false;
    pool.onDeath(processor, error);
    releaseWaiting(pool.waiting, processor);
  });
}

/** Starts a thread that goes on where the dead one stopped. Its streams notice nothing but the time it takes. */
function succeed(pool: Pool, processor: Processor, error: Error): void {
  const { index, bell, estate } = processor;
  pool.onSuccession(processor, error);
  markDead(estate, index);
  resetBell(bell);
  const { module, mainBell } = pool;
  const inheritance = inheritanceOf(estate);
  processor.worker = startThread({ index, module, bell, mainBell, inheritance });
  watch(pool, processor);
  // It reads this after it has finished what its predecessor was in the middle of.
  for (const number of estate.passings) post(processor, { kind: 'pass', number });
}

function hear(pool: Pool, processor: Processor, message: FromProcessor): void {
  if (message.kind === 'ready') {
    processor.livesLost = 0;
    // A thread may have died between publishing answers and saying so.
    for (const stream of processor.estate.streams.keys()) pool.completions.onNews[stream]?.();
  } else if (message.kind === 'stream-detached') {
    forgetStream(processor.estate, message.stream);
    settle(pool.waiting, streamKey(processor, message.stream));
  } else if (message.kind === 'passed') {
    processor.estate.passings.delete(message.number);
    settle(pool.waiting, passKey(processor, message.number));
  } else {
    forgetGuest(processor.estate, message.guest);
    settle(pool.waiting, guestKey(processor, message.guest));
  }
}

function settle(waiting: Map<string, () => void>, key: string): void {
  waiting.get(key)?.();
  waiting.delete(key);
}

/** Whoever waits for a dead processor to let go of something has what it waits for. */
function releaseWaiting(waiting: Map<string, () => void>, processor: Processor): void {
  for (const key of waiting.keys()) {
    if (key.startsWith(`${processor.index}/`)) settle(waiting, key);
  }
}

function streamKey(processor: Processor, stream: number): string {
  return `${processor.index}/stream/${stream}`;
}

function guestKey(processor: Processor, guest: number): string {
  return `${processor.index}/guest/${guest}`;
}

function passKey(processor: Processor, number: number): string {
  return `${processor.index}/pass/${number}`;
}

function post(processor: Processor, message: ToProcessor): void {
  noteMessage(processor.estate, message);
  processor.worker.postMessage(message);
  ringForMail(processor.bell);
}

/** The living processor with the fewest streams; undefined: all are dead. */
export function leastLoaded(pool: Pool): Processor | undefined {
  let least: Processor | undefined;
  for (const processor of pool.processors) {
    if (processor.alive && (least === undefined || processor.streams < least.streams))
      least = processor;
  }
  return least;
}

export function attachGuest(
  processor: Processor,
  guest: number,
  memory: WebAssembly.Memory,
  map: MemoryMap,
): void {
  noteGuest(processor.estate, guest, memory, map);
  post(processor, { kind: 'attach-guest', guest, memory });
}

/** Resolves when the processor has forgotten the guest's memory. No stream of the guest may be attached. */
export function detachGuest(pool: Pool, processor: Processor, guest: number): Promise<void> {
  return acknowledged(pool, processor, guestKey(processor, guest), { kind: 'detach-guest', guest });
}

/** `onNews`: answers wait in the stream's completion ring; it says whether more are to come. */
export function attachStream(
  pool: Pool,
  processor: Processor,
  stream: number,
  guest: number,
  slot: number,
  onNews: () => boolean,
): void {
  processor.streams++;
  pool.completions.onNews[stream] = onNews;
  post(processor, { kind: 'attach-stream', stream, guest, slot });
}

/** Resolves when the processor has run what was submitted, and published every answer. Once a stream. */
export function detachStream(pool: Pool, processor: Processor, stream: number): Promise<void> {
  return acknowledged(pool, processor, streamKey(processor, stream), {
    kind: 'detach-stream',
    stream,
    drop: false,
  });
}

/** Makes a detachment that was asked for happen at once, whatever is left to run. */
export function hurryDetach(processor: Processor, stream: number): void {
  if (processor.alive) post(processor, { kind: 'detach-stream', stream, drop: true });
}

/** The stream is gone; its number may be used again. */
export function releaseStream(pool: Pool, processor: Processor, stream: number): void {
  processor.streams--;
  pool.completions.onNews[stream] = undefined;
}

/**
 * Resolves when the processor executes nothing any more that it had begun before the call: what it begins from then on
 * sees what was stored in shared memory before the call.
 */
export function passed(pool: Pool, processor: Processor): Promise<void> {
  const number = pool.passings++;
  return acknowledged(pool, processor, passKey(processor, number), { kind: 'pass', number });
}

function acknowledged(
  pool: Pool,
  processor: Processor,
  key: string,
  message: ToProcessor,
): Promise<void> {
  if (!processor.alive) return Promise.resolve();
  return new Promise((resolve) => {
    pool.waiting.set(key, resolve);
    post(processor, message);
  });
}

/** A frame was put into the stream's submission ring. */
export function ringProcessor(pool: Pool, processor: Processor, stream: number): void {
  ringFor(processor.bell, stream);
  pool.completions.expect();
}

/** Answers were taken from a stream of this processor. */
export function roomMade(processor: Processor): void {
  ringForRoom(processor.bell);
}

/** Ends the threads. Every stream is detached before. */
export async function stopPool(pool: Pool): Promise<void> {
  await Promise.all(
    pool.processors.map(async (processor) => {
      if (!processor.alive) return;
      processor.alive = false;
      const exit = once(processor.worker, 'exit');
      post(processor, { kind: 'stop' });
      await exit;
    }),
  );
  pool.completions.stop();
}
