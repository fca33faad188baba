/**
 * Profile `stream`: the binary hcall stream from a client's socket to the answers in its hand. Beside it a bare ws
 * echo of the same bytes and the engine alone, measured in turns.
 */
import { connectRest, streamUrl } from '../src/client/index.ts';
import { complain, print, printJson } from '../src/cli/output.ts';
import { compileEngine } from '../src/rings/engine.ts';
import { closeCrew, measure, openCrew, type Crew } from './engine/crew.ts';
import { machine } from './machine.ts';
import { EXIT, type Profile } from './profile.ts';
import { median, rounded, spread } from './statistics.ts';
import { startServer, stopServer, type Server } from './stream/child.ts';
import { measureFairness, type FairnessRow } from './stream/fairness.ts';
import { closeAll, connectAll, measureLoad, type Load, type Sample } from './stream/measurement.ts';
import { report, type StreamResult } from './stream/report.ts';
import { HELP, readOptions, type Options } from './stream/settings.ts';
import { MIX, echoTraffic, guestTraffic } from './stream/traffic.ts';

/** Records made for all connections together: enough to touch most groups of a table of order 24. */
const RECORDS = 1 << 18;
const ENGINE_BATCH = 512;
const GUEST = 'load';

interface Setting extends Load {
  readonly mode: 'closed' | 'round-trip' | 'open';
}

interface Round {
  readonly hptd: Sample;
  readonly echo: Sample;
  readonly engineHcallsPerSecond: number;
}

interface Bench {
  readonly hptd: Server;
  readonly echo: Server;
  readonly crew: Crew;
  readonly options: Options;
}

export const stream: Profile = {
  name: 'stream',
  summary: 'the binary stream against a daemon in a process of its own, beside a bare ws echo',
  help: HELP,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { options, json } = readOptions(words);
  const servers: Server[] = [];
  let crew: Crew | undefined;
  try {
    const begun = performance.now();
    for (const kind of ['hptd', 'echo'] as const) {
      servers.push(await startServer(kind, options.processors));
    }
    const [hptd, echo] = servers as [Server, Server];
    await createGuest(hptd, options);
    crew = openCrew(await compileEngine(), options.order, 1);
    const bench: Bench = { hptd, echo, crew, options };
    const deadline = begun + options.within * 1000;
    const results = await measureAll(bench, deadline);
    const fairness = options.modes.includes('fairness') ? await measureFairness(options) : [];
    if (json) printJson({ profile: 'stream', machine: machine(), results, fairness });
    else print(report(results, fairness));
    return verdict(fairness);
  } finally {
    if (crew !== undefined) await closeCrew(crew);
    await Promise.all(servers.map(stopServer));
  }
}

/** Figures are told, not judged; memory without a bound is a defect. */
function verdict(fairness: readonly FairnessRow[]): number {
  const broken = fairness.find((row) => (row.grownMebibytes ?? 0) > (row.grownMebibytesMax ?? 0));
  if (broken === undefined) return EXIT.ok;
  complain(
    `the daemon grew by ${broken.grownMebibytes} MiB beside ${broken.beside}; ${broken.grownMebibytesMax} would be right`,
  );
  return EXIT.failed;
}

async function createGuest(hptd: Server, { order }: Options): Promise<void> {
  await connectRest(hptd.url).createGuest(GUEST, { order, ramBytes: 2 ** (order + 6) });
}

/** Settings with the same connections follow each other, so that those are opened once. */
async function measureAll(bench: Bench, deadline: number): Promise<StreamResult[]> {
  const { options } = bench;
  const begun = performance.now();
  const results: StreamResult[] = [];
  const groups = options.connections
    .map((connections) => ({ connections, settings: settingsOf(options, connections) }))
    .filter(({ settings }) => settings.length > 0);
  for (const [i, { connections, settings }] of groups.entries()) {
    // What is left of the time, in equal parts.
    const now = i === 0 ? begun : performance.now();
    const until = now + Math.max(0, deadline - now) / (groups.length - i);
    results.push(...(await measureConnections(bench, connections, settings, until)));
  }
  return results;
}

