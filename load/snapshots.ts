/**
 * Profile `snapshots`: what a snapshot costs against the size of the table, of a guest that rests and of one that works. Its
 * yardstick is a copy of as many bytes into a file.
 */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FLAGS } from '../schemas/flags.ts';
import { encodeRequests } from '../schemas/records.ts';
import { grouped, print, printJson, table } from '../src/cli/output.ts';
import { streamUrl } from '../src/client/address.ts';
import { connectRest, type Rest } from '../src/client/rest.ts';
import { connectStream, type HcallStream } from '../src/client/stream.ts';
import { serve, type Daemon } from '../src/main.ts';
import { serveOptions } from '../src/operations/config.ts';
import { H_ENTER, H_REMOVE } from './engine/frames.ts';
import { machine } from './machine.ts';
import { EXIT, parseOptions, wholeNumber, wholeNumbers, type Profile } from './profile.ts';
import { median, rounded } from './statistics.ts';

const FRAME_RECORDS = 1024;
/** Guest memory enough for a frame of its own behind each group of an order-24 table. */
const RAM_BYTES = 2 ** 36;
const FRAMES = 2 ** 20;
const GUESTS = ['rests', 'works'] as const;

interface SnapshotCost {
  readonly order: number;
  readonly guest: (typeof GUESTS)[number];
  readonly bytes: number;
  readonly heldMillis: number;
  readonly seconds: number;
  /** The yardstick: as many bytes written to a file and synced. */
  readonly fileSeconds: number;
}

export const snapshots: Profile = {
  name: 'snapshots',
  summary: 'what a snapshot costs: how long a guest is held, by table size',
  help: `Fills a table with an entry a group, takes snapshots of it while the guest rests and while a stream removes and enters on
it, and tells how long nothing was executed, how long the snapshot took, and its bytes. In the same turn as many bytes are written
to a file and synced, by themselves.

  --orders LIST       orders of the tables: 18,22,24 (18,22,24,26)
  --rounds N          of each (3)
  --directory DIR     where the files are made (the system's for temporary files)
  --json              one JSON object instead of the table`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const values = parseOptions(words, {
    orders: { type: 'string', default: '18,22,24,26' },
    rounds: { type: 'string', default: '3' },
    directory: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  });
  const orders = wholeNumbers('--orders', values.orders, 18, 30);
  const rounds = wholeNumber('--rounds', values.rounds, 1, 100);
  const rows: SnapshotCost[] = [];
  for (const order of orders) {
    const found: SnapshotCost[] = [];
    for (let i = 0; i < rounds; i++) found.push(...(await snapshotCosts(order, values.directory)));
    rows.push(...GUESTS.map((guest) => middle(found.filter((row) => row.guest === guest))));
  }
  if (values.json) printJson({ machine: machine(), snapshots: rows });
  else print(snapshotTable(rows));
  return EXIT.ok;
}

interface Place {
  readonly daemon: Daemon;
  readonly rest: Rest;
  end(): Promise<void>;
}

async function open(directory: string): Promise<Place> {
  const stateDir = mkdtempSync(join(directory, 'hptd-load-'));
  const daemon = await serve(
    serveOptions.parse({
      listen: '127.0.0.1:0',
      socket: 'none',
      processors: 1,
      logLevel: 'error',
      stateDir,
      journal: 'none',
    }),
  );
  return {
    daemon,
    rest: connectRest(daemon.url),
    async end() {
      await daemon.close();
      rmSync(stateDir, { recursive: true });
    },
  };
}

const enter = (group: number) => ({
  opcode: H_ENTER,
  tag: group,
  words: [
    FLAGS.H_EXACT,
    BigInt(group) * 8n,
    ((BigInt(group) + 1n) << 12n) | 1n,
    (BigInt(group % FRAMES) << 16n) | 0x190n,
  ],
});
const remove = (group: number) => ({
  opcode: H_REMOVE,
  tag: group,
  words: [0n, BigInt(group) * 8n, 0n],
});

