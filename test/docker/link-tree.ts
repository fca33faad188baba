/** A folder once more, made of hard links: what a fresh clone or an image would hold, in a second and without space. */
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What npm writes again in place, and would write into the project through a link. */
const REWRITTEN = '.package-lock.json';

/** A copy that costs no space where links are possible. Nothing in it may be written in place. */
export function linkTree(source: string, target: string): void {
  const facts = lstatSync(source);
  mkdirSync(dirname(target), { recursive: true });
  if (facts.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
  else if (facts.isDirectory()) {
    if (!existsSync(target)) mkdirSync(target);
    chmodSync(target, 0o755);
    for (const name of readdirSync(source)) linkTree(join(source, name), join(target, name));
  } else if (basename(source) === REWRITTEN || !link(source, target)) {
    cpSync(source, target);
  }
}

function link(source: string, target: string): boolean {
  try {
    linkSync(source, target);
    return true;
  } catch (error) {
    // The temporary folder is on another disk, or the file has links enough.
    if (['EXDEV', 'EMLINK', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  }
}
