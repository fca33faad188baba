/**
 * A daemon of our own for a replay: a child process on a free loopback port. It never outlives us: it is stopped at
 * the end and on signals, killed when we exit, and it ends by itself when its standard input closes (we crashed).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { UnavailableError } from '../../client/errors.ts';
import { READY_LINE } from '../commands/ready-line.ts';

export interface OwnDaemon {
  readonly url: string;
  stop(): Promise<void>;
}

const FRONT_DOOR = fileURLToPath(new URL('../hptd.ts', import.meta.url));
const READY_MILLIS = 20_000;
const STOP_MILLIS = 8_000;
/** Lines of the daemon's standard error kept to explain a failure. */
const TAIL_LINES = 20;

export async function startDaemon(processors: number | undefined): Promise<OwnDaemon> {
  const size = processors === undefined ? [] : ['--processors', String(processors)];
  const child = spawn(
    process.execPath,
    [
      FRONT_DOOR,
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--log-level',
      'error',
      '--until-stdin-ends',
      ...size,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: plainEnvironment() },
  );
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  try {
    return { url: await readyUrl(child), stop: () => stop(child) };
  } catch (error) {
    await stop(child);
    throw error;
  }
}

/** What is set for a daemon of the user's own, such as who may use it, is not for this one. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('HPTD_') || name === 'HPTD_PROCESSORS',
  );
  return Object.fromEntries(kept);
}

async function readyUrl(child: ChildProcess): Promise<string> {
  const ready = Promise.withResolvers<string>();
  const tail: string[] = [];
  createInterface(child.stdout!).on('line', (line) => {
    const url = READY_LINE.exec(line)?.[1];
    if (url !== undefined) ready.resolve(url);
  });
  createInterface(child.stderr!).on('line', (line) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
  });
  const failed = (why: string): void => {
    const said = tail.length === 0 ? '' : `; it said:\n${tail.join('\n')}`;
    ready.reject(
      new UnavailableError(
        `the daemon started for the replay ${why}${said}`,
        'try "hptd serve" by itself',
      ),
    );
  };
  child.once('error', (error) => failed(`cannot be run (${error.message})`));
  // close, not exit: by then all that it said has been read.
  child.once('close', (code, signal) => failed(`ended with ${signal ?? `exit code ${code}`}`));
  const timer = setTimeout(
    () => failed(`was not ready within ${READY_MILLIS / 1000} s`),
    READY_MILLIS,
  );
  try {
    return await ready.promise;
  } finally {
    clearTimeout(timer);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MILLIS);
  await exited;
  clearTimeout(timer);
}
