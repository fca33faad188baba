/**
 * `hptd demo`, which is `npm start`: a daemon in this process, a guest with a real boot behind it, and what to try next.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { streamUrl } from '../../client/address.ts';
import { connectRest } from '../../client/rest.ts';
import { connectStream } from '../../client/stream.ts';
import { userStateDirectory } from '../../operations/reach.ts';
import { shutdownMillis } from '../../operations/shutdown.ts';
import { VERSION } from '../../operations/version.ts';
import { type Command, parseWords } from '../command.ts';
import { configurationFrom, startHere } from '../daemon-here.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { complain, grouped, paint, print } from '../output.ts';
import { guestConfigFor, loadPlan } from '../replay/files.ts';
import type { Plan } from '../replay/plan.ts';
import { showProgress } from '../replay/progress.ts';
import { describeMismatch } from '../replay/report.ts';
import { type ReplayResult, runPlan } from '../replay/run.ts';
import { tryNext } from './demo-lines.ts';

export const DEMO_GUEST = 'demo';

/** A Linux guest from firmware to init and off; samples/README.md tells where it comes from. */
const SAMPLE = fileURLToPath(new URL('../../../samples/boot-p8-64k.jsonl.gz', import.meta.url));

export const demo: Command = {
  name: 'demo',
  usage: 'demo [--listen HOST:PORT] [--processors N] [--state-dir DIR | --ephemeral]',
  summary: 'run a daemon, replay the boot of a guest, and say what to try',
  help: () => `Runs a daemon with a guest "${DEMO_GUEST}" in it, replays the recorded boot of a Linux guest, prints
commands to try on it, and serves until Ctrl-C. "npm start" runs this. Its guests are kept: the next time they are there
again, and nothing is replayed.

  hptd demo --listen 127.0.0.1:0

  --listen HOST:PORT   where to listen (HPTD_LISTEN)
  --processors N       worker threads that execute hcalls (HPTD_PROCESSORS)
  --state-dir DIR      where its guests are kept (HPTD_STATE_DIR; else hptd in XDG_STATE_HOME or ~/.local/state)
  --ephemeral          keep nothing`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('demo', words, {
    listen: { type: 'string', multiple: true },
    processors: { type: 'string' },
    'state-dir': { type: 'string' },
    ephemeral: { type: 'boolean', default: false },
  });
  if (positionals.length > 0) throw usageError(`demo takes no "${positionals[0]}"`, 'demo');
  if (values.ephemeral && values['state-dir'] !== undefined)
    throw usageError('--ephemeral keeps nothing, so it takes no --state-dir', 'demo');
  const { options: given } = configurationFrom('demo', {
    ...values,
    // A demo is for people: what went well is not for them to read as JSON.
    'log-level': process.env['HPTD_LOG_LEVEL'] ?? 'warn',
  });
  const { stateDir = userStateDirectory() } = given;
  const options = { ...given, stateDir: values.ephemeral ? undefined : stateDir };
  if (!options.listen[0]!.includes(':') || options.listen[0]!.startsWith('unix:')) {
    throw usageError('the commands that demo prints need HOST:PORT, not a Unix socket', 'demo');
  }
  if (options.accessFile !== undefined || options.tlsCert !== undefined) {
    throw usageError('the commands that demo prints have no token and no TLS: use serve', 'demo');
  }
  const plan = await loadSample();
  const daemon = await startHere(
    options,
    'for example: npm start -- --listen 127.0.0.1:0 takes any free port',
  );
  const isEnding = endOnSignals(() => daemon.close());
  try {
    print(
      `hptd ${VERSION} is ready at ${paint('bold', daemon.url)}, with ${options.processors} processors`,
    );
    if (!(await bootOrFind(daemon.url, plan))) {
      await daemon.close();
      return EXIT.mismatch;
    }
    print(tryNext(daemon.url, DEMO_GUEST));
    // From here on the daemon's own handles keep the process.
    return EXIT.ok;
  } catch (error) {
    await daemon.close();
    // Ctrl-C during the boot ends its stream: that is no failure.
    if (isEnding()) return EXIT.ok;
    throw error;
  }
}

/**
 * Ctrl-C arrives twice under npm, once from the terminal and once passed on, so a second signal means
 * nothing. A close that hangs ends the process all the same. Tells whether the end has begun.
 */
function endOnSignals(close: () => Promise<void>): () => boolean {
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(EXIT.internal), 2 * shutdownMillis(true)).unref();
    close().then(
      () => process.exit(EXIT.ok),
      (error: Error) => {
        complain(`hptd: not everything could be kept: ${error.message}`);
        process.exit(EXIT.internal);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
  return () => ending;
}

async function loadSample(): Promise<Plan> {
  if (!existsSync(SAMPLE)) {
    throw new CliError(
      EXIT.data,
      `${SAMPLE} is missing`,
      'it is part of the project: get it again with "git checkout samples"',
    );
  }
  return loadPlan(SAMPLE);
}

/** False: the boot was not as recorded. A guest that was kept has booted already. */
async function bootOrFind(daemon: string, plan: Plan): Promise<boolean> {
  const guests = await connectRest(daemon).listGuests();
  const found = guests.find(({ name }) => name === DEMO_GUEST);
  if (found === undefined) return reportBoot(plan, await boot(daemon, plan));
  print(
    `guest "${DEMO_GUEST}" is there from before, ${String(found['state'])}; "hptd delete ${DEMO_GUEST}" makes the next start boot it anew`,
  );
  return true;
}

/** As `hptd replay`, but the guest stays. */
async function boot(daemon: string, plan: Plan): Promise<ReplayResult> {
  const {
    guest,
    workload,
    htabOrder,
    ramBytes = 0,
  } = plan.header as typeof plan.header & Record<string, unknown>;
  await connectRest(daemon).createGuest(DEMO_GUEST, guestConfigFor(plan.header));
  print(
    `guest "${DEMO_GUEST}": a table of ${mebibytes(2 ** htabOrder)} for ${mebibytes(ramBytes)} of memory`,
  );
  print(
    `replaying ${grouped(plan.hcalls)} recorded hcalls: ${String(guest)}, ${String(workload)} …`,
  );
  const stream = await connectStream(streamUrl(daemon, DEMO_GUEST), { role: 'host' });
  let done = (): number => 0;
  const clear = showProgress('booting', () => done());
  try {
    return await runPlan(plan, stream, {
      onStart: (tell) => {
        done = tell;
      },
    });
  } finally {
    clear();
    await stream.close();
  }
}

function mebibytes(bytes: number): string {
  return `${bytes / 2 ** 20} MiB`;
}

/** Says how it went; true: as recorded. */
function reportBoot(plan: Plan, result: ReplayResult): boolean {
  const { mismatches, first, tableMatches, tableNotes, seconds } = result;
  const rate = grouped(plan.hcalls / Math.max(seconds, 1e-6));
  const took = `${grouped(plan.hcalls)} hcalls in ${(seconds * 1000).toFixed(0)} ms (${rate} hcalls/s)`;
  if (mismatches === 0 && tableMatches === true) {
    print(
      `${paint('green', 'booted')}: ${took}; every answer and the whole table at the end compared: all as recorded`,
    );
    return true;
  }
  print(`${paint('red', 'not as recorded')}: ${took}; ${grouped(mismatches)} answers differ`);
  for (const mismatch of first) print(describeMismatch('the sample', mismatch));
  for (const note of tableNotes) print(note);
  print('this is a defect of hptd: please report it');
  return false;
}
