/**
 * Profile `oversubscription`: more processors than cores. A processor that has a lock can then lose its core for
 * milliseconds; what becomes of those who wait for it, with hptd's way of waiting and with one that only looks again?
 */
import { grouped, print, printJson, table } from '../src/cli/output.ts';
import { machine } from './machine.ts';
import { closeCrew, compileWaitings, measure, openCrew } from './oversubscription/crew.ts';
import type { Crew, Measurement } from './oversubscription/crew.ts';
import { GROUPS, WAITINGS, type Groups, type Waiting } from './oversubscription/messages.ts';
import {
  EXIT,
  numberWithin,
  parseOptions,
  wholeNumber,
  wholeNumbers,
  type Profile,
} from './profile.ts';
import { median, rounded, spread } from './statistics.ts';

/** Each has four groups and eight frames of its own. */
const PROCESSORS_MAX = 64;

interface Options {
  readonly processors: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
}

/** What is compared with what: two ways of waiting under the same conditions. */
interface Setting {
  readonly processors: number;
  readonly groups: Groups;
}

interface Result extends Setting {
  readonly waiting: Waiting;
  readonly hcallsPerSecond: number;
  /** To spin-only's, of the same round. */
  readonly ratio: number;
  readonly lockWaits: number;
  readonly chainWaits: number;
  readonly batchMicrosP50: number;
  readonly batchMicrosP99: number;
  readonly batchMicrosMax: number;
  readonly spread: number;
}

export const oversubscription: Profile = {
  name: 'oversubscription',
  summary: 'more processors than cores, all at the same locks',
  help: `Executes batches of 120 hcalls (H_ENTER, H_REMOVE) on more and more processors, all in four groups of the table
or each in four groups of its own, and measures what is done and how long a batch takes. In turns with an engine that waits
for a lock by looking at it only, and never gives its core away.

  --processors LIST   worker threads: 1,2 or 1..4 (1,2,4,8,16)
  --seconds S         of each measurement (0.2)
  --rounds N          measurements of each figure (3)
  --json              one JSON object instead of the table`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { options, json } = readOptions(words);
  const crew = openCrew(await compileWaitings(), Math.max(...options.processors));
  const results: Result[] = [];
  try {
    for (const processors of options.processors) {
      for (const groups of GROUPS)
        results.push(...(await measureSetting(crew, { processors, groups }, options)));
    }
  } finally {
    await closeCrew(crew);
  }
  if (json) printJson({ profile: 'oversubscription', machine: machine(), results });
  else print(tableOf(results));
  return EXIT.ok;
}

function readOptions(words: readonly string[]): { options: Options; json: boolean } {
  const given = parseOptions(words, {
    processors: { type: 'string', default: '1,2,4,8,16' },
    seconds: { type: 'string', default: '0.2' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  });
  return {
    json: given.json,
    options: {
      processors: wholeNumbers('--processors', given.processors, 1, PROCESSORS_MAX),
      seconds: numberWithin('--seconds', given.seconds, 0.01, 60),
      rounds: wholeNumber('--rounds', given.rounds, 1, 1000),
    },
  };
}

/** Both ways of waiting in turns. */
async function measureSetting(
  crew: Crew,
  setting: Setting,
  { seconds, rounds }: Options,
): Promise<Result[]> {
  const { processors, groups } = setting;
  const measured: Record<Waiting, Measurement[]> = { 'spin-then-yield': [], 'spin-only': [] };
  for (let round = 0; round < rounds; round++) {
    // Who comes first changes: what the machine does besides favours neither.
    for (const waiting of round % 2 === 0 ? WAITINGS : WAITINGS.toReversed())
      measured[waiting].push(await measure(crew, processors, waiting, groups, seconds * 1000));
  }
  return WAITINGS.map((waiting) =>
    resultOf(setting, waiting, measured[waiting], measured['spin-only']),
  );
}

function resultOf(
  setting: Setting,
  waiting: Waiting,
  rounds: readonly Measurement[],
  spinning: readonly Measurement[],
): Result {
  const [first, ...others] = rounds.map(({ batchNanos }) => batchNanos);
  for (const other of others) first!.add(other);
  const rates = rounds.map(({ hcallsPerSecond }) => hcallsPerSecond);
  const ratios = rates.map((rate, i) => rate / spinning[i]!.hcallsPerSecond);
  return {
    ...setting,
    waiting,
    hcallsPerSecond: Math.round(median(rates)),
    ratio: rounded(median(ratios), 2),
    lockWaits: Math.round(median(rounds.map(({ lockWaits }) => lockWaits))),
    chainWaits: Math.round(median(rounds.map(({ chainWaits }) => chainWaits))),
    batchMicrosP50: rounded(first!.percentile(50) / 1000, 1),
    batchMicrosP99: rounded(first!.percentile(99) / 1000, 1),
    batchMicrosMax: rounded(first!.max / 1000, 1),
    spread: rounded(spread(rates), 2),
  };
}

function tableOf(results: readonly Result[]): string {
  const columns = [
    { title: 'processors', right: true },
    { title: 'groups' },
    { title: 'waiting' },
    { title: 'hcalls/s', right: true },
    { title: 'ratio', right: true },
    { title: 'lock waits', right: true },
    { title: 'chain waits', right: true },
    { title: 'batch us p50', right: true },
    { title: 'p99', right: true },
    { title: 'max', right: true },
    { title: 'spread', right: true },
  ];
  const rows = results.map((row) => [
    `${row.processors}`,
    row.groups,
    row.waiting,
    grouped(row.hcallsPerSecond),
    row.ratio.toFixed(2),
    grouped(row.lockWaits),
    grouped(row.chainWaits),
    row.batchMicrosP50.toFixed(1),
    row.batchMicrosP99.toFixed(1),
    row.batchMicrosMax.toFixed(0),
    row.spread.toFixed(2),
  ]);
  return table(columns, rows);
}
