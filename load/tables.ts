/**
 * Profile `tables`: what is done with a whole table: loaded, read, looked through, hashed, counted. Its yardstick, for what
 * goes over the network, is a plain HTTP server that gives and takes as many bytes.
 */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { grouped, print, printJson, table } from '../src/cli/output.ts';
import { loadTable, readTable } from '../src/client/htab.ts';
import { connectRest, type Rest } from '../src/client/rest.ts';
import { machine } from './machine.ts';
import { EXIT, parseOptions, wholeNumber, wholeNumbers, type Profile } from './profile.ts';
import { median, rounded, spread } from './statistics.ts';
import { startServer, stopServer } from './stream/child.ts';
import { RAM_BYTES, entriesOf, halfFull } from './tables/half-full.ts';

const ORDER_MIN = 18;
const ORDER_MAX = 30;
const ENDLESS = new AbortController().signal;
const MEBIBYTE = 2 ** 20;

const ACTIONS = {
  load: 'into an empty table, whose pages the system has to give first',
  reload: 'the same once more, in place of what is there',
  dump: 'all of it',
  follow: 'the next pass of a reader, when nothing has changed',
  hash: 'FNV-1a over every entry',
  statistics: 'what the page of a guest shows',
} as const;
type Action = keyof typeof ACTIONS;

interface Round {
  readonly seconds: number;
  readonly plainSeconds: number | undefined;
}

interface Result {
  readonly action: Action;
  readonly order: number;
  readonly entries: number;
  /** Over the network; 0: next to none. */
  readonly bytes: number;
  readonly seconds: number;
  readonly spread: number;
  readonly entriesPerSecond: number;
  readonly plainSeconds: number | null;
  readonly ratio: number | null;
}

/** Both servers, and the table as it is loaded and read. */
interface Place {
  readonly daemon: string;
  readonly plain: string;
  readonly rest: Rest;
  readonly order: number;
  readonly chunks: readonly Buffer[];
  readonly bytes: number;
}

