/**
 * Profile `rest`: what hptd's REST interface costs beside a bare Fastify that sends JSON back, which is the least
 * that a JSON service on this stack can cost. Both in processes of their own, in turns.
 */
import { availableParallelism } from 'node:os';
import type { RecordableHistogram } from 'node:perf_hooks';
import { PROCESSORS_MAX } from '../schemas/limits.ts';
import { complain, grouped, print, printJson, table } from '../src/cli/output.ts';
import { unknownWord } from '../src/cli/suggest.ts';
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
import { drive, newLatencies, WrongAnswer, type Figures } from './rest/drive.ts';
import {
  echoOf,
  openStage,
  rehearse,
  SCENARIOS,
  type Scenario,
  type Stage,
} from './rest/scenarios.ts';
import { startServer, type Server } from './rest/servers.ts';
import { median, rounded, spread } from './statistics.ts';

/** Each has a group of the table for itself. */
const CONNECTIONS_MAX = 1000;

interface Options {
  readonly scenarios: readonly Scenario[];
  readonly connections: readonly number[];
  readonly processors: number;
  readonly seconds: number;
  readonly rounds: number;
  /** Seconds after which no further round begins; each figure gets one round at least. */
  readonly within: number;
}

/** A setting's figures so far. */
interface Tally {
  readonly scenario: Scenario;
  readonly connections: number;
  readonly hptd: Figures[];
  readonly echo: Figures[];
  readonly latencies: RecordableHistogram;
  readonly echoLatencies: RecordableHistogram;
}

/** What is measured together, with what it gave so far. */
interface Setting {
  readonly stage: Stage;
  readonly tally: Tally;
}

const width = Math.max(...SCENARIOS.map(({ name }) => name.length));

