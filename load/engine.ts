/**
 * Profile `engine`: how fast the engine executes hcalls when nothing else is in the way, neither sockets nor the
 * main thread. Beside it the yardstick, measured in turns.
 */
import { availableParallelism } from 'node:os';
import { complain, grouped, print, printJson, table } from '../src/cli/output.ts';
import { unknownWord } from '../src/cli/suggest.ts';
import { compileEngine } from '../src/rings/engine.ts';
import { closeCrew, measure, measureLine, openCrew, type Crew } from './engine/crew.ts';
import type { Figures } from './engine/messages.ts';
import { CONTENDED_PROCESSORS_MAX, MIXES } from './engine/mixes.ts';
import { machine } from './machine.ts';
import {
  EXIT,
  UsageError,
  numberWithin,
  parseOptions,
  wholeNumber,
  wholeNumbers,
  type Profile,
} from './profile.ts';
import { median, rounded, spread } from './statistics.ts';
import { openYardstick, type Yardstick } from './yardstick.ts';

/** More does not fit a guest's memory; fewer has no group for each worker. */
const ORDER_MIN = 18;
const ORDER_MAX = 30;
const PROCESSORS_MAX = 64;
const BATCH_MAX = 2048;
/** Four shared groups are the same in a table of any order. */
const CONTENDED_ORDER = 18;
/** The yardstick's table of four groups. */
const YARDSTICK_FOUR_GROUPS_ORDER = 9;

interface Options {
  readonly mixes: readonly string[];
  readonly orders: readonly number[];
  readonly processors: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
  /** Seconds after which no further round begins; each figure gets one round at least. */
  readonly within: number;
  readonly batch: number;
}

/** What is measured together: one table, so many workers. */
interface Setting {
  readonly order: number;
  readonly processors: number;
  readonly contended: boolean;
}

interface Round {
  readonly nsPerHcall: number;
  readonly copyNsPerHcall: number;
  readonly hcallsPerSecond: number;
  readonly yardstickNs: number | undefined;
  readonly lineNs: number | undefined;
}

interface Result extends Setting {
  readonly mix: string;
  readonly nsPerHcall: number;
  readonly hcallsPerSecond: number;
  readonly yardstickNs: number | null;
  readonly ratio: number | null;
  readonly spread: number;
  readonly lineNs: number | null;
  readonly copyNsPerHcall: number;
}

const mixWidth = Math.max(...MIXES.map(({ name }) => name.length));

export const engine: Profile = {
  name: 'engine',
  summary: "the engine's own speed, in worker threads without sockets",
  help: `Executes frames of hcalls in worker threads, each with an engine and rings of its own on one guest's table,
and measures what one hcall takes. In turns with the yardstick, when ../shared/tools and a C compiler are here.

  --mix NAMES         of the mixes below, with commas between (all)
  --orders LIST       log2 of the table's bytes, ${ORDER_MIN} to ${ORDER_MAX}: 18,24 or 18..24 (18,24)
  --processors LIST   worker threads: 1,2 or 1..4 (1 and 2, where there are two cores)
  --seconds S         of each measurement (0.1)
  --rounds N          measurements of each figure; their median is told (3)
  --within S          begin no further round after so many seconds, on a busy machine (45)
  --batch N           hcalls in a frame (512)
  --json              one JSON object instead of the table

mixes:
${MIXES.map(({ name, summary }) => `  ${name.padEnd(mixWidth)}  ${summary}`).join('\n')}

With two to ${CONTENDED_PROCESSORS_MAX} processors each mix is measured again on four groups that all of them share.`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { options, json } = readOptions(words);
  const module = await compileEngine();
  const yardstick = await openYardstick(complain);
  const results: Result[] = [];
  try {
    const settings = settingsOf(options);
    const start = performance.now();
    for (const [i, setting] of settings.entries()) {
      // What is left of the time, in equal parts.
      const now = performance.now();
      const left = Math.max(0, start + options.within * 1000 - now);
      const deadline = now + left / (settings.length - i);
      results.push(...(await measureSetting(module, setting, options, yardstick, deadline)));
    }
  } finally {
    await yardstick?.close();
  }
  if (json) printJson({ profile: 'engine', machine: machine(), results });
  else print(tableOf(results));
  return EXIT.ok;
}

function readOptions(words: readonly string[]): { options: Options; json: boolean } {
  const given = parseOptions(words, {
    mix: { type: 'string', default: MIXES.map(({ name }) => name).join(',') },
    orders: { type: 'string', default: '18,24' },
    processors: { type: 'string', default: availableParallelism() > 1 ? '1,2' : '1' },
    seconds: { type: 'string', default: '0.1' },
    rounds: { type: 'string', default: '3' },
    within: { type: 'string', default: '45' },
    batch: { type: 'string', default: '512' },
    json: { type: 'boolean', default: false },
  });
  return {
    json: given.json,
    options: {
      mixes: given.mix.split(',').map(knownMix),
      orders: wholeNumbers('--orders', given.orders, ORDER_MIN, ORDER_MAX),
      processors: wholeNumbers('--processors', given.processors, 1, PROCESSORS_MAX),
      seconds: numberWithin('--seconds', given.seconds, 0.01, 60),
      rounds: wholeNumber('--rounds', given.rounds, 1, 1000),
      within: numberWithin('--within', given.within, 1, 86_400),
      batch: wholeNumber('--batch', given.batch, 16, BATCH_MAX),
    },
  };
}

