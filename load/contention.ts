/**
 * Profile `contention`: how often H_ENTER answers H_PTEG_FULL although a slot was free at every instant, under each
 * of the three protocols that a guest can be made with (`slotSearch`). Real threads, real locks; no sockets.
 */
import { complain, grouped, print, printJson, table } from '../src/cli/output.ts';
import { unknownWord } from '../src/cli/suggest.ts';
import { compileBuilds, measure, type Bounds, type Protocol } from './contention/measurement.ts';
import { SCENARIOS, SCENARIO_NAMES, type ScenarioName } from './contention/scenarios.ts';
import {
  EXIT,
  UsageError,
  numberWithin,
  parseOptions,
  wholeNumber,
  type Profile,
} from './profile.ts';

/** From the oldest to hptd's own. */
const PROTOCOLS = ['one-pass', 'two-pass', 'linearizable'] as const satisfies Protocol[];
const SECONDS_DEFAULT = '1';
/** The counter that the threads share has 31 bits. */
const CALLS_MAX = 2e9;

interface Options {
  readonly protocols: readonly Protocol[];
  readonly scenarios: readonly ScenarioName[];
  readonly bounds: Bounds;
}

interface Result {
  readonly protocol: Protocol;
  readonly scenario: ScenarioName;
  readonly calls: number;
  readonly falseFull: number;
  readonly callsPerSecond: number;
}

const width = Math.max(...SCENARIOS.map(({ name }) => name.length));

export const contention: Profile = {
  name: 'contention',
  summary: 'how often H_ENTER says full though a slot was free, under three protocols',
  help: `Counts H_PTEG_FULL answers to H_ENTERs during which a slot was free at every instant, on worker threads with
an engine each. Such an answer is false; hptd's own protocol, linearizable, must give none.

  --protocols NAMES   of ${PROTOCOLS.join(', ')}, with commas between (all)
  --scenarios NAMES   of those below (all)
  --seconds S         of each measurement (${SECONDS_DEFAULT}; without limit when --calls is given)
  --calls N           H_ENTERs of each measurement
  --json              one JSON object instead of the table

scenarios:
${SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { options, json } = readOptions(words);
  const builds = await compileBuilds();
  const results: Result[] = [];
  for (const protocol of options.protocols) {
    for (const scenario of SCENARIOS.filter(({ name }) => options.scenarios.includes(name))) {
      const progress = showProgress(protocol, scenario.name);
      const tally = await measure(builds, protocol, scenario, options.bounds, progress);
      const { calls, falseFull, millis } = tally;
      const callsPerSecond = calls === 0 ? 0 : Math.round((calls / millis) * 1000);
      results.push({ protocol, scenario: scenario.name, calls, falseFull, callsPerSecond });
    }
  }
  clearProgress();
  if (json) printJson({ profile: 'contention', results });
  else print(tableOf(results));
  return verdict(results);
}

/** Only the protocol that promises it is held to it. */
function verdict(results: readonly Result[]): number {
  const broken = results.filter((row) => row.protocol === 'linearizable' && row.falseFull > 0);
  for (const { scenario, falseFull } of broken) {
    complain(
      `linearizable answered H_PTEG_FULL ${falseFull} times while a slot was free: ${scenario}`,
    );
  }
  return broken.length === 0 ? EXIT.ok : EXIT.failed;
}

function readOptions(words: readonly string[]): { options: Options; json: boolean } {
  const given = parseOptions(words, {
    protocols: { type: 'string', default: PROTOCOLS.join(',') },
    scenarios: { type: 'string', default: SCENARIO_NAMES.join(',') },
    seconds: { type: 'string' },
    calls: { type: 'string' },
    json: { type: 'boolean', default: false },
  });
  const seconds = given.seconds ?? (given.calls === undefined ? SECONDS_DEFAULT : undefined);
  const bounds = {
    millis:
      seconds === undefined ? Infinity : numberWithin('--seconds', seconds, 0.05, 3600) * 1000,
    calls:
      given.calls === undefined ? CALLS_MAX : wholeNumber('--calls', given.calls, 1, CALLS_MAX),
  };
  return {
    json: given.json,
    options: {
      protocols: chosen('protocol', given.protocols, PROTOCOLS),
      scenarios: chosen('scenario', given.scenarios, SCENARIO_NAMES),
      bounds,
    },
  };
}

function chosen<Name extends string>(what: string, text: string, names: readonly Name[]): Name[] {
  return text.split(',').map((word) => {
    const name = names.find((one) => one === word);
    if (name === undefined) throw new UsageError(unknownWord(what, word, [...names]));
    return name;
  });
}

/** A line that follows the measurement, where somebody looks. */
function showProgress(protocol: Protocol, scenario: ScenarioName): (calls: number) => void {
  return (calls) => {
    if (!process.stderr.isTTY) return;
    process.stderr.write(`\r\u001b[K${protocol} ${scenario}: ${grouped(calls)} calls`);
  };
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

function tableOf(results: readonly Result[]): string {
  const columns = [
    { title: 'protocol' },
    { title: 'scenario' },
    { title: 'H_ENTERs', right: true },
    { title: 'false full', right: true },
    { title: 'of 100', right: true },
    { title: 'H_ENTERs/s', right: true },
  ];
  const rows = results.map((row) => [
    row.protocol,
    row.scenario,
    grouped(row.calls),
    grouped(row.falseFull),
    share(row.falseFull, row.calls),
    grouped(row.callsPerSecond),
  ]);
  return table(columns, rows);
}

/** In 100, with as many digits as it takes to see that it is not nothing. */
function share(part: number, whole: number): string {
  if (part === 0) return '0';
  const percent = (part / whole) * 100;
  return percent >= 0.1 ? percent.toFixed(1) : percent.toExponential(1);
}
