/** Lives of a daemon on one state directory. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./daemon-process.ts', import.meta.url));
const READY_MILLIS = 120_000;

export interface Life {
  readonly process: ChildProcess;
  /** Resolves when it listens; rejects when it ends before. */
  readonly url: Promise<string>;
  /** What it has logged. */
  log(): string;
  /** Sends the signal and waits for the end; gives the exit code, null for one that was killed. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export function startDaemon(options: Record<string, unknown>): Life {
  const given = {
    listen: '127.0.0.1:0',
    socket: 'none',
    processors: 2,
    logLevel: 'warn',
    ...options,
  };
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(given)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (data: Buffer) => {
    log += data;
  });
  const url = urlOf(child, () => log);
  // Whoever kills it before it is ready does not ask.
  url.catch(() => {});
  return {
    process: child,
    url,
    log: () => log,
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) {
        const closed = once(child, 'close');
        child.kill(signal);
        await closed;
      }
      return child.exitCode;
    },
  };
}

async function urlOf(child: ChildProcess, log: () => string): Promise<string> {
  let out = '';
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.stdout!.on('data', (data: Buffer) => {
    out += data;
    if (out.includes('\n')) resolve(out.trim());
  });
  child.once('close', (code) => reject(new Error(`the daemon ended with ${code}:\n${log()}`)));
  const timer = setTimeout(() => reject(new Error(`not ready:\n${log()}`)), READY_MILLIS);
  return promise.finally(() => clearTimeout(timer));
}
