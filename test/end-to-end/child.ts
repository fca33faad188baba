/** Commands run as a newcomer's shell runs them, and ended by the one who started them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const RUN_MILLIS = 240_000;
const READY_MILLIS = 120_000;
const STOP_MILLIS = 15_000;

/** A newcomer's has nothing in it, and nobody's own is touched. */
const STATE_HOME = mkdtempSync(join(tmpdir(), 'hptd-state-home-'));
process.once('exit', () => rmSync(STATE_HOME, { recursive: true, force: true }));

/** This process's, without what npm and hptd put there: the project's Node must be found by npm, as by a newcomer's. */
export function environment(extra: Record<string, string> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(npm_|HPTD_|NODE_)/.test(name),
  ) as [string, string][];
  const path = (process.env['PATH'] ?? '')
    .split(':')
    .filter((folder) => !folder.includes('node_modules'));
  return {
    ...Object.fromEntries(kept),
    PATH: path.join(':'),
    NO_COLOR: '1',
    XDG_STATE_HOME: STATE_HOME,
    ...extra,
  };
}

/** Runs a line as a shell does, in `cwd`. */
export async function shell(
  line: string,
  cwd: string,
  extra: Record<string, string> = {},
): Promise<Outcome> {
  const child = spawn('bash', ['-c', line], {
    cwd,
    env: environment(extra),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MILLIS,
  });
  return collect(child);
}

/** Runs a file of the project with this very Node. */
export async function node(
  words: readonly string[],
  cwd: string,
  extra: Record<string, string> = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, words, {
    cwd,
    env: environment(extra),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MILLIS,
  });
  return collect(child);
}

async function collect(child: ChildProcess): Promise<Outcome> {
  let [out, err] = ['', ''];
  child.stdout!.on('data', (data: Buffer) => {
    out += data;
  });
  child.stderr!.on('data', (data: Buffer) => {
    err += data;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

export interface Running {
  /** What it has printed so far. */
  output(): string;
  /** Resolves when `pattern` is in the output; rejects when the command ends before, or takes too long. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves when SIGKILL has ended it; rejects if it goes on, or ended otherwise. */
  killed(): Promise<void>;
  /** Sends the signal to the command itself, as Ctrl-C's sender would, and waits for its end. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts a command that goes on until it is told to end. */
export function start(
  command: string,
  words: readonly string[],
  cwd: string,
  extra: Record<string, string> = {},
): Running {
  const child = spawn(command, words, {
    cwd,
    env: environment(extra),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let look = (): void => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data;
      look();
    });
  }
  return {
    output: () => output,
    printed: async (pattern) => {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
      look = () => {
        const match = pattern.exec(output);
        if (match !== null) resolve(match);
      };
      const gone = (code: number | null): void =>
        reject(new Error(`it ended with ${code}:\n${output}`));
      child.once('close', gone);
      const timer = setTimeout(
        () => reject(new Error(`${pattern} did not come:\n${output}`)),
        READY_MILLIS,
      );
      look();
      return promise.finally(() => {
        clearTimeout(timer);
        child.off('close', gone);
      });
    },
    killed: async () => {
      if (child.exitCode === null && child.signalCode === null)
        await once(child, 'close', { signal: AbortSignal.timeout(STOP_MILLIS) });
      if (child.signalCode !== 'SIGKILL') throw new Error(`it ended otherwise:\n${output}`);
    },
    end: async (signal) => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const closed = once(child, 'close');
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MILLIS);
      await closed;
      clearTimeout(timer);
      return child.exitCode;
    },
  };
}
