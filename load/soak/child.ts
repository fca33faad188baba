/** The soak's daemon as its parent sees it: starting it, killing its processors, looking at what it uses. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FromDaemon, ToDaemon } from './messages.ts';

export interface Usage {
  readonly rssMiB: number;
  /** Address space: most of it is guests' memories, some 10 GiB each, touched or not. */
  readonly addressGiB: number;
  readonly fds: number;
  /** Timers, sockets and so on that keep the daemon's event loop going. */
  readonly handles: number;
}

export interface SoakDaemon {
  readonly url: string;
  readonly pid: number;
  /** Whichever the number picks. False: there was no processor to kill at that moment. */
  killProcessor(pick: number): Promise<boolean>;
  look(): Promise<Usage>;
  leak(): void;
  /** Resolves, never rejects, when the process is gone. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL('./daemon.ts', import.meta.url));
const READY_MILLIS = 20_000;
const REPLY_MILLIS = 20_000;
const KIB_PER_MIB = 1024;
const KIB_PER_GIB = 1024 * 1024;

export async function startSoakDaemon(processors: number): Promise<SoakDaemon> {
  const child = fork(SCRIPT, [String(processors)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'exit').then(
    ([code, signal]) => `ended with ${String(signal ?? `exit code ${code}`)}`,
  );
  try {
    const { url } = await replyOf(child, 'ready', READY_MILLIS);
    return {
      url,
      pid: child.pid!,
      ended,
      killProcessor: async (pick) => {
        const reply = replyOf(child, 'killed', REPLY_MILLIS);
        say(child, { kind: 'kill', pick });
        return (await reply).processor !== null;
      },
      look: () => look(child),
      leak: () => say(child, { kind: 'leak' }),
      stop: async () => {
        child.kill('SIGKILL');
        await ended;
        process.off('exit', kill);
      },
    };
  } catch (error) {
    kill();
    throw error;
  }
}

function say(child: ChildProcess, message: ToDaemon): void {
  if (child.connected) child.send(message);
}

/** The next message of that kind. One question of a kind at a time. */
async function replyOf<Kind extends FromDaemon['kind']>(
  child: ChildProcess,
  kind: Kind,
  millis: number,
): Promise<Extract<FromDaemon, { kind: Kind }>> {
  const reply = Promise.withResolvers<Extract<FromDaemon, { kind: Kind }>>();
  const onMessage = (message: FromDaemon): void => {
    if (message.kind === kind) reply.resolve(message as Extract<FromDaemon, { kind: Kind }>);
  };
  const onExit = (): void => reply.reject(new Error("the soak's daemon ended"));
  const timer = setTimeout(
    () => reply.reject(new Error(`the soak's daemon said no "${kind}" within ${millis} ms`)),
    millis,
  );
  child.on('message', onMessage);
  child.once('exit', onExit);
  try {
    return await reply.promise;
  } finally {
    clearTimeout(timer);
    child.off('message', onMessage);
    child.off('exit', onExit);
  }
}

async function look(child: ChildProcess): Promise<Usage> {
  const reply = replyOf(child, 'handles', REPLY_MILLIS);
  say(child, { kind: 'look' });
  const { handles } = await reply;
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
  return {
    rssMiB: Math.round(kib('VmRSS') / KIB_PER_MIB),
    addressGiB: Math.round(kib('VmSize') / KIB_PER_GIB),
    fds: readdirSync(`/proc/${child.pid}/fd`).length,
    handles,
  };
}
