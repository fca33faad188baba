/**
 * The Dockerfile, replayed step by step without a Docker engine (image.ts), and the daemon started from what came of it
 * as its ENTRYPOINT says. What it cannot show: that the base image exists, and what its Linux is like.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectRest } from '../../src/client/rest.ts';
import { parseDockerfile, type Stage } from './dockerfile.ts';
import { buildImage, type Image, ignoredBy, inside, NODE_USER } from './image.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const READY_MILLIS = 20_000;
const STOP_MILLIS = 10_000;
const RUN_DIR = '/run/hptd';

const stages = parseDockerfile(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
const last = stages.at(-1)!;
let folder: string;
let image: Image;
let sources: string[];

/** What npm might write into the project if a link led there. */
function ours(): string[] {
  return ['package.json', 'package-lock.json', 'node_modules/.package-lock.json'].map((path) =>
    readFileSync(join(ROOT, path), 'utf8'),
  );
}

before(() => {
  sources = ours();
  folder = mkdtempSync(join(tmpdir(), 'hptd-image-'));
  // mkdtemp lets only us in; the image's user is somebody else.
  chmodSync(folder, 0o755);
  image = buildImage(stages, ROOT, folder);
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('building it leaves the project as it was', () => {
  assert.deepEqual(ours(), sources);
});

test('the last stage runs nothing and is not the one with the build tools', () => {
  assert.ok(stages.length >= 2);
  assert.deepEqual(
    last.steps.filter(({ kind }) => kind === 'run'),
    [],
  );
  for (const { base } of stages) assert.match(base, /^node:26\b/);
});

test('it runs as a user who is not root, and says so after everything else', () => {
  assert.equal(image.user, NODE_USER.name);
  assert.equal(last.steps.at(-1)?.kind, 'user');
});

test('the port is known, and nothing listens on it unless asked for', () => {
  assert.deepEqual(last.ports, [7808]);
  assert.match(image.env['HPTD_LISTEN']!, /^unix:/);
  assert.deepEqual(last.volumes, [RUN_DIR]);
});

test('no development package, no second Node and no source of a test is in the image', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; version?: string }>;
  };
  const development = Object.entries(packages)
    .filter(([, row]) => row.dev === true)
    .map(([path]) => path);
  assert.ok(development.length > 20);
  for (const path of development)
    assert.equal(existsSync(inside(image, path)), false, `${path} is in the image`);
  for (const path of ['node_modules/node', 'node_modules/.bin', 'test', 'load', '.git']) {
    assert.equal(existsSync(inside(image, path)), false, `${path} is in the image`);
  }
  for (const path of ['node_modules/fastify', 'node_modules/zod', 'build/engine.wasm', 'LICENSE']) {
    assert.ok(existsSync(inside(image, path)), `${path} is not in the image`);
  }
});

test('started as ENTRYPOINT says it answers over its socket, is healthy, writes nothing else, ends on SIGTERM', async () => {
  const listen = image.env['HPTD_LISTEN']!;
  const here = `unix:${inside(image, listen.slice('unix:'.length))}`;
  const before = contentsOf(image.root);
  await withContainer(last, here, async (url) => {
    assert.equal(url, here);
    assert.equal(await isHealthy(here), true);
    await connectRest(url).createGuest('g', { order: 18 });
    assert.deepEqual(contentsOf(image.root), before);
  });
  assert.equal(await isHealthy(here), false, 'nobody is there any more');
});

test('with HPTD_LISTEN it takes a port, and the health check follows', async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  await withContainer(last, listen, async (url) => {
    assert.equal(url, `http://${listen}`);
    const answer = await fetch(`${url}/healthz`);
    assert.deepEqual([answer.status, await answer.text()], [200, 'ok\n']);
    assert.equal(await isHealthy(listen), true);
  });
});

test('what the replay does not know it refuses', () => {
  assert.throws(() => parseDockerfile('FROM a\nADD b c'), /does not know ADD/);
  assert.throws(() => parseDockerfile('USER node'), /before any FROM/);
  assert.throws(() => ignoredBy('node_modules\n'), /teach the replay/);
  assert.equal(ignoredBy('*\n!src\n')('src/main.ts'), false);
  assert.equal(ignoredBy('*\n!src\n')('test/main.ts'), true);
  const build = (text: string): Image =>
    buildImage(parseDockerfile(text), ROOT, mkdtempSync(join(folder, 'small-')));
  assert.throws(() => build('FROM a\nRUN rm -rf /app'), /only relative paths/);
  assert.throws(() => build('FROM a\nCOPY test test'), /\.dockerignore hides it/);
  assert.throws(() => build('FROM a\nCOPY --from=b /a /a'), /there is no stage b/);
});

function environment(listen: string): Record<string, string> {
  return { ...image.env, HPTD_LISTEN: listen };
}

/** Root becomes the image's user, as Docker does it; anybody else stays who he is. */
function identity(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: NODE_USER.id, gid: NODE_USER.id } : {};
}

async function withContainer(
  stage: Stage,
  listen: string,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const [command, ...words] = stage.entryPoint!;
  const program = join(image.root, 'usr/local/bin', command!);
  const child = spawn(program, words, {
    cwd: inside(image, '.'),
    env: environment(listen),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...identity(),
  });
  try {
    await use(await readyUrl(child));
  } finally {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MILLIS);
    const ended = child.exitCode === null ? once(child, 'exit') : Promise.resolve();
    child.kill('SIGTERM');
    await ended;
    clearTimeout(timer);
  }
  assert.equal(child.exitCode, 0, `it ended with ${child.signalCode ?? child.exitCode}`);
}

async function readyUrl(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let said = '';
  child.stderr!.on('data', (data: Buffer) => {
    said += data;
  });
  createInterface(child.stdout!).on('line', (line) => {
    const url = /^hptd is ready at (\S+)$/.exec(line)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.once('error', reject);
  child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
  const timer = setTimeout(() => reject(new Error(`not ready in time: ${said}`)), READY_MILLIS);
  return promise.finally(() => clearTimeout(timer));
}

/** The HEALTHCHECK as it is written. */
async function isHealthy(listen: string): Promise<boolean> {
  const [command, ...words] = last.healthCheck!;
  const program = join(image.root, 'usr/local/bin', command!);
  return promisify(execFile)(program, words, {
    env: environment(listen),
    timeout: READY_MILLIS,
    ...identity(),
  }).then(
    () => true,
    () => false,
  );
}

/** Every file but the socket's folder, with size and time: a read-only root would have refused to change them. */
function contentsOf(path: string): string[] {
  if (path === join(image.root, RUN_DIR)) return [];
  const facts = lstatSync(path);
  if (facts.isDirectory())
    return [path, ...readdirSync(path).flatMap((name) => contentsOf(join(path, name)))];
  return [`${path} ${facts.size} ${facts.mtimeMs}`];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
