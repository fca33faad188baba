/** The worker threads of the oversubscription profile on one guest's table; as many of them as are asked for work at once. */
import { once } from 'node:events';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { compileEngine, guestMemory, openEngine } from '../../src/rings/engine.ts';
import { compileVariant, type Substitution } from '../engine-variant.ts';
import type { Figures, Groups, Waiting, WorkerStart } from './messages.ts';

const ORDER = 18;
const RAM_BYTES = 2n ** 26n;
const PAGE_SHIFT = 16;
/** Not counted: until all have heard of it, and compiled code and locks are as they stay. */
const WARM_UP_MILLIS = 30;

export interface Crew {
  readonly workers: readonly Worker[];
}

export interface Measurement {
  readonly hcallsPerSecond: number;
  readonly lockWaits: number;
  readonly chainWaits: number;
  readonly batchNanos: RecordableHistogram;
}

/** The engine without what gives a core away. */
export const SPIN_ONLY: readonly Substitution[] = [
  {
    file: 'yield-point.ts',
    text: '  atomic.wait<i32>(address, seen, nanos);\n',
    replacement: '',
  },
];

export async function compileWaitings(): Promise<Record<Waiting, WebAssembly.Module>> {
  return {
    'spin-then-yield': await compileEngine(),
    'spin-only': await WebAssembly.compile(await compileVariant('release', SPIN_ONLY)),
  };
}

export function openCrew(modules: Record<Waiting, WebAssembly.Module>, workers: number): Crew {
  const memory = guestMemory();
  const { calls, map } = openEngine(modules['spin-then-yield'], memory);
  calls.startGuest(memory.buffer.byteLength, RAM_BYTES, PAGE_SHIFT, 0);
  calls.addMemslot(0n, RAM_BYTES, map.MEMSLOT_RAM, PAGE_SHIFT, 0);
  calls.openTable(ORDER);
  return {
    workers: Array.from({ length: workers }, (_, worker) => {
      const workerData: WorkerStart = { modules, memory, worker };
      return new Worker(new URL('./worker.ts', import.meta.url), { workerData });
    }),
  };
}

export async function closeCrew(crew: Crew): Promise<void> {
  await Promise.all(crew.workers.map((worker) => worker.terminate()));
}

/** Lets the first `processors` workers loose for so long. */
export async function measure(
  crew: Crew,
  processors: number,
  waiting: Waiting,
  groups: Groups,
  millis: number,
): Promise<Measurement> {
  const from = performance.timeOrigin + performance.now() + WARM_UP_MILLIS;
  const figures = await Promise.all(
    crew.workers.slice(0, processors).map(async (worker) => {
      const answer = once(worker, 'message') as Promise<[Figures]>;
      worker.postMessage({ waiting, groups, from, to: from + millis });
      return (await answer)[0];
    }),
  );
  const total = (of: (row: Figures) => number) => figures.reduce((sum, row) => sum + of(row), 0);
  const batchNanos = createHistogram();
  for (const row of figures) batchNanos.add(row.batchNanos);
  const seconds = (Math.max(...figures.map(({ end }) => end)) - from) / 1000;
  return {
    hcallsPerSecond: total((row) => row.hcalls) / seconds,
    lockWaits: total((row) => row.lockWaits),
    chainWaits: total((row) => row.chainWaits),
    batchNanos,
  };
}
