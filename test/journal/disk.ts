/** A disk that does what a test says: it fails, is full, or is slow. The files are real. */
import { open } from 'node:fs/promises';
import type { LogFile } from '../../src/state/journal/group-log.ts';

export interface Disk {
  readonly open: (path: string, flags: number) => Promise<LogFile>;
  /** What it answers from now on; undefined: it works. A full disk takes some bytes of a write before it refuses. */
  trouble: { readonly code: string; readonly at: 'write' | 'sync' | 'open' } | undefined;
  /** Syncs wait while it is closed. */
  closeGate(): void;
  openGate(): void;
  syncs: number;
}

export function openDisk(): Disk {
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  const disk: Disk = {
    open: openFile,
    trouble: undefined,
    syncs: 0,
    closeGate() {
      gate = Promise.withResolvers();
    },
    openGate: () => gate.resolve(),
  };

  function throwIf(at: 'write' | 'sync' | 'open'): void {
    if (disk.trouble?.at !== at) return;
    const { code } = disk.trouble;
    throw Object.assign(new Error(`${code}: the disk of this test`), { code });
  }

  async function openFile(path: string, flags: number): Promise<LogFile> {
    throwIf('open');
    const file = await open(path, flags);
    // The mark is no part of it.
    if (path.endsWith('-mark')) return file;
    let torn = false;
    return {
      async write(bytes, offset, length, at) {
        if (disk.trouble?.at !== 'write') torn = false;
        if (torn || length === 1) throwIf('write');
        torn = disk.trouble?.at === 'write';
        return file.write(bytes, offset, torn ? length >> 1 : length, at);
      },
      async datasync() {
        await gate.promise;
        throwIf('sync');
        disk.syncs++;
        await file.datasync();
      },
      truncate: (bytes) => file.truncate(bytes),
      close: () => file.close(),
    };
  }
  return disk;
}
