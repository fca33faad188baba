/** Runs spin on the model of docs/protocol, in a temporary folder, and reads what it found. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Variant } from './variants.ts';

export const PROTOCOL = fileURLToPath(new URL('../../docs/protocol/', import.meta.url));
export const MODEL = join(PROTOCOL, 'protocol.pml');

/** For one program. Each takes about a second, but a machine may be busy. */
const RUN_MILLIS = 60_000;
const INSTALL_MILLIS = 60_000;
/** Deeper than any path of any variant; spin says so if it is not. */
const DEPTH_MAX = 100_000;
const PACKAGES = ['spin', 'gcc', 'libc6-dev'];
const HOW = `needs spin and gcc: apt-get install --no-install-recommends ${PACKAGES.join(' ')}`;

const execute = promisify(execFile);

export interface Finding {
  readonly errors: number;
  readonly states: number;
  /** Spin's lines about an error, and on what it never reached. */
  readonly report: string;
  /** The steps of the shortest way to the error, as printed by SAY in checks.pml. */
  readonly steps: readonly string[];
  readonly seconds: number;
}

/** Undefined: the tools are there, or are now; else what to install. */
export async function missingTools(): Promise<string | undefined> {
  if (await toolsWork()) return undefined;
  if (process.getuid?.() !== 0 || !(await runs('apt-get', ['--version']))) return HOW;
  const quiet = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { timeout: INSTALL_MILLIS, env: quiet };
  try {
    await execute('apt-get', ['update', '-qq'], options);
    const install = ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES];
    await execute('apt-get', install, options);
  } catch (error) {
    return `${HOW} (tried, as root: ${String(error).split('\n')[0]})`;
  }
  return (await toolsWork()) ? undefined : HOW;
}

/** Compiles something that needs the C library's headers, too: gcc may be there without them. */
async function toolsWork(): Promise<boolean> {
  const headers = ['-fsyntax-only', '-include', 'stdio.h', '-x', 'c', '/dev/null'];
  return (await runs('spin', ['-V'])) && runs('gcc', headers);
}

async function runs(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await execute(program, args, { timeout: RUN_MILLIS });
    return true;
  } catch {
    return false;
  }
}

export async function spinVersion(): Promise<string> {
  const { stdout } = await execute('spin', ['-V']);
  return /Version (\S+)/.exec(stdout)?.[1] ?? stdout.trim();
}

/** Searches all states of a sound variant, or those up to the first error of a broken one. */
export async function verify(variant: Variant): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-protocol-'));
  const options = { cwd: folder, timeout: RUN_MILLIS, maxBuffer: 1 << 24 };
  const flags = variant.flags.map((flag) => `-D${flag}`);
  const begin = performance.now();
  try {
    await execute('spin', [...flags, '-a', MODEL], options);
    // Breadth first gives the shortest counterexample, which is the one to draw.
    const search = variant.error === undefined ? [] : ['-DBFS'];
    // Not optimized: the compiler would take longer than the search saves.
    const cc = ['-O0', '-w', '-DSAFETY', ...search, '-o', 'pan', 'pan.c'];
    await execute('gcc', cc, options);
    const { stdout } = await execute(join(folder, 'pan'), [`-m${DEPTH_MAX}`], options);
    const seconds = (performance.now() - begin) / 1000;
    const trail = join(folder, 'protocol.pml.trail');
    const replay = ['-T', '-k', trail, ...flags, MODEL];
    const steps = existsSync(trail) ? (await execute('spin', replay, options)).stdout : '';
    return {
      errors: Number(/errors: (\d+)/.exec(stdout)?.[1] ?? Number.NaN),
      states: Number(/(\d+) states, stored/.exec(stdout)?.[1] ?? Number.NaN),
      report: stdout,
      steps: steps.split('\n').filter((line) => line.startsWith('STEP ')),
      seconds,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