async function fill(stream: HcallStream, order: number): Promise<void> {
  const groups = 2 ** (order - 7);
  for (let first = 0; first < groups; first += FRAME_RECORDS) {
    const records = Array.from({ length: Math.min(FRAME_RECORDS, groups - first) }, (_, i) =>
      enter(first + i),
    );
    await stream.sendFrame(encodeRequests(records), records.length);
  }
  await stream.drained();
}

/** Removes and enters again in one group after the other, far apart, until told to stop. */
function beginWork(stream: HcallStream, order: number) {
  const groups = 2 ** (order - 7);
  const frames = Array.from({ length: 64 }, (_, frame) => {
    const records = Array.from({ length: FRAME_RECORDS / 2 }, (_row, i) => {
      const group = ((frame * (FRAME_RECORDS / 2) + i) * 40_503) % groups;
      return [remove(group), enter(group)];
    }).flat();
    return encodeRequests(records);
  });
  const told = new AbortController();
  const work = async (): Promise<void> => {
    for (let i = 0; !told.signal.aborted; i = (i + 1) % frames.length) {
      await stream.sendFrame(frames[i]!, FRAME_RECORDS);
    }
    await stream.drained();
  };
  const done = work();
  return {
    async end() {
      told.abort();
      await done;
    },
  };
}

async function snapshotCosts(order: number, directory: string): Promise<SnapshotCost[]> {
  const opened = await open(directory);
  const { daemon, rest } = opened;
  await rest.createGuest('g', { order, ramBytes: RAM_BYTES });
  const stream = await connectStream(streamUrl(daemon.url, 'g'), { role: 'guest' });
  await fill(stream, order);
  const costs: SnapshotCost[] = [];
  for (const guest of GUESTS) {
    const work = guest === 'works' ? beginWork(stream, order) : undefined;
    const begun = performance.now();
    const taken = (await rest.send('POST', '/v1/guests/g/snapshots')) as {
      bytes: number;
      heldMillis: number;
    };
    const seconds = (performance.now() - begun) / 1000;
    await work?.end();
    costs.push({
      order,
      guest,
      bytes: taken.bytes,
      heldMillis: rounded(taken.heldMillis, 2),
      seconds: rounded(seconds, 3),
      fileSeconds: rounded(fileSeconds(directory, taken.bytes), 3),
    });
  }
  await stream.close();
  await rest.deleteGuest('g');
  await opened.end();
  return costs;
}

/** Of the rounds, each figure by itself. */
function middle(rows: readonly SnapshotCost[]): SnapshotCost {
  const of = (value: (row: SnapshotCost) => number): number => median(rows.map(value));
  return {
    ...rows[0]!,
    bytes: of(({ bytes }) => bytes),
    heldMillis: of(({ heldMillis }) => heldMillis),
    seconds: of(({ seconds }) => seconds),
    fileSeconds: of((row) => row.fileSeconds),
  };
}

function fileSeconds(directory: string, bytes: number): number {
  const path = join(directory, `hptd-load-${process.pid}`);
  const block = Buffer.alloc(4 * 1024 * 1024, 7);
  const begun = performance.now();
  const file = openSync(path, 'wx');
  for (let left = bytes; left > 0; left -= block.length)
    writeSync(file, block, 0, Math.min(left, block.length));
  fsyncSync(file);
  closeSync(file);
  const seconds = (performance.now() - begun) / 1000;
  rmSync(path);
  return seconds;
}

function snapshotTable(costs: readonly SnapshotCost[]): string {
  return table(
    [
      { title: 'order', right: true },
      { title: 'guest' },
      { title: 'bytes', right: true },
      { title: 'held ms', right: true },
      { title: 'seconds', right: true },
      { title: 'file', right: true },
    ],
    costs.map(({ order, guest, bytes, heldMillis, seconds, fileSeconds: file }) => [
      String(order),
      guest,
      grouped(bytes),
      String(heldMillis),
      String(seconds),
      String(file),
    ]),
  );
}
