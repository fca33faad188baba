/** Small traces made by tests, as files; and the recorded ones, where they are at hand. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

export type TraceLine = Record<string, unknown>;

export const HEADER: TraceLine = {
  format: 'hpt-trace/1',
  name: 'made by a test',
  htabOrder: 18,
  ramBytes: 64 * 1024 * 1024,
  vcpus: 1,
  ordered: true,
};

export function traceText(events: readonly TraceLine[], header: TraceLine = {}): string {
  return [{ ...HEADER, ...header }, ...events].map((line) => `${JSON.stringify(line)}\n`).join('');
}

export interface TraceFolder {
  /** Writes a file and gives its path; a string is gzip'd, a buffer goes as it is. */
  write(name: string, content: string | Buffer): string;
  remove(): void;
}

export function traceFolder(): TraceFolder {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-test-'));
  return {
    write: (name, content) => {
      const path = join(folder, name);
      writeFileSync(path, typeof content === 'string' ? gzipSync(content) : content);
      return path;
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

const SHARED = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** The recorded files of `traces` or `vectors`; empty, with one line on standard error, where they are missing. */
export function recorded(folder: 'traces' | 'vectors'): string[] {
  const path = join(SHARED, folder);
  if (!existsSync(path)) {
    process.stderr.write(
      `the folder shared/${folder} beside the repository is missing: recorded files are not tested\n`,
    );
    return [];
  }
  return readdirSync(path)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .sort()
    .map((name) => join(path, name));
}
