/**
 * The tests of locking and of death, tested: each engine with a mistake in it (variants.ts) must be caught by the test
 * that is there for it, with the complaint that fits.
 *
 * HPTD_VARIANTS=all runs every suite whole on every variant instead, and tells which ones notice (many minutes).
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { compileVariant } from '../../load/engine-variant.ts';
import { environment } from '../end-to-end/child.ts';
import { ROOT } from '../end-to-end/fresh-tree.ts';
import { SUITES, VARIANTS } from './variants.ts';
import type { Variant } from './variants.ts';

const LIMIT_MILLIS = 60_000;
const LIMIT_MILLIS_ALL = 20 * 60_000;
const SHOWN_LINES = 12;
const everything = process.env.HPTD_VARIANTS === 'all';
const folder = await mkdtemp(join(tmpdir(), 'hptd-variants-'));
after(() => rm(folder, { recursive: true }));

interface Verdict {
  readonly failed: boolean;
  /** It had to be ended. */
  readonly hung: boolean;
  readonly output: string;
}

/** Compiled fast rather than well: what is wanted of it is that it is wrong. */
async function build({
  name,
  substitutions,
}: Pick<Variant, 'name' | 'substitutions'>): Promise<string> {
  const file = join(folder, `${name.replaceAll(/\W+/g, '-')}.wasm`);
  await writeFile(file, await compileVariant('yield', substitutions, ['--optimizeLevel', '0']));
  return file;
}

/** Runs a suite, or one test of it, on an engine. Schedules are the same in every run. */
function run(
  engine: string,
  suite: string,
  only: string | undefined,
  millis: number,
): Promise<Verdict> {
  const pattern = only === undefined ? [] : ['--test-name-pattern', `^${RegExp.escape(only)}$`];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...pattern, suite],
      {
        cwd: ROOT,
        env: environment({ HPTD_YIELD_ENGINE: engine, HPTD_SEED: '1' }),
        timeout: millis,
        maxBuffer: 2 ** 26,
      },
      (error, out, err) =>
        resolve({ failed: error !== null, hung: error?.killed === true, output: out + err }),
    );
  });
}

/** The complaint and what follows it, up to where in the code it was made. */
function shown(output: string, complaint: RegExp): string {
  const lines = output.split('\n').map((line) => line.trimEnd());
  const at = lines.findIndex((line) => complaint.test(line));
  const rest = lines.slice(at, at + SHOWN_LINES);
  const end = rest.findIndex((line) => /^ +at /.test(line));
  return rest
    .slice(0, end < 0 ? undefined : end)
    .join('\n')
    .trimEnd();
}

describe('an engine with a mistake in it', {
  skip: everything,
  concurrency: availableParallelism(),
}, () => {
  for (const variant of VARIANTS) {
    test(`${variant.name}: ${variant.suite}, "${variant.test}" fails`, async (context) => {
      const { suite, test: only, complaint } = variant;
      const verdict = await run(await build(variant), SUITES[suite], only, LIMIT_MILLIS);
      assert.ok(!verdict.hung, `no end in ${LIMIT_MILLIS} ms\n${verdict.output}`);
      assert.ok(verdict.failed, `nobody notices that ${variant.why}\n${verdict.output}`);
      assert.match(verdict.output, complaint);
      context.diagnostic(shown(verdict.output, complaint));
    });
  }

  test('an engine without one, compiled as they are, passes', async () => {
    const engine = await build({ name: 'none', substitutions: [] });
    for (const suite of ['interleavings', 'death'] as const) {
      const { test: only } = VARIANTS.find((row) => row.suite === suite)!;
      const { failed, output } = await run(engine, SUITES[suite], only, LIMIT_MILLIS);
      assert.ok(!failed, output);
      assert.match(output, /^ℹ pass 1$/m);
    }
  });
});

describe('every suite on every engine with a mistake', { skip: !everything }, () => {
  for (const variant of VARIANTS) {
    test(variant.name, async (context) => {
      const engine = await build(variant);
      const noticed: string[] = [];
      for (const [name, file] of Object.entries(SUITES)) {
        const { failed, hung } = await run(engine, file, undefined, LIMIT_MILLIS_ALL);
        context.diagnostic(`${name}: ${hung ? 'no end' : failed ? 'fails' : 'notices nothing'}`);
        if (failed) noticed.push(name);
      }
      assert.ok(noticed.includes(variant.suite), `noticed by ${noticed.join(', ') || 'nobody'}`);
    });
  }
});
