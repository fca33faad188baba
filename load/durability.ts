/**
 * Profile `durability`: what it costs that guests outlive the daemon. The same traffic on daemons without a state directory and with
 * each durability, in turns; beside it what this disk takes for a sync, and the stores that the journal could have had.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DURABILITIES } from '../schemas/durabilities.ts';
import { grouped, print, printJson, table } from '../src/cli/output.ts';
import { connectRest, streamUrl } from '../src/client/index.ts';
import { machine } from './machine.ts';
import {
  EXIT,
  numberWithin,
  parseOptions,
  wholeNumber,
  wholeNumbers,
  type Profile,
} from './profile.ts';
import { measureStore, STORES } from './durability/stores.ts';
import type { Store, StoreSample } from './durability/stores.ts';
import { median, rounded, spread } from './statistics.ts';
import { startServer, stopServer, type Server } from './stream/child.ts';
import { closeAll, connectAll, measureLoad, type Sample } from './stream/measurement.ts';
import { guestTraffic } from './stream/traffic.ts';

const KINDS = ['off', ...DURABILITIES] as const;
type Kind = (typeof KINDS)[number];

const RECORDS = 1 << 16;
const BATCH_MAX = 4096;
const CONNECTIONS_MAX = 64;
const GROUP_BYTES_MAX = 16 * 1024 * 1024;
/** Often enough that the traffic meets snapshots. */
const SNAPSHOT_SECONDS = 1;
const GUEST = 'load';

interface Options {
  readonly batches: readonly number[];
  readonly connections: readonly number[];
  readonly groups: readonly number[];
  readonly window: number;
  readonly order: number;
  readonly processors: number;
  readonly seconds: number;
  readonly rounds: number;
}

interface StreamRow {
  readonly durability: Kind;
  readonly connections: number;
  readonly batch: number;
  readonly hcallsPerSecond: number;
  /** To off's, of the same round. */
  readonly ratio: number;
  readonly p50: number;
  readonly p99: number;
  readonly serverCpuMicrosPerHcall: number;
  readonly spread: number;
}

interface StoreRow extends StoreSample {
  readonly store: Store;
  readonly groupBytes: number;
}

