#!/usr/bin/env node
/**
 * What `npm start` and `npx hptd` run: looks at the Node that runs it, then opens the front door. It is JavaScript, in
 * words that old Nodes understand, because they stop at the first .ts file with an error that helps nobody.
 */
import { existsSync, mkdirSync } from 'node:fs';
// Whole: old Nodes stop at a name that it does not have.
import module from 'node:module';

const NODE_MAJOR = 26;
const EXIT_USAGE = 64;

const found = process.versions.node;
if (Number.parseInt(found, 10) >= NODE_MAJOR) {
  keepCompiled();
  await import('./hptd.ts');
} else {
  process.stderr.write(
    `hptd: this is Node ${found}, hptd needs Node ${NODE_MAJOR}: "npm ci" installs it beside hptd, and "npm start" and "npx hptd" then use it\n`,
  );
  process.exitCode = EXIT_USAGE;
}

/**
 * Half of what a short command takes is compiling: Node keeps what it compiled where the user keeps such things (XDG Base
 * Directory Specification). Where that cannot be, as in a container that cannot be written, it compiles each time.
 */
function keepCompiled() {
  const { HOME, XDG_CACHE_HOME } = process.env;
  const caches = XDG_CACHE_HOME || (HOME && `${HOME}/.cache`);
  if (!caches?.startsWith('/')) return;
  try {
    // One after the other: where a folder cannot be made, as in /proc, Node never stops trying to make it with those above.
    // Not by operations/folders.ts: before the cache is there, the first TypeScript loads what compiles it.
    for (const folder of [caches, `${caches}/hptd`]) {
      if (!existsSync(folder)) mkdirSync(folder, 0o700);
    }
    module.enableCompileCache(`${caches}/hptd`);
  } catch {
    // Then not.
  }
}