function settingsOf({ modes, batches, window, rates, openBatch }: Options, connections: number) {
  const settings: Setting[] = [];
  if (modes.includes('round-trip') && connections === 1)
    settings.push({ mode: 'round-trip', batch: 1, window: 1 });
  if (modes.includes('closed'))
    settings.push(...batches.map((batch) => ({ mode: 'closed' as const, batch, window })));
  if (modes.includes('open') && connections <= 4)
    settings.push(
      ...rates.map((rate) => ({ mode: 'open' as const, batch: openBatch, window: 0, rate })),
    );
  return settings;
}

/** All settings of so many connections, round by round: hptd and echo take turns. */
async function measureConnections(
  { hptd, echo, crew, options }: Bench,
  connections: number,
  settings: readonly Setting[],
  deadline: number,
): Promise<StreamResult[]> {
  const records = Math.max(2 * 4096, Math.floor(RECORDS / connections / 2) * 2);
  const traffics = Array.from({ length: connections }, (_, i) =>
    guestTraffic(i, connections, options.order, records),
  );
  const toHptd = await connectAll(streamUrl(hptd.url, GUEST), traffics);
  const toEcho = await connectAll(streamUrl(echo.url, GUEST), traffics.map(echoTraffic));
  const rounds = settings.map((): Round[] => []);
  for (let i = 0; i < options.rounds && (i === 0 || performance.now() < deadline); i++) {
    const [engine] = await measure(crew, MIX, false, ENGINE_BATCH, options.seconds);
    const engineHcallsPerSecond = (engine!.hcalls / engine!.runNanos) * 1e9;
    for (const [at, setting] of settings.entries()) {
      showProgress(`${setting.mode}, batches of ${setting.batch}, ${connections} connections`);
      rounds[at]!.push({
        engineHcallsPerSecond,
        hptd: await measureLoad(hptd, toHptd, setting, options.seconds),
        echo: await measureLoad(echo, toEcho, setting, options.seconds),
      });
    }
  }
  showProgress('');
  await Promise.all([closeAll(toHptd), closeAll(toEcho)]);
  return settings.map((setting, at) => resultOf(setting, connections, rounds[at]!));
}

/** Where somebody looks. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

function resultOf(setting: Setting, connections: number, rounds: readonly Round[]): StreamResult {
  const { mode, batch, window, rate } = setting;
  const middle = (of: (round: Round) => number, digits: number): number =>
    rounded(median(rounds.map(of)), digits);
  const apart = (of: (round: Round) => number): number => rounded(spread(rounds.map(of)), 2);
  return {
    mode,
    batch,
    connections,
    window: rate === undefined ? window : null,
    rate: rate ?? null,
    hcallsPerSecond: middle(({ hptd }) => hptd.hcallsPerSecond, 0),
    spread: apart(({ hptd }) => hptd.hcallsPerSecond),
    ratioToEngine: middle((round) => round.hptd.hcallsPerSecond / round.engineHcallsPerSecond, 6),
    echoHcallsPerSecond: middle(({ echo }) => echo.hcallsPerSecond, 0),
    echoSpread: apart(({ echo }) => echo.hcallsPerSecond),
    ratioToEcho: middle(({ hptd, echo }) => hptd.hcallsPerSecond / echo.hcallsPerSecond, 2),
    p50: middle(({ hptd }) => hptd.p50, 1),
    p99: middle(({ hptd }) => hptd.p99, 1),
    p999: middle(({ hptd }) => hptd.p999, 1),
    echoP50: middle(({ echo }) => echo.p50, 1),
    echoP99: middle(({ echo }) => echo.p99, 1),
    p50RatioToEcho: middle(({ hptd, echo }) => hptd.p50 / echo.p50, 2),
    p50Spread: apart(({ hptd }) => hptd.p50),
    serverCpuMicrosPerHcall: middle(({ hptd }) => hptd.serverCpuMicrosPerHcall, 3),
    clientCpuMicrosPerHcall: middle(({ hptd }) => hptd.clientCpuMicrosPerHcall, 3),
    echoServerCpuMicrosPerHcall: middle(({ echo }) => echo.serverCpuMicrosPerHcall, 3),
  };
}
