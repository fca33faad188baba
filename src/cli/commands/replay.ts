/** `hptd replay`: traces against a daemon, every answer compared. The interface of --json and the exit codes are fixed. */
import { PROCESSORS_MAX } from '../../../schemas/limits.ts';
import { collectGarbage } from '../../operations/heap.ts';
import { type Command, daemonUrl, parseWords, wholeNumber } from '../command.ts';
import { CREDENTIAL_OPTIONS, CREDENTIAL_OPTIONS_HELP, credentialsOf } from '../credentials.ts';
import { EXIT, explainError, usageError } from '../errors.ts';
import { complain, paint, print, printJson } from '../output.ts';
import { SHOWN_MISMATCHES } from '../replay/compare.ts';
import { startDaemon } from '../replay/daemon.ts';
import { type DaemonAt, loadPlan, planWarnings, replayPlan } from '../replay/files.ts';
import type { Plan } from '../replay/plan.ts';
import { showProgress } from '../replay/progress.ts';
import {
  describeMismatch,
  type FileReport,
  fileReport,
  matches,
  reportTable,
} from '../replay/report.ts';
import type { ReplayResult } from '../replay/run.ts';

interface Session {
  readonly json: boolean;
  /** Gives the daemon to replay against, starting it when it is first needed. */
  readonly daemon: () => Promise<DaemonAt>;
  /** Undoes what was begun, last first; for the end, and for signals. */
  readonly undo: (() => Promise<void>)[];
  readonly reports: FileReport[];
}

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export const replay: Command = {
  name: 'replay',
  usage: 'replay FILE… [--url URL] [--processors N] [--json]',
  summary: 'replay recorded guests and compare every answer',
  help: () => `Replays hpt-trace/1 files (.jsonl.gz) over a stream and compares every answer with the recorded one.
Without --url it starts a daemon of its own on a free port, and stops it again.

  hptd replay samples/boot-p8-64k.jsonl.gz

  --url URL           a running daemon: http://HOST:PORT, https://HOST:PORT or unix:PATH
${CREDENTIAL_OPTIONS_HELP}
  --processors N      processors of the daemon it starts
  --json              one line of JSON per file on standard output

Exit codes: 0 all answers match, 1 a mismatch, 64 usage, 65 bad data, 69 daemon unavailable, 70 a defect.
A file with bad data does not keep the others from being replayed; the highest exit code is the command's.`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('replay', words, {
    url: { type: 'string' },
    ...CREDENTIAL_OPTIONS,
    processors: { type: 'string' },
    json: { type: 'boolean', default: false },
  });
  if (positionals.length === 0) throw usageError('which trace? Name at least one file', 'replay');
  if (values.url !== undefined && values.processors !== undefined) {
    throw usageError(
      '--processors is for the daemon that replay starts itself: leave it out with --url',
      'replay',
    );
  }
  const url = values.url === undefined ? undefined : daemonUrl('replay', values.url);
  const given = url === undefined ? undefined : { url, ...credentialsOf('replay', values) };
  const processors =
    values.processors === undefined
      ? undefined
      : wholeNumber('replay', '--processors', values.processors, 1, PROCESSORS_MAX);
  const undo: (() => Promise<void>)[] = [];
  const session: Session = {
    json: values.json,
    daemon: daemonSource(given, processors, undo),
    undo,
    reports: [],
  };
  const forget = cleanUpOnSignals(undo);
  try {
    return await replayFiles(session, positionals);
  } finally {
    await undoAll(undo);
    forget();
  }
}

function daemonSource(
  given: DaemonAt | undefined,
  processors: number | undefined,
  undo: Session['undo'],
): () => Promise<DaemonAt> {
  let own: Promise<DaemonAt> | undefined;
  const start = async (): Promise<DaemonAt> => {
    const daemon = await startDaemon(processors);
    undo.push(() => daemon.stop());
    return daemon;
  };
  return () => (given === undefined ? (own ??= start()) : Promise.resolve(given));
}

async function replayFiles(session: Session, files: readonly string[]): Promise<number> {
  let worst: number = EXIT.ok;
  for (const file of files) {
    try {
      const report = await replayFile(session, file);
      if (!matches(report)) worst = Math.max(worst, EXIT.mismatch);
    } catch (error) {
      const { exitCode, message, advice } = explainError(error);
      complain(`hptd: ${message.startsWith(file) ? '' : `${file}: `}${message}; ${advice}`);
      worst = Math.max(worst, exitCode);
      // Without a daemon the other files would only say the same.
      if (exitCode === EXIT.unavailable) break;
    }
  }
  if (!session.json && session.reports.length > 0) print(reportTable(session.reports));
  return worst;
}

async function replayFile(session: Session, file: string): Promise<FileReport> {
  const start = performance.now();
  const plan = await withProgress(`reading ${file}`, () => loadPlan(file));
  for (const warning of planWarnings(plan)) complain(`hptd: ${file}: ${warning}`);
  const daemon = await session.daemon();
  // What reading left behind is not to be looked through while the clock runs: it would take a good part of the time.
  collectGarbage();
  const result = await replayShown(session, daemon, file, plan);
  const report = fileReport(file, plan, result, (performance.now() - start) / 1000);
  complainAbout(file, result);
  if (session.json) printJson(report);
  session.reports.push(report);
  return report;
}

async function replayShown(
  session: Session,
  daemon: DaemonAt,
  file: string,
  plan: Plan,
): Promise<ReplayResult> {
  let done = (): number => 0;
  const known = session.undo.length;
  try {
    return await withProgress(
      `replaying ${file}`,
      () =>
        replayPlan(daemon, plan, {
          onStart: (tell) => {
            done = tell;
          },
          onGuest: (remove) => session.undo.push(remove),
        }),
      () => done(),
    );
  } finally {
    session.undo.length = known;
  }
}

async function withProgress<T>(
  label: string,
  work: () => Promise<T>,
  done: () => number | undefined = () => undefined,
): Promise<T> {
  const clear = showProgress(label, done);
  try {
    return await work();
  } finally {
    clear();
  }
}

function complainAbout(file: string, result: ReplayResult): void {
  for (const mismatch of result.first) complain(describeMismatch(file, mismatch));
  const more = result.mismatches - result.first.length;
  if (more > 0)
    complain(
      `${file}: ${more} more after the first ${SHOWN_MISMATCHES}; look at the first: the others may follow from it`,
    );
  for (const note of result.tableNotes) complain(`${file} ${paint('red', note, process.stderr)}`);
}

/** On a signal: undo, then end as the signal would have ended us. A second one ends us at once. */
function cleanUpOnSignals(undo: Session['undo']): () => void {
  const listeners = Object.entries(SIGNALS).map(([signal, exitCode]) => {
    const listener = (): void => {
      void undoAll(undo).finally(() => process.exit(exitCode));
    };
    process.once(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
}

async function undoAll(undo: Session['undo']): Promise<void> {
  for (const action of undo.splice(0).toReversed()) await action().catch(() => {});
}
