/**
 * Profile `replay`: recorded guests as fast as they go against a daemon in a process of its own, every answer compared.
 * In turns with the engine alone, which executes the same frames in this process. Recordings of several guest processors
 * are replayed again with a stream for each of them at the same time (replay/concurrent.ts).
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROCESSORS_MAX } from '../schemas/limits.ts';
import { complain, grouped, print, printJson, table } from '../src/cli/output.ts';
import { describeMismatch } from '../src/cli/replay/report.ts';
import { startDaemon } from '../src/cli/replay/daemon.ts';
import { loadPlan } from '../src/cli/replay/files.ts';
import { showProgress } from '../src/cli/replay/progress.ts';
import { compileEngine } from '../src/rings/engine.ts';
import { machine } from './machine.ts';
import { EXIT, numberWithin, parseOptionsAndFiles, wholeNumber, type Profile } from './profile.ts';
import {
  type Contestant,
  type Round,
  concurrently,
  measureRound,
  sequentially,
} from './replay/rounds.ts';
import { loadSmpPlan } from './replay/smp-plan.ts';
import { median, rounded, spread } from './statistics.ts';

const SHARED_TRACES = fileURLToPath(new URL('../../shared/traces', import.meta.url));
const SAMPLES = fileURLToPath(new URL('../samples', import.meta.url));

interface Options {
  readonly files: readonly string[];
  readonly processors: number;
  readonly rounds: number;
  readonly within: number;
  readonly json: boolean;
}

interface Result {
  readonly file: string;
  readonly streams: number;
  readonly hcalls: number;
  /** hcalls whose answer is compared whole; of the others only what does not depend on the interleaving is. */
  readonly compared: number;
  /** The most of any round. */
  readonly mismatches: number;
  /** Of the first replay, before V8 has compiled what the others run. */
  readonly firstSeconds: number;
  /** Of the others. */
  readonly seconds: number;
  readonly hcallsPerSecond: number;
  /** null: the recording does not say how long the guest took. */
  readonly ratioToGuest: number | null;
  readonly ratioToEngine: number;
  readonly spread: number;
}

export const replay: Profile = {
  name: 'replay',
  summary: 'recorded guests as fast as they go against a daemon, every answer compared',
  help: `Replays hpt-trace/1 files against a daemon that it starts, compares every answer and the table at the end, and tells
how much faster than the recorded guest that was. In turns with the engine alone on the same frames in this process.

  FILES…              recordings (those of ../shared/traces, else samples/)
  --processors N      processors of the daemon (2)
  --rounds N          replays of each file after a first one; their median is told (5)
  --within S          begin no further round after so many seconds, on a busy machine (60)
  --json              one JSON object instead of the table

A recording of several guest processors has a second line: a stream for each of them, all at once. Exit code 1: a wrong
answer, or a table that cannot be.`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const options = readOptions(words);
  const module = await compileEngine();
  const daemon = await startDaemon(options.processors);
  const results: Result[] = [];
  try {
    const start = performance.now();
    for (const [i, file] of options.files.entries()) {
      // What is left of the time, in equal parts.
      const now = performance.now();
      const left = Math.max(0, start + options.within * 1000 - now);
      const deadline = now + left / (options.files.length - i);
      results.push(...(await replayFile(file, daemon.url, module, options, deadline)));
    }
  } finally {
    await daemon.stop();
  }
  if (options.json) printJson({ profile: 'replay', machine: machine(), results });
  else print(tableOf(results));
  return results.some((row) => row.mismatches > 0) ? EXIT.failed : EXIT.ok;
}

function readOptions(words: readonly string[]): Options {
  const { values, files } = parseOptionsAndFiles(words, {
    processors: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    within: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  });
  return {
    files: files.length > 0 ? files : recordings(),
    processors: wholeNumber('--processors', values.processors, 1, PROCESSORS_MAX),
    rounds: wholeNumber('--rounds', values.rounds, 1, 1000),
    within: numberWithin('--within', values.within, 1, 86_400),
    json: values.json,
  };
}

function recordings(): string[] {
  const folder = existsSync(SHARED_TRACES) ? SHARED_TRACES : SAMPLES;
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .toSorted()
    .map((name) => join(folder, name));
}

async function replayFile(
  file: string,
  url: string,
  module: WebAssembly.Module,
  { rounds, json }: Options,
  deadline: number,
): Promise<Result[]> {
  const clear = showProgress(`reading ${file}`, () => undefined);
  const plan = await loadPlan(file).finally(clear);
  const contestants: Contestant[] = [sequentially(plan, url)];
  if (plan.header.vcpus > 1) contestants.push(concurrently(await loadSmpPlan(file), url));
  const measured: Round[][] = contestants.map(() => []);
  const doneOf = (): number => measured.flat().length / ((rounds + 1) * contestants.length);
  const clearRounds = showProgress(`replaying ${file}`, doneOf);
  try {
    // Round 0 is the first replay.
    for (let i = 0; i <= rounds && (i <= 1 || performance.now() < deadline); i++) {
      for (const [at, contestant] of contestants.entries()) {
        measured[at]!.push(await measureRound(contestant, plan, module));
      }
    }
  } finally {
    clearRounds();
  }
  for (const round of measured
    .flat()
    .filter(({ mismatches }) => mismatches > 0)
    .slice(0, 1)) {
    for (const mismatch of round.first) complain(describeMismatch(file, mismatch));
    for (const note of round.notes) complain(`${file} ${note}`);
  }
  const name = json ? file : file.slice(file.lastIndexOf('/') + 1);
  return contestants.map((contestant, at) =>
    resultOf(name, contestant, measured[at]!, plan.header),
  );
}

function resultOf(
  file: string,
  { streams, hcalls, compared }: Contestant,
  all: readonly Round[],
  header: { readonly [key: string]: unknown },
): Result {
  const [first, ...rounds] = all as [Round, ...Round[]];
  const seconds = rounds.map((round) => round.seconds);
  const guest = Number(header['hcallSpanSeconds'] ?? 0);
  return {
    file,
    streams,
    hcalls,
    compared,
    mismatches: Math.max(...all.map((round) => round.mismatches)),
    firstSeconds: rounded(first.seconds, 6),
    seconds: rounded(median(seconds), 6),
    hcallsPerSecond: Math.round(hcalls / median(seconds)),
    ratioToGuest: guest === 0 ? null : rounded(guest / median(seconds), 1),
    ratioToEngine: rounded(median(rounds.map((round) => round.engineSeconds / round.seconds)), 2),
    spread: rounded(spread(seconds), 2),
  };
}

function tableOf(results: readonly Result[]): string {
  const columns = [
    { title: 'file' },
    { title: 'streams', right: true },
    { title: 'hcalls', right: true },
    { title: 'compared', right: true },
    { title: 'mismatches', right: true },
    { title: 'first s', right: true },
    { title: 'seconds', right: true },
    { title: 'hcalls/s', right: true },
    { title: 'guest x', right: true },
    { title: 'engine x', right: true },
    { title: 'spread', right: true },
  ];
  const rows = results.map((row) => [
    row.file,
    `${row.streams}`,
    grouped(row.hcalls),
    grouped(row.compared),
    grouped(row.mismatches),
    row.firstSeconds.toFixed(3),
    row.seconds.toFixed(3),
    grouped(row.hcallsPerSecond),
    row.ratioToGuest?.toFixed(1) ?? '-',
    row.ratioToEngine.toFixed(2),
    row.spread.toFixed(2),
  ]);
  return table(columns, rows);
}
