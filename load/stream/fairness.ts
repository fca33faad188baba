/**
 * The fairness mode: a client that sends one hcall at a time, alone, beside a stream of huge batches on the same
 * processor, and beside clients that never read. What the machine's cores do to it when they have more to do shows the
 * same client on a bare ws echo beside the same batches.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { connectRest, streamUrl } from '../../src/client/index.ts';
import {
  COMPLETION_RING_BYTES,
  SOCKET_HIGH_WATER_BYTES,
  SUBMISSION_RING_BYTES,
} from '../../schemas/limits.ts';
import { median, rounded } from '../statistics.ts';
import { startServer, stopServer, usage, type Server } from './child.ts';
import type { Connection } from './connection.ts';
import { CROWD } from './crowd.ts';
import { closeAll, connectAll, measureLoad, type Sample } from './measurement.ts';
import type { CrowdStart, FromCrowd, ToCrowd } from './messages.ts';
import { endMutes, startMutes } from './mute.ts';
import type { Options } from './settings.ts';
import { echoTraffic, guestTraffic } from './traffic.ts';

const GUEST = 'fairness';
const CROWD_BATCH = 4096;
const MUTES = 8;
const ONE_AT_A_TIME = { batch: 1, window: 1 };
/**
 * What a client that never reads may cost: its rings, its socket's high water and what goes over it, and as much again
 * for what V8 frees late.
 */
const MUTE_BYTES_MAX =
  2 * (SUBMISSION_RING_BYTES + COMPLETION_RING_BYTES + SOCKET_HIGH_WATER_BYTES);

export interface FairnessRow {
  readonly server: 'hptd' | 'echo';
  readonly beside: string;
  readonly hcallsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly othersHcallsPerSecond: number | null;
  /** The most by which the server's resident memory grew, MiB, and the most that is right. */
  readonly grownMebibytes: number | null;
  readonly grownMebibytesMax: number | null;
}

interface Side {
  readonly kind: 'hptd' | 'echo';
  readonly server: Server;
  readonly url: string;
  readonly connections: Connection[];
  readonly crowd: Worker;
}

interface Round {
  readonly sample: Sample;
  readonly others?: number;
  readonly grownBytes?: number;
}

/** One processor, so that everybody shares it. */
export async function measureFairness(options: Options): Promise<FairnessRow[]> {
  const servers: Server[] = [];
  const crowds: Worker[] = [];
  try {
    const sides: Side[] = [];
    for (const kind of ['hptd', 'echo'] as const) {
      const server = await startServer(kind, 1);
      servers.push(server);
      sides.push(await openSide(kind, server, options, crowds));
    }
    const rows = new Map<string, Round[]>();
    for (let i = 0; i < options.rounds; i++) {
      for (const side of sides) await measureSide(side, options.seconds, rows);
    }
    for (const { connections } of sides) await closeAll(connections);
    return [...rows].map(([key, rounds]) => rowOf(key, rounds));
  } finally {
    await Promise.all(crowds.map((crowd) => crowd.terminate()));
    await Promise.all(servers.map(stopServer));
  }
}

async function openSide(
  kind: Side['kind'],
  server: Server,
  { order, window }: Options,
  crowds: Worker[],
): Promise<Side> {
  if (kind === 'hptd')
    await connectRest(server.url).createGuest(GUEST, { order, ramBytes: 2 ** (order + 6) });
  const url = streamUrl(server.url, GUEST);
  const traffic = guestTraffic(0, CROWD.connections, order, CROWD.records);
  const connections = await connectAll(url, [kind === 'hptd' ? traffic : echoTraffic(traffic)]);
  const echo = kind === 'echo';
  const workerData: CrowdStart = { url, echo, order, batch: CROWD_BATCH, window };
  const crowd = new Worker(new URL('./crowd.ts', import.meta.url), { workerData });
  crowds.push(crowd);
  await once(crowd, 'message');
  return { kind, server, url, connections, crowd };
}

async function measureSide(side: Side, seconds: number, rows: Map<string, Round[]>): Promise<void> {
  const note = (beside: string, round: Round): void => {
    const key = `${side.kind}/${beside}`;
    rows.set(key, [...(rows.get(key) ?? []), round]);
  };
  const measure = (): Promise<Sample> =>
    measureLoad(side.server, side.connections, ONE_AT_A_TIME, seconds);
  note('nobody', { sample: await measure() });
  await tellCrowd(side.crowd, { kind: 'go' });
  const sample = await measure();
  const rest = await tellCrowd(side.crowd, { kind: 'rest' });
  if (rest.kind !== 'resting') throw new Error('the crowd does not rest');
  note(`a stream of batches of ${CROWD_BATCH}`, { sample, others: rest.hcallsPerSecond });
  // The echo has no flow control: clients that never read would only show that.
  if (side.kind === 'echo') return;
  const before = (await usage(side.server)).rssBytes;
  const mutes = await startMutes(side.url, MUTES);
  try {
    const beside = await measure();
    const grownBytes = (await usage(side.server)).rssBytes - before;
    note(`${MUTES} clients that never read`, { sample: beside, grownBytes });
  } finally {
    endMutes(mutes);
  }
}

/** What the worker throws, `once` rejects with. */
async function tellCrowd(crowd: Worker, message: ToCrowd): Promise<FromCrowd> {
  crowd.postMessage(message);
  return ((await once(crowd, 'message')) as [FromCrowd])[0];
}

function rowOf(key: string, rounds: readonly Round[]): FairnessRow {
  const [server, beside] = key.split('/') as [Side['kind'], string];
  const middle = (of: (sample: Sample) => number): number =>
    rounded(median(rounds.map(({ sample }) => of(sample))), 1);
  const others = rounds.flatMap((round) => round.others ?? []);
  const grown = rounds.flatMap(({ grownBytes }) => grownBytes ?? []);
  const mebibytes = (bytes: number): number => rounded(bytes / 2 ** 20, 1);
  return {
    server,
    beside,
    hcallsPerSecond: Math.round(middle((sample) => sample.hcallsPerSecond)),
    p50: middle(({ p50 }) => p50),
    p99: middle(({ p99 }) => p99),
    p999: middle(({ p999 }) => p999),
    othersHcallsPerSecond: others.length === 0 ? null : Math.round(median(others)),
    grownMebibytes: grown.length === 0 ? null : mebibytes(Math.max(...grown)),
    grownMebibytesMax: grown.length === 0 ? null : mebibytes(MUTES * MUTE_BYTES_MAX),
  };
}
