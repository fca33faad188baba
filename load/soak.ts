/**
 * Profile `soak`: everything at once against a daemon in a process of its own, for minutes or hours. Watches whether the
 * daemon's memory, descriptors and answer times stay what they are, and whether every answer is right.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PROCESSORS_MAX } from '../schemas/limits.ts';
import { hex } from '../schemas/words.ts';
import { complain, grouped, print, printJson } from '../src/cli/output.ts';
import { next, openRandom } from './engine/random.ts';
import { machine } from './machine.ts';
import {
  EXIT,
  UsageError,
  numberWithin,
  parseOptions,
  wholeNumber,
  type Profile,
} from './profile.ts';
import { type SoakDaemon, startSoakDaemon } from './soak/child.ts';
import { act, find, inTime, NOTHING_DONE, openSoak, type Soak } from './soak/state.ts';
import { steadyStream, TICK_MILLIS } from './soak/steady.ts';
import { judge, trendsOf, type Window } from './soak/verdict.ts';
import { GUEST, guestMaker, restCaller, slowReader, vanishingPeer } from './soak/visitors.ts';
import { rounded } from './statistics.ts';

const STEADY_GUESTS = 2;
const STREAMS_PER_GUEST = 2;
const WINDOWS = 16;
const WINDOW_SECONDS_MAX = 60;
const HOURS_MAX = 24 * 7;
const PLANTS = ['leak', 'answer', 'hang'] as const;
const PLANT_AFTER_SECONDS = 1;
/** All slots of the first steady stream. */
const PLANTED_REMOVALS = 512;
/** What is left when everything was given back: the listening socket, signals, the channel to the parent. */
const LEFT_FDS_ALLOWED = 2;
const LEFT_MILLIS = 10_000;

interface Options {
  readonly seconds: number;
  readonly rate: number;
  readonly processors: number;
  /** Between kills; 0: none. */
  readonly killSeconds: number;
  readonly plant: (typeof PLANTS)[number] | undefined;
  readonly json: boolean;
}

export const soak: Profile = {
  name: 'soak',
  summary:
    'everything at once for minutes or hours: fails on a leak, a drift, a wrong answer, a hang',
  help: `Runs a mixed load at a set rate against a daemon in a process of its own: streams, REST, guests that are made, grown,
shrunk and deleted, slow readers, peers that vanish, processors that are killed. Every answer is checked. A line a window tells
what was done, what the daemon uses, and how long answers took.

  --minutes N         how long (2)
  --hours N           the same in hours
  --rate N            hcalls a second of the steady streams together (10000)
  --processors N      of the daemon (2)
  --kill-every S      seconds between kills of a processor; 0: none (5)
  --plant FAULT       to see that it is found: ${PLANTS.join(', ')}
  --json              one JSON object instead of the lines

Exit code: 0 nothing found, 1 a leak, a drift, a wrong answer or a hang; standard error says which.`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const options = readOptions(words);
  const daemon = await startSoakDaemon(options.processors);
  const state = openSoak(daemon.url);
  const windows: Window[] = [];
  void daemon.ended.then((how) => !state.over && find(state, `the daemon ${how}`));
  try {
    const before = await daemon.look();
    for (let i = 0; i < STEADY_GUESTS; i++) await state.rest.createGuest(steadyName(i), GUEST);
    if (!options.json) print(HEADING);
    const actors = startActors(state, daemon, options);
    await act(state, 'watch', () => watch(state, daemon, options, windows));
    state.over = true;
    // With a fault found some of them may wait for ever, until the daemon is gone.
    if (state.findings.length === 0) await Promise.all(actors);
    if (state.findings.length === 0) {
      await act(state, 'end', () => everythingGivenBack(state, daemon, before.fds));
    }
    for (const finding of judge(windows)) find(state, finding);
    state.closed = true;
    await daemon.stop();
    await Promise.all(actors);
  } finally {
    state.over = true;
    await daemon.stop();
  }
  report(options, windows, state.findings);
  return state.findings.length === 0 ? EXIT.ok : EXIT.failed;
}

function readOptions(words: readonly string[]): Options {
  const given = parseOptions(words, {
    minutes: { type: 'string' },
    hours: { type: 'string' },
    rate: { type: 'string', default: '10000' },
    processors: { type: 'string', default: '2' },
    'kill-every': { type: 'string', default: '5' },
    plant: { type: 'string' },
    json: { type: 'boolean', default: false },
  });
  if (given.minutes !== undefined && given.hours !== undefined)
    throw new UsageError('--minutes or --hours, not both');
  const plant = PLANTS.find((name) => name === given.plant);
  if (given.plant !== undefined && plant === undefined)
    throw new UsageError(`--plant takes ${PLANTS.join(', ')}, not "${given.plant}"`);
  const seconds =
    given.hours === undefined
      ? numberWithin('--minutes', given.minutes ?? '2', 0.01, HOURS_MAX * 60) * 60
      : numberWithin('--hours', given.hours, 0.01, HOURS_MAX) * 3600;
  return {
    seconds,
    rate: wholeNumber('--rate', given.rate, 1000, 1_000_000),
    processors: wholeNumber('--processors', given.processors, 1, PROCESSORS_MAX),
    killSeconds: numberWithin('--kill-every', given['kill-every'], 0, 3600),
    plant,
    json: given.json,
  };
}

function steadyName(i: number): string {
  return `steady-${i}`;
}