export const durability: Profile = {
  name: 'durability',
  summary: 'what durability costs, and what a sync costs on this disk',
  help: `Sends hcalls over binary streams, each connection with a window of frames, to daemons without a state directory (off)
and with each durability (--journal none, snapshot every ${SNAPSHOT_SECONDS} s, journal), in turns. Then writes groups of bytes one after the other,
each synced before the next: as hptd's journal does, and into SQLite.

  --batches LIST      hcalls in a frame, 1 to ${BATCH_MAX} (1,64,512)
  --connections LIST  streams at the same time, 1 to ${CONNECTIONS_MAX} (1,8)
  --window N          frames that a connection keeps in flight (4)
  --groups LIST       bytes of a group for the stores (512,4096,65536,1048576)
  --order N           log2 of the table's bytes, 18 to 30 (24)
  --processors N      of the daemons (2)
  --seconds S         of each measurement (0.5)
  --rounds N          measurements of each figure; their median is told (3)
  --directory DIR     on which disk (a new folder in ${tmpdir()})
  --json              one JSON object instead of the tables

Latencies are microseconds.`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const given = parseOptions(words, {
    batches: { type: 'string', default: '1,64,512' },
    connections: { type: 'string', default: '1,8' },
    window: { type: 'string', default: '4' },
    groups: { type: 'string', default: '512,4096,65536,1048576' },
    order: { type: 'string', default: '24' },
    processors: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '0.5' },
    rounds: { type: 'string', default: '3' },
    directory: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  });
  const options: Options = {
    batches: wholeNumbers('--batches', given.batches, 1, BATCH_MAX),
    connections: wholeNumbers('--connections', given.connections, 1, CONNECTIONS_MAX),
    groups: wholeNumbers('--groups', given.groups, 64, GROUP_BYTES_MAX),
    window: wholeNumber('--window', given.window, 1, BATCH_MAX),
    order: wholeNumber('--order', given.order, 18, 30),
    processors: wholeNumber('--processors', given.processors, 1, 64),
    seconds: numberWithin('--seconds', given.seconds, 0.01, 60),
    rounds: wholeNumber('--rounds', given.rounds, 1, 1000),
  };
  const directory = await mkdtemp(join(given.directory, 'hptd-load-'));
  try {
    const stores = await measureStores(directory, options);
    const streams = await measureStreams(directory, options);
    if (given.json) printJson({ profile: 'durability', machine: machine(), streams, stores });
    else print(`${streamTable(streams)}\n\n${storeTable(stores)}`);
    return EXIT.ok;
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function measureStores(directory: string, options: Options): Promise<StoreRow[]> {
  const rows: StoreRow[] = [];
  for (const groupBytes of options.groups) {
    const samples = STORES.map((): StoreSample[] => []);
    for (let round = 0; round < options.rounds; round++)
      for (const [i, store] of STORES.entries())
        samples[i]!.push(await measureStore(store, directory, groupBytes, options.seconds));
    for (const [i, store] of STORES.entries()) {
      const middle = (of: (sample: StoreSample) => number, digits: number): number =>
        rounded(median(samples[i]!.map(of)), digits);
      rows.push({
        store,
        groupBytes,
        groupsPerSecond: middle((sample) => sample.groupsPerSecond, 0),
        mebibytesPerSecond: middle((sample) => sample.mebibytesPerSecond, 1),
        p50: middle((sample) => sample.p50, 0),
        p99: middle((sample) => sample.p99, 0),
      });
    }
  }
  return rows;
}

async function measureStreams(directory: string, options: Options): Promise<StreamRow[]> {
  const servers: Server[] = [];
  try {
    for (const kind of KINDS) {
      const server = await startServer('hptd', options.processors, stateOptions(kind, directory));
      servers.push(server);
      const { order } = options;
      await connectRest(server.url).createGuest(GUEST, { order, ramBytes: 2 ** (order + 6) });
    }
    const rows: StreamRow[] = [];
    for (const connections of options.connections)
      for (const batch of options.batches)
        rows.push(...(await measureSetting(servers, options, connections, batch)));
    return rows;
  } finally {
    await Promise.all(servers.map(stopServer));
  }
}

function stateOptions(kind: Kind, directory: string): Record<string, unknown> {
  if (kind === 'off') return {};
  return { stateDir: join(directory, kind), journal: kind, snapshotSeconds: SNAPSHOT_SECONDS };
}

async function measureSetting(
  servers: readonly Server[],
  { order, window, seconds, rounds }: Options,
  connections: number,
  batch: number,
): Promise<StreamRow[]> {
  const records = Math.max(2 * BATCH_MAX, Math.floor(RECORDS / connections / 2) * 2);
  const traffics = Array.from({ length: connections }, (_, i) =>
    guestTraffic(i, connections, order, records),
  );
  const samples = KINDS.map((): Sample[] => []);
  const all = await Promise.all(
    servers.map(({ url }) => connectAll(streamUrl(url, GUEST), traffics)),
  );
  for (let round = 0; round < rounds; round++)
    for (const [i, server] of servers.entries())
      samples[i]!.push(await measureLoad(server, all[i]!, { batch, window }, seconds));
  await Promise.all(all.map(closeAll));
  return KINDS.map((durability, i): StreamRow => {
    const mine = samples[i]!;
    const middle = (of: (sample: Sample, round: number) => number, digits: number): number =>
      rounded(median(mine.map(of)), digits);
    return {
      durability,
      connections,
      batch,
      hcallsPerSecond: middle((sample) => sample.hcallsPerSecond, 0),
      ratio: middle((one, round) => one.hcallsPerSecond / samples[0]![round]!.hcallsPerSecond, 3),
      p50: middle((sample) => sample.p50, 0),
      p99: middle((sample) => sample.p99, 0),
      serverCpuMicrosPerHcall: middle((sample) => sample.serverCpuMicrosPerHcall, 3),
      spread: rounded(spread(mine.map((sample) => sample.hcallsPerSecond)), 2),
    };
  });
}

function columnsOf(first: string, ...numbers: string[]) {
  return [{ title: first }, ...numbers.map((title) => ({ title, right: true }))];
}

function streamTable(rows: readonly StreamRow[]): string {
  return table(
    columnsOf(
      'durability',
      'streams',
      'batch',
      'hcalls/s',
      'of off',
      'p50 us',
      'p99 us',
      'CPU us',
      'spread',
    ),
    rows.map((row) => [
      row.durability,
      `${row.connections}`,
      `${row.batch}`,
      grouped(row.hcallsPerSecond),
      row.ratio.toFixed(2),
      grouped(row.p50),
      grouped(row.p99),
      row.serverCpuMicrosPerHcall.toFixed(2),
      row.spread.toFixed(2),
    ]),
  );
}

function storeTable(rows: readonly StoreRow[]): string {
  return table(
    columnsOf('store', 'group bytes', 'groups/s', 'MiB/s', 'p50 us', 'p99 us'),
    rows.map((row) => [
      row.store,
      grouped(row.groupBytes),
      grouped(row.groupsPerSecond),
      row.mebibytesPerSecond.toFixed(1),
      grouped(row.p50),
      grouped(row.p99),
    ]),
  );
}
