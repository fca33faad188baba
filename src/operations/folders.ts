/** Folders that the daemon makes for itself. At start; blocks. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** For its owner alone. */
const MODE = 0o700;

/**
 * Makes a folder, and what it is in, if it is not there. Throws what mkdir says.
 *
 * Node's own way (`recursive`) never returns where a folder takes no others and says ENOENT, as /proc does: it makes the
 * folder around it again and again.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, MODE);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    makeFolder(dirname(path));
    mkdirSync(path, MODE);
  }
}