function startActors(state: Soak, daemon: SoakDaemon, options: Options): Promise<void>[] {
  const streams = STEADY_GUESTS * STREAMS_PER_GUEST;
  const callsPerTick = Math.max(1, Math.round((options.rate / streams) * (TICK_MILLIS / 1000)));
  const guest = steadyName(0);
  return [
    ...Array.from({ length: streams }, (_, i) =>
      act(state, `stream ${i}`, () =>
        steadyStream(state, steadyName(i % STEADY_GUESTS), i, callsPerTick),
      ),
    ),
    act(state, 'REST', () => restCaller(state, guest)),
    act(state, 'guests', () => guestMaker(state)),
    act(state, 'slow reader', () => slowReader(state, guest)),
    act(state, 'vanishing peer', () => vanishingPeer(state, guest)),
    act(state, 'kills', () => killer(state, daemon, options.killSeconds)),
    act(state, 'plant', () => plantFault(state, daemon, options.plant)),
  ];
}

async function killer(state: Soak, daemon: SoakDaemon, everySeconds: number): Promise<void> {
  if (everySeconds === 0) return;
  const random = openRandom(0);
  for (let due = everySeconds; !state.over; ) {
    await sleep(100);
    due -= 0.1;
    if (due > 0) continue;
    due = everySeconds;
    if (await daemon.killProcessor(next(random))) state.done.kills++;
  }
}

async function plantFault(state: Soak, daemon: SoakDaemon, plant: Options['plant']): Promise<void> {
  if (plant === undefined) return;
  await sleep(PLANT_AFTER_SECONDS * 1000);
  if (plant === 'leak') daemon.leak();
  else if (plant === 'hang') process.kill(daemon.pid, 'SIGSTOP');
  else {
    // Behind the back of the stream that has these groups.
    const removals = Array.from({ length: PLANTED_REMOVALS }, (_, ptex) => ({
      hcall: 'H_REMOVE',
      ptex: hex(BigInt(ptex)),
      avpn: '0x0',
    }));
    await state.rest.send('POST', `/v1/guests/${steadyName(0)}/hcalls`, { calls: removals });
  }
}

async function watch(
  state: Soak,
  daemon: SoakDaemon,
  { seconds, json }: Options,
  windows: Window[],
): Promise<void> {
  const windowSeconds = Math.min(WINDOW_SECONDS_MAX, seconds / WINDOWS);
  const start = performance.now();
  for (
    let end = windowSeconds;
    end < seconds + windowSeconds / 2 && !state.over;
    end += windowSeconds
  ) {
    while (!state.over && performance.now() < start + end * 1000) await sleep(20);
    const usage = await inTime('looking at the daemon', daemon.look());
    const { done, latencies, delays } = state;
    state.done = { ...NOTHING_DONE };
    state.latencies = [];
    state.delays = [];
    const window: Window = {
      seconds: rounded((performance.now() - start) / 1000, 2),
      ...usage,
      ...done,
      p50Millis: percentile(latencies, 0.5),
      p99Millis: percentile(latencies, 0.99),
      delayP99Millis: percentile(delays, 0.99),
    };
    windows.push(window);
    if (!json) print(lineOf(window));
    if (done.hcalls === 0 && windowSeconds >= 5)
      find(state, 'hang: no hcall was answered in a window');
  }
}

function percentile(values: number[], share: number): number {
  const sorted = values.sort((a, b) => a - b);
  return rounded(sorted[Math.floor(share * (sorted.length - 1))] ?? 0, 2);
}

/** Nobody uses the daemon any more: it must use what it used at first. */
async function everythingGivenBack(
  state: Soak,
  daemon: SoakDaemon,
  fdsBefore: number,
): Promise<void> {
  for (const guest of await state.rest.listGuests())
    await state.rest.deleteGuest(String(guest['name']));
  const deadline = performance.now() + LEFT_MILLIS;
  for (;;) {
    const { fds } = await daemon.look();
    if (fds <= fdsBefore + LEFT_FDS_ALLOWED) return;
    if (performance.now() > deadline)
      throw new Error(`leak: ${fds} file descriptors are left of ${fdsBefore} at first`);
    await sleep(100);
  }
}

function report({ json }: Options, windows: readonly Window[], findings: readonly string[]): void {
  const trends = trendsOf(windows);
  const passed = findings.length === 0;
  const verdict = { passed, findings, ...trends };
  if (json) printJson({ profile: 'soak', machine: machine(), windows, verdict });
  else print(`\n${JSON.stringify(trends)}\n${passed ? 'nothing found' : 'failed'}`);
  for (const finding of findings) complain(`soak: ${finding}`);
}

const COLUMNS: readonly (readonly [string, (window: Window) => string])[] = [
  ['seconds', ({ seconds }) => seconds.toFixed(1)],
  ['hcalls', ({ hcalls }) => grouped(hcalls)],
  ['requests', ({ requests }) => grouped(requests)],
  ['guests', ({ guests }) => `${guests}`],
  ['resizes', ({ resizes }) => `${resizes}`],
  ['slow', ({ slowReaders }) => `${slowReaders}`],
  ['vanished', ({ vanished }) => `${vanished}`],
  ['kills', ({ kills }) => `${kills}`],
  ['RSS MiB', ({ rssMiB }) => grouped(rssMiB)],
  ['address GiB', ({ addressGiB }) => grouped(addressGiB)],
  ['fds', ({ fds }) => `${fds}`],
  ['handles', ({ handles }) => `${handles}`],
  ['p50 ms', ({ p50Millis }) => p50Millis.toFixed(1)],
  ['p99 ms', ({ p99Millis }) => p99Millis.toFixed(1)],
  ['own delay p99', ({ delayP99Millis }) => delayP99Millis.toFixed(1)],
];
const CELL = 11;
const HEADING = COLUMNS.map(([title]) => title.padStart(Math.max(title.length, CELL))).join(' ');

/** A line at a time, so widths are set beforehand. */
function lineOf(window: Window): string {
  return COLUMNS.map(([title, of]) => of(window).padStart(Math.max(title.length, CELL))).join(' ');
}
