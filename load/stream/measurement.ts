/** One measurement of connections to one server: throughput, latencies, and what both sides' processors spent on it. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectStream } from '../../src/client/index.ts';
import { usage, type Server } from './child.ts';
import {
  answeredBy,
  begin,
  finish,
  nextAt,
  openConnection,
  pump,
  type Connection,
  type Plan,
} from './connection.ts';
import type { Traffic } from './traffic.ts';

/** Loaded before the clock runs: sockets, caches and compiled code are then as they stay. */
const WARM_UP_MILLIS = 60;
/** A frame due later than this is waited for with a timer; for a nearer one the driver looks at the clock. */
const TIMER_MILLIS = 3;

/** What is asked of the connections together. `rate`: hcalls a second in open loop, else a closed one. */
export interface Load {
  readonly batch: number;
  readonly window: number;
  readonly rate?: number;
}

export interface Sample {
  readonly hcallsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly serverCpuMicrosPerHcall: number;
  readonly clientCpuMicrosPerHcall: number;
}

export async function connectAll(url: string, traffics: readonly Traffic[]): Promise<Connection[]> {
  return Promise.all(
    traffics.map(async (traffic) => openConnection(await connectStream(url), traffic)),
  );
}

export async function closeAll(connections: readonly Connection[]): Promise<void> {
  await Promise.all(connections.map(({ stream }) => stream.close()));
}

/** Rejects if an answer is wrong or a stream ends. Leaves nothing in flight, and the table as it was. */
export async function measureLoad(
  server: Server,
  connections: readonly Connection[],
  load: Load,
  seconds: number,
): Promise<Sample> {
  const latencyNanos = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  const pacer = start(connections, load, latencyNanos);
  const failed = Promise.race(connections.map(({ run }) => run!.done.promise));
  failed.catch(() => {});
  try {
    await Promise.race([sleep(WARM_UP_MILLIS), failed]);
    latencyNanos.reset();
    const before = await look(server, connections);
    await Promise.race([sleep(seconds * 1000), failed]);
    const after = await look(server, connections);
    pacer.stop();
    await Promise.all(connections.map((connection) => finish(connection, after.clientAt)));
    return sampleOf(before, after, latencyNanos);
  } finally {
    pacer.stop();
  }
}

interface Look {
  readonly clientAt: number;
  readonly answered: number;
  readonly clientMicros: number;
  readonly serverAt: number;
  readonly serverMicros: number;
}

/** Each side's figures are of one instant of its own clock, so that neither waits for the other. */
async function look(server: Server, connections: readonly Connection[]): Promise<Look> {
  const { user, system } = process.cpuUsage();
  const clientAt = performance.now();
  const answered = connections.reduce((sum, connection) => sum + answeredBy(connection), 0);
  const { cpuMicros, atMillis } = await usage(server);
  return {
    clientAt,
    answered,
    clientMicros: user + system,
    serverAt: atMillis,
    serverMicros: cpuMicros,
  };
}

function sampleOf(before: Look, after: Look, latencyNanos: RecordableHistogram): Sample {
  const clientSeconds = (after.clientAt - before.clientAt) / 1000;
  const serverSeconds = (after.serverAt - before.serverAt) / 1000;
  const hcallsPerSecond = (after.answered - before.answered) / clientSeconds;
  const micros = (percentile: number): number => latencyNanos.percentile(percentile) / 1000;
  return {
    hcallsPerSecond,
    p50: micros(50),
    p99: micros(99),
    p999: micros(99.9),
    serverCpuMicrosPerHcall:
      (after.serverMicros - before.serverMicros) / serverSeconds / hcallsPerSecond,
    clientCpuMicrosPerHcall:
      (after.clientMicros - before.clientMicros) / clientSeconds / hcallsPerSecond,
  };
}

/** Begins to send on all connections; with a rate, keeps looking whose turn it is. */
function start(
  connections: readonly Connection[],
  { batch, window, rate }: Load,
  latencyNanos: RecordableHistogram,
): { stop(): void } {
  const now = performance.now();
  const frameMillis = rate === undefined ? 0 : (batch / rate) * 1000;
  for (const [i, connection] of connections.entries()) {
    const plan: Plan = { batch, window, latencyNanos };
    const pace = { firstAt: now + i * frameMillis, everyMillis: connections.length * frameMillis };
    begin(connection, rate === undefined ? plan : { ...plan, window: Infinity, pace });
  }
  let stopped = false;
  const turn = (): void => {
    if (stopped) return;
    const at = performance.now();
    for (const connection of connections) pump(connection, at);
    if (rate === undefined) return;
    // The turns keep this thread awake before a frame, so that a timer's millisecond is not measured as latency.
    const next = Math.min(...connections.map(nextAt));
    if (next - at > TIMER_MILLIS) setTimeout(turn, 1);
    else setImmediate(turn);
  };
  turn();
  return {
    stop() {
      stopped = true;
    },
  };
}
