/**
 * One daemon a state directory. The lock is SQLite's on a database that holds nothing else: a lock of the file system, which
 * the kernel drops with the process that had it, however that ended. Node has none of its own. Main thread, at start.
 *
 * Nobody else in this process may open that file: POSIX drops a process's locks on a file when any descriptor of it is closed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Another daemon has the directory. */
export class StateTakenError extends Error {
  override readonly name = 'StateTakenError';
}

/** The directory cannot be made or written. */
export class StateUnusableError extends Error {
  override readonly name = 'StateUnusableError';
}

export interface StateLock {
  release(): void;
}

const SQLITE_BUSY = 5;

/** Throws StateTakenError, or what keeps the file from being made. */
export function lockDirectory(directory: string): StateLock {
  const holderFile = join(directory, 'holder.json');
  const database = new DatabaseSync(join(directory, 'lock.sqlite'));
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
    throw new StateTakenError(`${directory} is the state of another daemon${holder(holderFile)}`);
  }
  writeFileSync(holderFile, `${JSON.stringify({ pid: process.pid, since: new Date() })}\n`);
  return { release: () => database.close() };
}

/** Who said last that he has it; nothing depends on that. */
function holder(path: string): string {
  try {
    const { pid, since } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    return ` (process ${String(pid)}, since ${String(since)})`;
  } catch {
    return '';
  }
}