export const tables: Profile = {
  name: 'tables',
  summary: 'what is done with a whole table: loading, reading, hashing, counting',
  help: `Loads a half full table into a guest, reads it, and looks through it, in turns with a plain HTTP server that takes and gives
as many bytes. What is read must be what was loaded, byte for byte.

  --orders LIST       log2 of the table's bytes, ${ORDER_MIN} to ${ORDER_MAX}: 18,24 or 18..24 (18,24)
  --rounds N          of each (5)
  --json              one JSON object instead of the table

${Object.entries(ACTIONS)
  .map(([name, meaning]) => `  ${name.padEnd(10)}  ${meaning}`)
  .join('\n')}`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const values = parseOptions(words, {
    orders: { type: 'string', default: '18,24' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  });
  const orders = wholeNumbers('--orders', values.orders, ORDER_MIN, ORDER_MAX);
  const rounds = wholeNumber('--rounds', values.rounds, 1, 100);
  const daemon = await startServer('hptd', 1);
  const plain = new Worker(new URL('./tables/plain-server.ts', import.meta.url));
  const results: Result[] = [];
  try {
    const [port] = (await once(plain, 'message')) as [number];
    const place = {
      daemon: daemon.url,
      plain: `http://127.0.0.1:${port}`,
      rest: connectRest(daemon.url),
    };
    for (const order of orders) {
      const chunks = halfFull(order);
      const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      results.push(...(await measure({ ...place, order, chunks, bytes }, rounds)));
    }
  } finally {
    await plain.terminate();
    await stopServer(daemon);
  }
  if (values.json) printJson({ profile: 'tables', machine: machine(), results });
  else print(tableOf(results));
  return EXIT.ok;
}

async function measure(place: Place, rounds: number): Promise<Result[]> {
  const found = new Map<Action, Round[]>();
  for (let i = 0; i < rounds; i++) {
    await place.rest.createGuest('g', { order: place.order, ramBytes: RAM_BYTES, state: 'paused' });
    for (const [action, round] of Object.entries(await measureRound(place, i === 0)))
      found.set(action as Action, [...(found.get(action as Action) ?? []), round]);
    await place.rest.deleteGuest('g');
  }
  return [...found].map(([action, of]) => resultOf(place, action, of));
}

async function measureRound(place: Place, first: boolean): Promise<Record<Action, Round>> {
  const { daemon, plain, rest, bytes } = place;
  const path = '/v1/guests/g/htab';
  if (first) await Promise.all([drain(plain, `/${bytes}`), put(plain, '/', place)]);
  const load = await inTurns(
    () => put(plain, '/', place),
    () => put(daemon, path, place),
  );
  const reload = await inTurns(
    () => put(plain, '/', place),
    () => put(daemon, path, place),
  );
  if (first) await checkDump(daemon, path, place);
  const dump = await inTurns(
    () => drain(plain, `/${bytes}`),
    () => drain(daemon, path),
  );
  const reader = await drain(daemon, `${path}?follow=true`);
  const alone = async (work: () => Promise<unknown>): Promise<Round> => ({
    seconds: await secondsOf(work),
    plainSeconds: undefined,
  });
  return {
    load,
    reload,
    dump,
    follow: await alone(() => drain(daemon, reader!)),
    hash: await alone(() => rest.send('GET', '/v1/guests/g/hpt/hash')),
    statistics: await alone(() => rest.send('GET', '/v1/guests/g/hpt/statistics')),
  };
}

async function inTurns(plain: () => Promise<unknown>, own: () => Promise<unknown>): Promise<Round> {
  return { plainSeconds: await secondsOf(plain), seconds: await secondsOf(own) };
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

function put(daemon: string, path: string, { chunks }: Place): Promise<unknown> {
  return loadTable({ daemon }, path, Readable.from(chunks), ENDLESS);
}

/** Gives the reader's path, if there is one. */
async function drain(daemon: string, path: string): Promise<string | undefined> {
  const { bytes, reader } = await readTable({ daemon }, path, ENDLESS);
  for await (const chunk of bytes) void chunk;
  return reader;
}

async function checkDump(daemon: string, path: string, { chunks, order }: Place): Promise<void> {
  const { bytes } = await readTable({ daemon }, path, ENDLESS);
  let [chunk, at] = [0, 0];
  for await (const part of bytes as AsyncIterable<Buffer>) {
    for (let from = 0; from < part.length; ) {
      const expected = chunks[chunk]?.subarray(at) ?? Buffer.alloc(0);
      const length = Math.min(expected.length, part.length - from);
      if (length === 0 || part.compare(expected, 0, length, from, from + length) !== 0)
        throw new Error(`the table of order ${order} that was read is not the one that was loaded`);
      from += length;
      at += length;
      if (at === chunks[chunk]!.length) [chunk, at] = [chunk + 1, 0];
    }
  }
  if (chunk !== chunks.length) throw new Error(`the table of order ${order} ended early`);
}

function resultOf({ order, bytes }: Place, action: Action, rounds: readonly Round[]): Result {
  const seconds = rounds.map((round) => round.seconds);
  const plain = rounds.flatMap(({ plainSeconds }) => plainSeconds ?? []);
  const ratios = rounds.flatMap((round) =>
    round.plainSeconds === undefined ? [] : round.seconds / round.plainSeconds,
  );
  return {
    action,
    order,
    entries: entriesOf(order),
    bytes: plain.length === 0 ? 0 : bytes,
    seconds: rounded(median(seconds), 5),
    spread: rounded(spread(seconds), 2),
    entriesPerSecond: Math.round(entriesOf(order) / median(seconds)),
    plainSeconds: plain.length === 0 ? null : rounded(median(plain), 5),
    ratio: ratios.length === 0 ? null : rounded(median(ratios), 2),
  };
}

function tableOf(results: readonly Result[]): string {
  return table(
    [
      { title: 'action' },
      { title: 'order', right: true },
      { title: 'entries', right: true },
      { title: 'ms', right: true },
      { title: 'spread', right: true },
      { title: 'entries/s', right: true },
      { title: 'MiB/s', right: true },
      { title: 'plain ms', right: true },
      { title: 'ratio', right: true },
    ],
    results.map((row) => [
      row.action,
      `${row.order}`,
      grouped(row.entries),
      (row.seconds * 1000).toFixed(1),
      row.spread.toFixed(2),
      grouped(row.entriesPerSecond),
      row.bytes === 0 ? '-' : (row.bytes / row.seconds / MEBIBYTE).toFixed(0),
      row.plainSeconds === null ? '-' : (row.plainSeconds * 1000).toFixed(1),
      row.ratio?.toFixed(2) ?? '-',
    ]),
  );
}
