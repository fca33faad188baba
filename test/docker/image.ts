/**
 * Builds the tree of an image without a Docker engine: each stage is a folder that stands for its root, the base is this
 * project's Node, COPY links files, RUN runs in the stage's folder. `npm ci` takes the packages that are installed here.
 */
import { execFileSync } from 'node:child_process';
import { chownSync, cpSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join, posix } from 'node:path';
import type { Stage, Step } from './dockerfile.ts';
import { linkTree } from './link-tree.ts';

export interface Image {
  /** The folder that stands for the image's root. */
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
}

interface Build {
  /** The sources: what COPY without --from sees. */
  readonly context: string;
  readonly ignore: (path: string) => boolean;
  /** Images of the stages before, by name. */
  readonly built: ReadonlyMap<string, Image>;
}

type Growing = { -readonly [Key in keyof Image]: Image[Key] };

/** The user of the official images of Node. */
export const NODE_USER = { name: 'node', id: 1000 } as const;

export function buildImage(stages: readonly Stage[], context: string, folder: string): Image {
  const built = new Map<string, Image>();
  const ignore = ignoredBy(readFileSync(join(context, '.dockerignore'), 'utf8'));
  let image: Image | undefined;
  for (const [i, stage] of stages.entries()) {
    image = buildStage(stage, join(folder, `stage-${i}`), { context, ignore, built });
    if (stage.name !== undefined) built.set(stage.name, image);
  }
  return image!;
}

function buildStage(stage: Stage, root: string, build: Build): Image {
  const bin = join(root, 'usr/local/bin');
  mkdirSync(bin, { recursive: true });
  linkTree(process.execPath, join(bin, 'node'));
  const image: Growing = {
    root,
    workdir: '/',
    env: { PATH: `${bin}:/usr/bin:/bin` },
    user: 'root',
  };
  for (const step of stage.steps) perform(step, image, build);
  return image;
}

function perform(step: Step, image: Growing, build: Build): void {
  switch (step.kind) {
    case 'workdir':
      image.workdir = posix.resolve(image.workdir, step.path);
      mkdirSync(inside(image, image.workdir), { recursive: true });
      return;
    case 'env':
      image.env = { ...image.env, ...step.values };
      return;
    case 'user':
      image.user = step.name;
      return;
    case 'copy':
      for (const source of step.sources) copy(step, source, image, build);
      return;
    case 'run':
      run(step.command, image, build);
  }
}

/** Where a path of the image is here. */
export function inside(image: Pick<Image, 'root' | 'workdir'>, path: string): string {
  return join(image.root, posix.resolve(image.workdir, path));
}

function copy(
  step: Extract<Step, { kind: 'copy' }>,
  source: string,
  image: Image,
  build: Build,
): void {
  const into = step.target.endsWith('/') || step.sources.length > 1;
  const target = inside(image, into ? posix.join(step.target, basename(source)) : step.target);
  if (step.from === undefined && build.ignore(source))
    throw new Error(`COPY ${source}: .dockerignore hides it`);
  const stage = step.from === undefined ? undefined : build.built.get(step.from);
  if (step.from !== undefined && stage === undefined)
    throw new Error(`there is no stage ${step.from}`);
  if (stage !== undefined) linkTree(inside(stage, source), target);
  // Not linked: npm writes package-lock.json again in place, and it would be the project's own.
  else cpSync(join(build.context, source), target, { recursive: true });
  if (step.owner === undefined || process.getuid?.() !== 0) return;
  if (step.owner !== `${NODE_USER.name}:${NODE_USER.name}`)
    throw new Error(`the replay does not know ${step.owner}`);
  chownSync(target, NODE_USER.id, NODE_USER.id);
}

function run(command: string, image: Image, build: Build): void {
  // Here the root is not the root: a command that names one would leave the folder.
  if (/(^|[\s=;&|'"])[/~]/.test(command))
    throw new Error(`RUN ${command}: only relative paths can be replayed`);
  const cwd = inside(image, '.');
  if (/^npm ci\b/.test(command)) {
    linkTree(join(build.context, 'node_modules'), join(cwd, 'node_modules'));
    return;
  }
  const env = {
    HOME: process.env['HOME'] ?? cwd,
    npm_config_offline: 'true',
    npm_config_loglevel: 'error',
    npm_config_audit: 'false',
    npm_config_update_notifier: 'false',
  };
  execFileSync('sh', ['-c', command], {
    cwd,
    env: { ...env, ...image.env },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 120_000,
  });
}

/** `.dockerignore` as ours uses it: `*`, then names that are wanted. */
export function ignoredBy(text: string): (path: string) => boolean {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  if (lines[0] !== '*' || lines.slice(1).some((line) => !/^![\w.-]+$/.test(line))) {
    throw new Error('.dockerignore is more than "*" and names that are wanted: teach the replay');
  }
  const wanted = new Set(lines.slice(1).map((line) => line.slice(1)));
  return (path) => !wanted.has(path.split('/')[0]!);
}
