/**
 * `hptd replay` over everything recorded, with one, two and four processors; and the proof that it would notice: with one
 * rule of the engine broken it must fail and show where.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { node } from './child.ts';
import { freshTree, prepare, ROOT, whyNoFreshTree } from './fresh-tree.ts';

const SHARED = join(ROOT, '../shared');
const SAMPLE = 'samples/boot-p8-64k.jsonl.gz';
/** Ten times as long as all others together: once is enough. */
const LONGEST = '08-pressure';

function recordings(): string[] {
  return ['traces', 'vectors'].flatMap((folder) =>
    readdirSync(join(SHARED, folder))
      .filter((name) => name.endsWith('.jsonl.gz'))
      .toSorted()
      .map((name) => join(SHARED, folder, name)),
  );
}

interface Report {
  readonly file: string;
  readonly hcalls: number;
  readonly mismatches: number;
  readonly tableMatches: boolean | null;
}

async function replay(files: readonly string[], processors: number): Promise<Report[]> {
  const words = [
    'src/cli/start.mjs',
    'replay',
    ...files,
    '--json',
    '--processors',
    String(processors),
  ];
  const { code, out, err } = await node(words, ROOT);
  assert.equal(code, 0, err);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Report);
}

const missing = ['traces', 'vectors'].find((folder) => !existsSync(join(SHARED, folder)));
const skip =
  missing === undefined
    ? false
    : `the folder shared/${missing} beside the repository is missing: recorded guests are not replayed`;

for (const processors of [1, 2, 4]) {
  test(`every recording matches with ${processors} processors`, { skip }, async (context) => {
    const files = recordings().filter((file) => processors === 2 || !file.includes(LONGEST));
    const reports = await replay(files, processors);
    assert.deepEqual(
      reports.map(({ file }) => file),
      files,
    );
    for (const report of reports) {
      assert.deepEqual([report.mismatches, report.tableMatches], [0, true], JSON.stringify(report));
    }
    const hcalls = reports.reduce((sum, report) => sum + report.hcalls, 0);
    context.diagnostic(`${reports.length} files, ${hcalls} hcalls, no mismatch`);
  });
}

test('the sample matches with any number of processors', async () => {
  for (const processors of [1, 2, 4]) {
    const [report] = await replay([SAMPLE], processors);
    assert.deepEqual([report!.hcalls, report!.mismatches, report!.tableMatches], [78_797, 0, true]);
  }
});

const RULE = 'setGuestRpte(ptex, (guestRpte(ptex) & ~HPTE_R_PROTECTION) | bits);';

test('an engine that forgets one rule fails the replay, which names the first mismatch', {
  skip: whyNoFreshTree() ?? false,
}, async () => {
  const tree = freshTree();
  try {
    const path = join(tree.path, 'src/engine/hcalls/protect.ts');
    const source = readFileSync(path, 'utf8');
    assert.ok(
      source.includes(RULE),
      'the rule that this test breaks is written differently now: follow it',
    );
    writeFileSync(path, source.replace(RULE, 'bits;'));
    prepare(tree.path);
    const { code, out, err } = await node(
      ['src/cli/start.mjs', 'replay', SAMPLE, '--json'],
      tree.path,
    );
    assert.equal(code, 1, err);
    const report = JSON.parse(out) as Report;
    assert.ok(report.mismatches > 0);
    assert.equal(report.tableMatches, false);
    // The first line of what it says: where, which call, with which arguments; the next, what is wrong.
    assert.match(
      err,
      /^samples\/boot-p8-64k\.jsonl\.gz line \d+: H_\w+ .*ptex=0x[0-9a-f]+.*\n {2}(status|pte[hl]\d?) .* instead of /,
    );
  } finally {
    tree.remove();
  }
});
