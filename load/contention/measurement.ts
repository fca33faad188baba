/** One measurement of the contention profile: a guest of its own, its threads, the tally of the measured one. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { SLOT_SEARCHES } from '../../schemas/guests.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import { compileEngine, guestMemory, openEngine, type Engine } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { CONTROL, type Tally, type WorkerStart } from './messages.ts';
import type { Scenario } from './scenarios.ts';

export type Protocol = (typeof SLOT_SEARCHES)[number];

/** The engine, and its test build. */
export interface Builds {
  readonly release: WebAssembly.Module;
  readonly test: WebAssembly.Module;
}

export interface Bounds {
  readonly millis: number;
  readonly calls: number;
}

export async function compileBuilds(): Promise<Builds> {
  const file = new URL('../../build/engine-yield.wasm', import.meta.url);
  return { release: await compileEngine(), test: await WebAssembly.compile(await readFile(file)) };
}

const ORDER = 18;
const PAGE_SHIFT = 16;
const RAM_BYTES = 2n ** 26n;
const POLL_MILLIS = 50;
const CONTROL_BYTES = 1024;

/** `onProgress`: counted hcalls so far. */
export async function measure(
  { release, test }: Builds,
  protocol: Protocol,
  scenario: Scenario,
  bounds: Bounds,
  onProgress: (calls: number) => void,
): Promise<Tally> {
  const memory = guestMemory();
  const engine = openEngine(release, memory);
  layOut(engine, memory, protocol);
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  // The first thread's rings serve for the preparation too; then they are made new.
  perform(engine, memory, scenario.before);
  const workers = scenario.threads.map((records, worker) => {
    const until = worker === 0 ? bounds : undefined;
    const slowScan = worker === 0 && scenario.slowScan === true;
    const workerData: WorkerStart = {
      module: slowScan ? test : release,
      slowScan,
      map: engine.map,
      memory,
      control,
      worker,
      records,
      until,
    };
    return new Worker(new URL('./worker.ts', import.meta.url), { workerData });
  });
  const ends = workers.map((worker) => once(worker, 'message') as Promise<[Tally]>);
  const timer = setInterval(() => onProgress(control[CONTROL.calls]!), POLL_MILLIS);
  try {
    await Promise.race([allReady(control, workers.length), ...ends]);
    Atomics.store(control, CONTROL.go, 1);
    const [[tally]] = (await Promise.all(ends)) as [[Tally]];
    return tally;
  } finally {
    clearInterval(timer);
    Atomics.store(control, CONTROL.stop, 1);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function layOut({ calls, map }: Engine, memory: WebAssembly.Memory, protocol: Protocol): void {
  calls.startGuest(memory.buffer.byteLength, RAM_BYTES, PAGE_SHIFT, 0);
  calls.setSlotSearch(SLOT_SEARCHES.indexOf(protocol));
  calls.addMemslot(0n, RAM_BYTES, map.MEMSLOT_RAM, PAGE_SHIFT, 0);
  calls.openTable(ORDER);
  calls.beProcessor(0);
}

/** Executes records on this thread; every one must succeed. */
function perform(
  { calls, map }: Engine,
  memory: WebAssembly.Memory,
  records: readonly RequestRecord[],
): void {
  if (records.length === 0) return;
  const rings = streamMemory(memory.buffer, map, 0);
  putFrame(openSubmissionRing(rings), encodeRequests(records));
  calls.run(0, records.length);
  const taken = takeCompletions(openCompletionRing(rings));
  const answers = taken instanceof Uint8Array ? decodeAnswers(taken) : [];
  resetStream(rings, false);
  if (answers.length === records.length && answers.every(({ status }) => status === 0)) return;
  throw new Error('the scenario could not be set up');
}

async function allReady(control: Int32Array, workers: number): Promise<void> {
  while (Atomics.load(control, CONTROL.ready) < workers) await sleep(1);
}
