/** The project as a newcomer has it after `npm ci`: a clone of HEAD with the packages that are installed here. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { linkTree } from '../docker/link-tree.ts';
import { environment } from './child.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface FreshTree {
  readonly path: string;
  remove(): void;
}

/** Says why a fresh tree cannot be made; undefined: it can. */
export function whyNoFreshTree(): string | undefined {
  return existsSync(join(ROOT, '.git'))
    ? undefined
    : 'this is no git clone, so there is no HEAD to clone';
}

export function freshTree(): FreshTree {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-fresh-'));
  const path = join(folder, 'hptd');
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', ROOT, path], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  linkTree(join(ROOT, 'node_modules'), join(path, 'node_modules'));
  prepare(path);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** What `npm ci` does last. */
export function prepare(path: string): void {
  execFileSync('npm', ['run', 'prepare'], {
    cwd: path,
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