function knownMix(name: string): string {
  const names = MIXES.map((mix) => mix.name);
  if (!names.includes(name)) throw new UsageError(unknownWord('mix', name, names));
  return name;
}

function settingsOf({ orders, processors }: Options): Setting[] {
  const alone = orders.flatMap((order) =>
    processors.map((count) => ({ order, processors: count, contended: false })),
  );
  const together = processors
    .filter((count) => count > 1 && count <= CONTENDED_PROCESSORS_MAX)
    .map((count) => ({ order: CONTENDED_ORDER, processors: count, contended: true }));
  return [...alone, ...together];
}

/** All mixes of a setting in turns with the yardstick, round by round. */
async function measureSetting(
  module: WebAssembly.Module,
  setting: Setting,
  options: Options,
  yardstick: Yardstick | undefined,
  deadline: number,
): Promise<Result[]> {
  const crew = openCrew(module, setting.order, setting.processors);
  const rounds = new Map<string, Round[]>(options.mixes.map((mix) => [mix, []]));
  try {
    for (let i = 0; i < options.rounds && (i === 0 || performance.now() < deadline); i++) {
      for (const mix of options.mixes) {
        rounds.get(mix)!.push(await measureRound(crew, setting, mix, options, yardstick));
      }
    }
  } finally {
    await closeCrew(crew);
  }
  return options.mixes.map((mix) => resultOf(setting, mix, rounds.get(mix)!));
}

async function measureRound(
  crew: Crew,
  { order, processors, contended }: Setting,
  mix: string,
  { batch, seconds }: Options,
  yardstick: Yardstick | undefined,
): Promise<Round> {
  const yardstickOrder = contended ? YARDSTICK_FOUR_GROUPS_ORDER : order;
  const yardstickNs = await yardstick?.run(processors, seconds, yardstickOrder);
  const lineNs = await measureLine(crew);
  const figures = await measure(crew, mix, contended, batch, seconds);
  const total = (of: (row: Figures) => number) => figures.reduce((sum, row) => sum + of(row), 0);
  const hcalls = total((row) => row.hcalls);
  return {
    nsPerHcall: total((row) => row.runNanos) / hcalls,
    copyNsPerHcall: total((row) => row.copyNanos) / hcalls,
    hcallsPerSecond: total((row) => (row.hcalls / row.runNanos) * 1e9),
    yardstickNs,
    lineNs,
  };
}

function resultOf(setting: Setting, mix: string, rounds: readonly Round[]): Result {
  const ns = rounds.map((round) => round.nsPerHcall);
  const floor = rounds.flatMap(({ yardstickNs }) => yardstickNs ?? []);
  const lines = rounds.flatMap(({ lineNs }) => lineNs ?? []);
  const ratios = rounds.flatMap((round) =>
    round.yardstickNs === undefined ? [] : round.nsPerHcall / round.yardstickNs,
  );
  return {
    mix,
    ...setting,
    nsPerHcall: rounded(median(ns), 1),
    hcallsPerSecond: Math.round(median(rounds.map((round) => round.hcallsPerSecond))),
    yardstickNs: floor.length === 0 ? null : rounded(median(floor), 1),
    ratio: ratios.length === 0 ? null : rounded(median(ratios), 2),
    spread: rounded(spread(ns), 2),
    lineNs: lines.length === 0 ? null : Math.round(median(lines)),
    copyNsPerHcall: rounded(median(rounds.map((round) => round.copyNsPerHcall)), 1),
  };
}

function tableOf(results: readonly Result[]): string {
  const columns = [
    { title: 'mix' },
    { title: 'order', right: true },
    { title: 'processors', right: true },
    { title: 'groups' },
    { title: 'ns/hcall', right: true },
    { title: 'hcalls/s', right: true },
    { title: 'yardstick ns', right: true },
    { title: 'ratio', right: true },
    { title: 'spread', right: true },
    { title: 'line ns', right: true },
  ];
  const rows = results.map((row) => [
    row.mix,
    `${row.order}`,
    `${row.processors}`,
    row.contended ? 'four' : 'all',
    row.nsPerHcall.toFixed(1),
    grouped(row.hcallsPerSecond),
    row.yardstickNs?.toFixed(1) ?? '-',
    row.ratio?.toFixed(2) ?? '-',
    row.spread.toFixed(2),
    row.lineNs?.toFixed(0) ?? '-',
  ]);
  return table(columns, rows);
}
