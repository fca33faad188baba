/**
 * The access file as the daemon uses it: read at start, and again when it changes or on SIGHUP, without a restart.
 * A file that cannot be read leaves what was in force, and says so. Main thread.
 */
import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from 'pino';
import { ACCESS_LOOK_MILLIS } from '../../schemas/limits.ts';
import { AccessFileError, isCurrent, readAccessFile } from './access-file.ts';
import type { AccessList, Holder } from './access-file.ts';

export interface Access {
  list(): AccessList;
  /** Whether it is still in the file as it was, and not out of date. */
  isInForce(holder: Holder): boolean;
  reload(): void;
  /** After each change, for who keeps something open. */
  onChange(listener: () => void): void;
  close(): void;
}

export function watchAccess(path: string, initial: AccessList, log: Logger): Access {
  const listeners: (() => void)[] = [];
  let list = initial;
  const reload = (): void => {
    const before = list;
    try {
      list = readAccessFile(path);
    } catch (error) {
      if (!(error instanceof AccessFileError)) throw error;
      log.error(
        { err: error },
        'the access file cannot be used: what it said before stays in force',
      );
      return;
    }
    log.info(
      { audit: true, holders: list.byName.size, ...changes(before, list) },
      'the access file was read again',
    );
    for (const listener of listeners) listener();
  };
  // By looking: a file that is replaced, as editors and `hptd token` do it, is lost to a watch on the old one.
  watchFile(path, { interval: ACCESS_LOOK_MILLIS, persistent: false }, reload);
  return {
    list: () => list,
    isInForce(holder) {
      const now = list.byName.get(holder.name);
      return (
        now !== undefined &&
        isCurrent(now) &&
        now.commonName === holder.commonName &&
        (now.digest === holder.digest ||
          (now.digest !== undefined && holder.digest?.equals(now.digest) === true)) &&
        String(now.scopes) === String(holder.scopes)
      );
    },
    reload,
    onChange: (listener) => void listeners.push(listener),
    close: () => unwatchFile(path, reload),
  };
}

/** Names of holders who came, who went, and whose token, certificate, scopes or time are other ones. */
function changes(before: AccessList, now: AccessList) {
  const names = [...now.byName.keys()];
  const text = (holder: Holder | undefined): string =>
    JSON.stringify(holder, (key, value: unknown) =>
      key === 'digest' ? holder?.digest?.toString('hex') : value,
    );
  return {
    added: names.filter((name) => !before.byName.has(name)),
    removed: [...before.byName.keys()].filter((name) => !now.byName.has(name)),
    changed: names.filter(
      (name) =>
        before.byName.has(name) && text(before.byName.get(name)) !== text(now.byName.get(name)),
    ),
  };
}
