/**
 * The yardstick: the cost floor of an insert/remove pair in plain C, kept outside the project in the folder that
 * hptd's developers share. Measured in the same run as the engine, because only a ratio outlives the machine.
 */
import { execFile } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCE = fileURLToPath(new URL('../../shared/tools/yardstick.c', import.meta.url));
const execute = promisify(execFile);

export interface Yardstick {
  /** Nanoseconds per hcall as one of `threads` sees it, on a table of 2^order bytes. */
  run(threads: number, seconds: number, order: number): Promise<number>;
  /** Removes the program. */
  close(): Promise<void>;
}

/** Undefined, and why in `complain`: no source here, or no C compiler. */
export async function openYardstick(
  complain: (why: string) => void,
): Promise<Yardstick | undefined> {
  try {
    await access(SOURCE);
  } catch {
    complain('no yardstick: ../shared/tools/yardstick.c is not here, so ratios are left out');
    return undefined;
  }
  const folder = await mkdtemp(join(tmpdir(), 'hptd-yardstick-'));
  const close = () => rm(folder, { recursive: true, force: true });
  const program = join(folder, 'yardstick');
  try {
    await execute('cc', ['-O2', '-pthread', SOURCE, '-o', program]);
  } catch (error) {
    await close();
    complain(`no yardstick: it did not compile (${firstLine(error)}), so ratios are left out`);
    return undefined;
  }
  return {
    close,
    async run(threads, seconds, order) {
      const { stdout } = await execute(program, [`${threads}`, `${seconds}`, `${order}`]);
      return Number(/ns\/hcall=([\d.]+)/.exec(stdout)?.[1]);
    },
  };
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!;
}
