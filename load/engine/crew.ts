/** The worker threads of the engine profile on one guest's table, made to do the same thing at the same time. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { guestMemory, openEngine } from '../../src/rings/engine.ts';
import { newBall, type Ball } from './cache-line.ts';
import type { Figures, FromWorker, ToWorker, WorkerStart } from './messages.ts';

/** How far ahead the start is set, so that all workers have heard of it. */
const START_AHEAD_MILLIS = 3;
/** Frames executed before the clock runs: caches and the compiled code are then as they stay. */
const WARM_UP_MILLIS = 10;
const PAGE_SHIFT = 16;
/** A guest with 64 times the table. */
const RAM_PER_ORDER_SHIFT = 6;

export interface Crew {
  readonly order: number;
  readonly workers: readonly Worker[];
  readonly ball: Ball;
}

/** Lays out a guest with an empty table of 2^order bytes, and starts workers on it. */
export function openCrew(module: WebAssembly.Module, order: number, workers: number): Crew {
  const memory = guestMemory();
  const { calls, map } = openEngine(module, memory);
  const ramBytes = 1n << BigInt(order + RAM_PER_ORDER_SHIFT);
  calls.startGuest(memory.buffer.byteLength, ramBytes, PAGE_SHIFT, 0);
  const laidOut =
    calls.addMemslot(0n, ramBytes, map.MEMSLOT_RAM, PAGE_SHIFT, 0) !== 0 &&
    calls.openTable(order) !== 0;
  if (!laidOut) throw new Error(`no room for a table of order ${order}`);
  const ball = newBall();
  return {
    order,
    ball,
    workers: Array.from({ length: workers }, (_, worker) => {
      const workerData: WorkerStart = { module, memory, order, worker, workers, ball };
      return new Worker(new URL('./worker.ts', import.meta.url), { workerData });
    }),
  };
}

export async function closeCrew(crew: Crew): Promise<void> {
  await Promise.all(crew.workers.map((worker) => worker.terminate()));
}

/** One measurement of a mix: each worker's figures. The table is left empty. */
export async function measure(
  crew: Crew,
  mix: string,
  contended: boolean,
  batch: number,
  seconds: number,
): Promise<Figures[]> {
  // Who shares groups shares their residents: the first worker alone puts them in and takes them out.
  const fills = crew.workers.map((_, i) => !contended || i === 0);
  await Promise.all(
    crew.workers.map((worker, i) =>
      ask(worker, { kind: 'prepare', mix, contended, batch, fill: fills[i]! }),
    ),
  );
  await all(crew, { kind: 'check' });
  await all(crew, { kind: 'touch' });
  await all(crew, span(WARM_UP_MILLIS));
  const figures = await all(crew, span(seconds * 1000));
  await all(crew, { kind: 'check' });
  await Promise.all(
    crew.workers.filter((_, i) => fills[i]).map((worker) => ask(worker, { kind: 'drain' })),
  );
  return figures.map(({ figures: of }) => of!);
}

/** Nanoseconds that a cache line takes from the first worker's core to the second's; undefined: there is one worker. */
export async function measureLine({ workers, ball }: Crew): Promise<number | undefined> {
  const players = workers.slice(0, 2);
  if (players.length < 2) return undefined;
  Atomics.store(ball, 0, 0);
  const [played] = await Promise.all(players.map((worker) => ask(worker, { kind: 'play' })));
  return played!.lineNs;
}

function span(millis: number): ToWorker {
  const from = performance.timeOrigin + performance.now() + START_AHEAD_MILLIS;
  return { kind: 'go', from, to: from + millis };
}

function all(crew: Crew, message: ToWorker): Promise<FromWorker[]> {
  return Promise.all(crew.workers.map((worker) => ask(worker, message)));
}

/** What a worker throws, `once` rejects with. */
async function ask(worker: Worker, message: ToWorker): Promise<FromWorker> {
  worker.postMessage(message);
  const [answer] = (await once(worker, 'message')) as [FromWorker];
  return answer;
}
