/**
 * What could hold the journal's groups: plain files as hptd writes them (append, checksum, fdatasync), and SQLite's write-ahead log
 * with synchronous=FULL. One group after the other, each on disk before the next.
 */
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { sealGroup } from '../../src/state/journal/format.ts';

export const STORES = ['file', 'sqlite'] as const;
export type Store = (typeof STORES)[number];

export interface StoreSample {
  readonly groupsPerSecond: number;
  readonly mebibytesPerSecond: number;
  /** Microseconds a group. */
  readonly p50: number;
  readonly p99: number;
}

/** A file begins anew, and SQLite's rows are deleted, when there is so much. */
const BYTES_MAX = 512 * 1024 * 1024;
const MEBIBYTE = 2 ** 20;

export async function measureStore(
  store: Store,
  directory: string,
  groupBytes: number,
  seconds: number,
): Promise<StoreSample> {
  const latencyNanos = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  const group = Buffer.alloc(groupBytes, 7);
  const put = store === 'file' ? await openFileStore(directory) : openSqlite(directory);
  const begun = performance.now();
  let [groups, now] = [0, begun];
  while (now < begun + seconds * 1000) {
    await put.group(group, groups);
    groups++;
    now = noteSince(latencyNanos, now);
  }
  await put.close();
  const groupsPerSecond = groups / ((now - begun) / 1000);
  return {
    groupsPerSecond,
    mebibytesPerSecond: (groupsPerSecond * groupBytes) / MEBIBYTE,
    p50: latencyNanos.percentile(50) / 1000,
    p99: latencyNanos.percentile(99) / 1000,
  };
}

function noteSince(latencyNanos: RecordableHistogram, then: number): number {
  const now = performance.now();
  latencyNanos.record(Math.max(1, Math.round((now - then) * 1e6)));
  return now;
}

interface Put {
  group(bytes: Buffer, number: number): Promise<void>;
  close(): Promise<void>;
}

async function openFileStore(directory: string): Promise<Put> {
  const path = join(directory, 'groups');
  const file = await open(path, 'w');
  let at = 0;
  return {
    async group(bytes, number) {
      sealGroup(bytes, 1, number);
      await file.write(bytes, 0, bytes.byteLength, at);
      await file.datasync();
      at = (at + bytes.byteLength) % BYTES_MAX;
    },
    async close() {
      await file.close();
      await rm(path);
    },
  };
}

/** In the thread that measures: in a thread of its own, as a daemon would have it, each group had two messages more. */
function openSqlite(directory: string): Put {
  const path = join(directory, 'groups.sqlite');
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec('CREATE TABLE groups (number INTEGER PRIMARY KEY, bytes BLOB)');
  const insert = database.prepare('INSERT INTO groups VALUES (?, ?)');
  let length = 0;
  return {
    async group(bytes, number) {
      insert.run(number, bytes);
      length += bytes.byteLength;
      if (length > BYTES_MAX) database.exec('DELETE FROM groups');
      length %= BYTES_MAX;
    },
    async close() {
      database.close();
      await Promise.all(['', '-wal', '-shm'].map((end) => rm(path + end, { force: true })));
    },
  };
}
