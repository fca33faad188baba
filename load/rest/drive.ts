/**
 * One measurement of a server: autocannon's connections send their requests over and over, one at a time each, and
 * every answer is compared with the bytes that it must have.
 */
import { performance, createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon, { type Client } from 'autocannon';
import type { Usage } from './messages.ts';

/** Before the clock runs: connections are there, and whoever slept is awake. */
const WARM_UP_MILLIS = 100;
/** How soon autocannon stops. */
const STOP_LOOK_MILLIS = 20;
/** Should nobody stop it. */
const LEFT_ALONE_SECONDS = 30;

export interface Exchange {
  readonly path: string;
  readonly body: string;
  /** The body that must come back, with status 200. */
  readonly answer: string;
}

/** A server did not answer what it must. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

export interface Figures {
  readonly requestsPerSecond: number;
  readonly cpuMicrosPerRequest: number;
  readonly mainThreadMicrosPerRequest: number;
  /** Share of the time in which the server's main thread and this thread, which drives it, were busy. */
  readonly serverBusy: number;
  readonly driverBusy: number;
}

export interface Target {
  readonly url: string;
  usage(): Promise<Usage>;
}

/** Nanoseconds, with three digits: exact enough for percentiles, and of a size that does not grow. */
export function newLatencies(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: 3_600_000_000_000, figures: 3 });
}

/** One connection for each list of exchanges. Answers' latencies are added to `latencies`. */
export async function drive(
  target: Target,
  exchanges: readonly (readonly Exchange[])[],
  seconds: number,
  latencies: RecordableHistogram,
): Promise<Figures> {
  const wrong = Promise.withResolvers<never>();
  wrong.promise.catch(() => {});
  const counts = { answers: 0, measuring: false };
  const run = autocannon({
    url: target.url,
    connections: exchanges.length,
    duration: WARM_UP_MILLIS / 1000 + seconds + LEFT_ALONE_SECONDS,
    sampleInt: STOP_LOOK_MILLIS,
    setupClient: connectionsOf(exchanges, wrong.reject),
  });
  run.on('response', (_client, _status, _bytes, millis: number) => {
    counts.answers++;
    if (counts.measuring) latencies.record(Math.max(1, Math.round(millis * 1e6)));
  });
  run.on('reqError', (error: Error) => wrong.reject(new WrongAnswer(error.message)));
  try {
    await Promise.race([wrong.promise, sleep(WARM_UP_MILLIS)]);
    return await Promise.race([wrong.promise, measure(target, counts, seconds)]);
  } finally {
    run.stop();
    await run;
  }
}

/** Gives each connection its own requests. */
function connectionsOf(
  exchanges: readonly (readonly Exchange[])[],
  reject: (error: WrongAnswer) => void,
): (client: Client) => void {
  let next = 0;
  return (client) => {
    client.setRequests(
      exchanges[next++]!.map(({ path, body, answer }) => ({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json' },
        body,
        onResponse(status, got) {
          if (status === 200 && got === answer) return;
          reject(
            new WrongAnswer(`${path} with ${body} is answered ${status} ${got}, not ${answer}`),
          );
        },
      })),
    );
  };
}

async function measure(
  target: Target,
  counts: { answers: number; measuring: boolean },
  seconds: number,
): Promise<Figures> {
  const used = await target.usage();
  const [start, answers, loop] = [
    performance.now(),
    counts.answers,
    performance.eventLoopUtilization(),
  ];
  counts.measuring = true;
  await sleep(seconds * 1000);
  counts.measuring = false;
  const requestsPerSecond = ((counts.answers - answers) / (performance.now() - start)) * 1000;
  const driverBusy = performance.eventLoopUtilization(loop).utilization;
  const now = await target.usage();
  // Shares of the server's own time: its clock was read when its usage was, not when we heard of it.
  const micros = now.atMicros - used.atMicros;
  const [cpu, mainThread] = [
    (now.cpuMicros - used.cpuMicros) / micros,
    (now.mainThreadMicros - used.mainThreadMicros) / micros,
  ];
  return {
    requestsPerSecond,
    cpuMicrosPerRequest: (cpu * 1e6) / requestsPerSecond,
    mainThreadMicrosPerRequest: (mainThread * 1e6) / requestsPerSecond,
    serverBusy: mainThread,
    driverBusy,
  };
}
