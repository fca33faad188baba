/** A server of the stream profile, seen from the process that measures it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FromServer, ToServer, Usage } from './messages.ts';

const SERVER = fileURLToPath(new URL('./server.ts', import.meta.url));
const START_MILLIS = 30_000;
const END_MILLIS = 2_000;

export interface Server {
  readonly url: string;
  readonly process: ChildProcess;
}

/** `options`: of the daemon, beside those that all have. */
export async function startServer(
  kind: 'hptd' | 'echo',
  processors: number,
  options: Record<string, unknown> = {},
): Promise<Server> {
  const child = fork(SERVER, [kind, `${processors}`, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  try {
    const signal = AbortSignal.timeout(START_MILLIS);
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`the ${kind} server ended with code ${code} before it was ready`);
    });
    const [ready] = (await Promise.race([once(child, 'message', { signal }), ended])) as [
      FromServer,
    ];
    if (ready.kind !== 'ready') throw new Error(`the ${kind} server did not say that it is ready`);
    ended.catch(() => {});
    return { url: ready.url, process: child };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** What the server has used until now. */
export async function usage(server: Server): Promise<Usage> {
  const answer = once(server.process, 'message', { signal: AbortSignal.timeout(START_MILLIS) });
  say(server, { kind: 'usage' });
  return ((await answer) as [Usage])[0];
}

export async function stopServer(server: Server): Promise<void> {
  if (server.process.exitCode !== null || server.process.signalCode !== null) return;
  const ended = once(server.process, 'exit');
  const impatience = setTimeout(() => server.process.kill('SIGKILL'), END_MILLIS);
  if (server.process.connected) say(server, { kind: 'stop' });
  await ended;
  clearTimeout(impatience);
}

function say(server: Server, message: ToServer): void {
  server.process.send(message);
}