export const rest: Profile = {
  name: 'rest',
  summary: 'hcalls over REST, beside a bare Fastify JSON echo',
  help: `Sends hcalls over HTTP to a daemon in a process of its own, in turns with JSON to a bare Fastify that sends it
back. Every answer is compared with what it must be; a wrong one fails the run.

  --scenarios NAMES    of those below, with commas between (all)
  --connections LIST   that send one request at a time each: 1,10 or 1..4 (10)
  --processors N       worker threads of the daemon (as many as there are cores)
  --seconds S          of each measurement (0.5)
  --rounds N           measurements of each figure; their median is told (5)
  --within S           begin no further round after so many seconds, on a busy machine (25)
  --json               one JSON object instead of the table

scenarios:
${SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { options, json } = readOptions(words);
  try {
    const tallies = await measureAll(options);
    if (json) printJson(reportOf(options, tallies));
    else print(tableOf(tallies.map(resultOf)));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof WrongAnswer)) throw error;
    complain(`load: a wrong answer, so there are no figures: ${error.message}`);
    return EXIT.failed;
  }
}

function readOptions(words: readonly string[]): { options: Options; json: boolean } {
  const given = parseOptions(words, {
    scenarios: { type: 'string', default: SCENARIOS.map(({ name }) => name).join(',') },
    connections: { type: 'string', default: '10' },
    processors: { type: 'string', default: `${Math.min(availableParallelism(), PROCESSORS_MAX)}` },
    seconds: { type: 'string', default: '0.5' },
    rounds: { type: 'string', default: '5' },
    within: { type: 'string', default: '25' },
    json: { type: 'boolean', default: false },
  });
  return {
    json: given.json,
    options: {
      scenarios: given.scenarios.split(',').map(knownScenario),
      connections: wholeNumbers('--connections', given.connections, 1, CONNECTIONS_MAX),
      processors: wholeNumber('--processors', given.processors, 1, PROCESSORS_MAX),
      seconds: numberWithin('--seconds', given.seconds, 0.05, 60),
      rounds: wholeNumber('--rounds', given.rounds, 1, 1000),
      within: numberWithin('--within', given.within, 0.1, 86_400),
    },
  };
}

function knownScenario(name: string): Scenario {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario !== undefined) return scenario;
  const names = SCENARIOS.map((one) => one.name);
  throw new UsageError(unknownWord('scenario', name, names));
}

async function measureAll(options: Options): Promise<Tally[]> {
  const servers: Server[] = [];
  try {
    for (const kind of ['hptd', 'echo'] as const) {
      servers.push(await startServer(kind, options.processors));
    }
    const [hptd, echo] = servers as [Server, Server];
    const settings = await openSettings(options, hptd);
    await measureRounds(settings, hptd, echo, options);
    return settings.map(({ tally }) => tally);
  } finally {
    clearProgress();
    await Promise.all(servers.map((server) => server.end()));
  }
}

async function openSettings(options: Options, daemon: Server): Promise<Setting[]> {
  const settings: Setting[] = [];
  for (const scenario of options.scenarios) {
    for (const connections of options.connections) {
      const stage = await openStage(scenario, connections, daemon.url);
      const [latencies, echoLatencies] = [newLatencies(), newLatencies()];
      const tally = { scenario, connections, hptd: [], echo: [], latencies, echoLatencies };
      settings.push({ stage, tally });
    }
  }
  return settings;
}

async function measureRounds(
  settings: readonly Setting[],
  hptd: Server,
  echo: Server,
  options: Options,
): Promise<void> {
  const deadline = performance.now() + options.within * 1000;
  // Round 0 is thrown away: until then V8 has not compiled what the others run.
  for (let round = 0; round <= options.rounds; round++) {
    for (const { stage, tally } of settings) {
      if (round > 1 && performance.now() > deadline) break;
      showProgress(stage, round, options.rounds);
      const kept =
        round > 0 ? tally : { ...tally, latencies: newLatencies(), echoLatencies: newLatencies() };
      const exchanges = await rehearse(stage);
      const figures = await drive(hptd, exchanges, options.seconds, kept.latencies);
      const echoed = echoOf(exchanges);
      const echoFigures = await drive(echo, echoed, options.seconds, kept.echoLatencies);
      if (round === 0) continue;
      tally.hptd.push(figures);
      tally.echo.push(echoFigures);
    }
  }
}

function reportOf(options: Options, tallies: readonly Tally[]) {
  const results = tallies.map(resultOf);
  return { profile: 'rest', machine: machine(), processors: options.processors, results };
}

type Result = ReturnType<typeof resultOf>;

function resultOf({ scenario, connections, hptd, echo, latencies, echoLatencies }: Tally) {
  const rates = hptd.map((round) => round.requestsPerSecond);
  const echoRates = echo.map((round) => round.requestsPerSecond);
  const ratios = rates.map((rate, i) => rate / echoRates[i]!);
  const requestsPerSecond = median(rates);
  const middle = (rounds: readonly Figures[], of: keyof Figures, digits: number): number =>
    rounded(median(rounds.map((round) => round[of])), digits);
  return {
    scenario: scenario.name,
    connections,
    rounds: hptd.length,
    requestsPerSecond: Math.round(requestsPerSecond),
    hcallsPerSecond: Math.round(requestsPerSecond * scenario.hcallsPerRequest),
    ratio: rounded(median(ratios), 3),
    ratioSpread: rounded(spread(ratios), 3),
    spread: rounded(spread(rates), 3),
    cpuMicrosPerRequest: middle(hptd, 'cpuMicrosPerRequest', 1),
    mainThreadMicrosPerRequest: middle(hptd, 'mainThreadMicrosPerRequest', 1),
    serverBusy: middle(hptd, 'serverBusy', 2),
    driverBusy: middle(hptd, 'driverBusy', 2),
    ...percentiles(latencies),
    echoRequestsPerSecond: Math.round(median(echoRates)),
    echoSpread: rounded(spread(echoRates), 3),
    echoCpuMicrosPerRequest: middle(echo, 'cpuMicrosPerRequest', 1),
    echoMainThreadMicrosPerRequest: middle(echo, 'mainThreadMicrosPerRequest', 1),
    echoServerBusy: middle(echo, 'serverBusy', 2),
    echoDriverBusy: middle(echo, 'driverBusy', 2),
    echoP50: percentiles(echoLatencies).p50,
    echoP99: percentiles(echoLatencies).p99,
    echoP999: percentiles(echoLatencies).p999,
  };
}

/** In microseconds. */
function percentiles(latencies: RecordableHistogram) {
  const micros = (percentile: number): number =>
    rounded(latencies.percentile(percentile) / 1000, 1);
  return { p50: micros(50), p99: micros(99), p999: micros(99.9) };
}

function tableOf(results: readonly Result[]): string {
  const columns = [
    { title: 'scenario' },
    { title: 'conns', right: true },
    { title: 'req/s', right: true },
    { title: 'hcalls/s', right: true },
    { title: 'echo req/s', right: true },
    { title: 'ratio', right: true },
    { title: 'spread', right: true },
    { title: 'cpu us/req', right: true },
    { title: 'main us/req', right: true },
    { title: 'echo us/req', right: true },
    { title: 'p50 us', right: true },
    { title: 'p99 us', right: true },
    { title: 'p99.9 us', right: true },
    { title: 'echo p50', right: true },
    { title: 'echo p99', right: true },
  ];
  const rows = results.map((row) => [
    row.scenario,
    `${row.connections}`,
    grouped(row.requestsPerSecond),
    grouped(row.hcallsPerSecond),
    grouped(row.echoRequestsPerSecond),
    row.ratio.toFixed(2),
    row.ratioSpread.toFixed(2),
    row.cpuMicrosPerRequest.toFixed(1),
    row.mainThreadMicrosPerRequest.toFixed(1),
    row.echoCpuMicrosPerRequest.toFixed(1),
    grouped(row.p50),
    grouped(row.p99),
    grouped(row.p999),
    grouped(row.echoP50),
    grouped(row.echoP99),
  ]);
  return table(columns, rows);
}

/** A line that follows the measurement, where somebody looks. */
function showProgress({ scenario, connections }: Stage, round: number, rounds: number): void {
  if (!process.stderr.isTTY) return;
  const text = `${round === 0 ? 'warming up' : `round ${round} of ${rounds}`}: ${scenario.name}, ${connections} connections`;
  process.stderr.write(`\r\u001b[K${text}`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}
