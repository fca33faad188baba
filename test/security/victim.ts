/**
 * A daemon to attack, what an attacker sends, and the client that must not notice: `unharmed` fails unless REST and a
 * stream that was open before still answer. Loopback only.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { encodeRequests } from '../../schemas/records.ts';
import { type Daemon, serve } from '../../src/main.ts';
import { makeToken } from '../../src/operations/access-file.ts';
import { READY_LINE } from '../../src/cli/commands/ready-line.ts';
import { OPTIONS, serveOptions, valueText } from '../../src/operations/config.ts';
import { reads } from '../guests/configs.ts';
import { connect, type TestSocket } from '../transports/stream-daemon.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** Empty: the body is no JSON. */
  readonly json: Record<string, unknown>;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly token?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

export interface Victim {
  readonly url: string;
  readonly port: number;
  readonly socketPath: string;
  readonly folder: string;
  ask(path: string, asked?: Asked): Promise<Answer>;
  askOverSocket(path: string, asked?: Asked): Promise<Answer>;
  streamUrl(guest: string, query?: string): string;
  /** The well-behaved client: it came before the attack and asks again during it and after it. */
  unharmed(): Promise<void>;
  end(): Promise<void>;
}

type Options = z.input<typeof serveOptions>;

type Serve = (options: Options) => Promise<Pick<Daemon, 'url' | 'close'>>;

/**
 * The guests `g` and `other` are there; with an access file the client of `unharmed` comes over the Unix socket. The
 * daemon is in this process unless `start` puts it elsewhere.
 */
export async function startVictim(options: Options = {}, start: Serve = serve): Promise<Victim> {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-security-'));
  const socketPath = join(folder, 'hptd.sock');
  const daemon = await start({
    listen: '127.0.0.1:0',
    socket: socketPath,
    processors: 2,
    logLevel: 'silent',
    ...options,
  });
  const { port } = new URL(daemon.url);
  let stream: TestSocket | undefined;
  let answered = 0;
  const victim: Victim = {
    url: daemon.url,
    port: Number(port),
    socketPath,
    folder,
    ask: (path, asked = {}) => send({ host: '127.0.0.1', port, path }, asked),
    askOverSocket: (path, asked = {}) => send({ socketPath, path }, asked),
    streamUrl: (guest, query = '') => `ws://127.0.0.1:${port}/v1/guests/${guest}/stream${query}`,
    async unharmed() {
      stream ??= await connect(`ws+unix:${socketPath}:/v1/guests/g/stream`);
      stream.socket.send(encodeRequests(reads(10, answered)));
      answered += 10;
      const answers = await stream.answers(answered);
      assert.equal(answers.at(-1)!.tag, answered - 1);
      const read = await this.askOverSocket('/v1/guests/g/hcalls/H_READ', json({ ptex: 0 }));
      assert.deepEqual([read.status, read.json['status']], [200, 'H_SUCCESS']);
    },
    async end() {
      stream?.socket.terminate();
      await daemon.close();
      rmSync(folder, { recursive: true });
    },
  };
  try {
    for (const guest of ['g', 'other']) {
      const made = await victim.askOverSocket(`/v1/guests/${guest}`, {
        ...json({ order: 18, ramBytes: 2 ** 28 }),
        method: 'PUT',
      });
      assert.equal(made.status, 201, made.text);
    }
    await victim.unharmed();
    return victim;
  } catch (error) {
    await victim.end();
    throw error;
  }
}

const FRONT_DOOR = fileURLToPath(new URL('../../src/cli/hptd.ts', import.meta.url));

/** A daemon in a process of its own: the test runner's watch over each socket costs more than the daemon does. */
export async function serveApart(options: Options): ReturnType<Serve> {
  const given = serveOptions.parse(options);
  const words = OPTIONS.flatMap(({ name, flag }) =>
    options[name] === undefined ? [] : [flag, valueText(given[name]) ?? ''],
  );
  const child = spawn(process.execPath, [FRONT_DOOR, 'serve', ...words, '--until-stdin-ends'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    ended.then(() => assert.fail('the daemon did not start')),
  ])) as [string];
  return {
    url: READY_LINE.exec(line)![1]!,
    async close() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MILLIS);
      await ended;
      clearTimeout(timer);
    },
  };
}

export function json(body: unknown): Asked {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}

const END_MILLIS = 10_000;
const ANSWER_MILLIS = 20_000;

type Target = { readonly path: string } & (
  | { readonly host: string; readonly port: string }
  | { readonly socketPath: string }
);

function send(target: Target, { method = 'GET', headers, token, body }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      ...target,
      method,
      agent: false,
      signal: AbortSignal.timeout(ANSWER_MILLIS),
      headers: {
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data: string) => (text += data));
      response.on('end', () => {
        const isJson = /json/.test(response.headers['content-type'] ?? '');
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          text,
          json: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
        });
      });
    });
    request.end(body);
  });
}

/** A refusal that a program can read: the status, the code, and what to do. */
export function assertProblem(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.json['code']], [status, code], answer.text);
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/);
  assert.ok(String(answer.json['whatToDo']).length > 0);
}

export interface RawSocket {
  readonly socket: Socket;
  /** What came so far. */
  readonly received: () => string;
  readonly closed: Promise<void>;
}

/** A connection without any HTTP in it. */
export async function rawSocket(port: number): Promise<RawSocket> {
  const socket = connectTcp(port, '127.0.0.1');
  let received = '';
  socket.on('data', (data) => (received += data.toString('latin1')));
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  return { socket, received: () => received, closed };
}

/** An access file, and the tokens of those in it. */
export function accessFile(
  folder: string,
  holders: Record<string, { scopes: string[]; until?: string }>,
): { file: string; tokens: Record<string, string>; write: (names: readonly string[]) => void } {
  const file = join(folder, 'access');
  const made = Object.entries(holders).map(([name, { scopes, until }]) => ({
    name,
    ...makeToken(name, scopes, until),
  }));
  const write = (names: readonly string[]): void => {
    const lines = made.filter(({ name }) => names.includes(name)).map(({ line }) => line);
    writeFileSync(file, `# who may do what\n\n${lines.join('\n')}\n`);
    chmodSync(file, 0o600);
  };
  write(made.map(({ name }) => name));
  return { file, tokens: Object.fromEntries(made.map(({ name, token }) => [name, token])), write };
}
