/** The server processes of the REST profile, seen from the profile: started alike, asked alike, ended for certain. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { USAGE_PLEASE, type Ready, type ServerKind, type Usage } from './messages.ts';

/** A daemon starts in less than a second; a machine may be busy. */
const START_MILLIS = 30_000;
/** A server that is asked to end and does not is killed. */
const END_MILLIS = 5_000;

export interface Server {
  readonly kind: ServerKind;
  readonly url: string;
  usage(): Promise<Usage>;
  end(): Promise<void>;
}

export async function startServer(kind: ServerKind, processors: number): Promise<Server> {
  const child = fork(new URL('./server.ts', import.meta.url), [kind, `${processors}`]);
  try {
    const { url } = await hear<Ready>(child);
    return {
      kind,
      url,
      usage: () => {
        child.send(USAGE_PLEASE);
        return hear<Usage>(child);
      },
      end: () => end(child),
    };
  } catch (error) {
    await end(child);
    throw error;
  }
}

async function hear<Message>(child: ChildProcess): Promise<Message> {
  const told = new AbortController();
  const signal = AbortSignal.any([told.signal, AbortSignal.timeout(START_MILLIS)]);
  const exit = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`a server of the profile ended with ${code}`);
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal }), exit]);
    return message as Message;
  } finally {
    told.abort();
    exit.catch(() => {});
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  const kill = setTimeout(() => child.kill('SIGKILL'), END_MILLIS);
  if (child.connected) child.disconnect();
  await exit;
  clearTimeout(kill);
}
