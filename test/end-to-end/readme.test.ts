/** README.md held to its word: each command in it is run, each link leads somewhere, and CI runs what it says. */
import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { node, type Outcome, type Running, shell, start } from './child.ts';
import { ROOT } from './fresh-tree.ts';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const DEFAULT_ADDRESS = '127.0.0.1:7808';

/** Every fenced block, with its language. */
const blocks = [...README.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language, text]) => ({
  language: language!,
  text: text!,
}));
const [first, second, ...tour] = blocks.map(({ text }) => text.trim().split('\n'));

/** What must be in the answer of a command of the tour, in their order. */
const ANSWERS: readonly RegExp[] = [
  /"name":"g".*"order":24/,
  /"status":"H_SUCCESS","code":0,"ptex":"0x190b8"/,
  /"group":"0x3217".*"occupied":1/,
  /"occupied":1/,
  /"state":"paused"/,
  /"state":"running"/,
  /"number":1/,
  /"page":"away"/,
  /"state":"(preparing|ready)","order":22/,
  /^$/,
  /H_ENTER answers H_PTEG_FULL \(-6\)\n {2}.*because .*\n/,
  /H_REMOVE answers H_NOT_FOUND \(-7\)\n {2}.*because .*\n/,
  /group 0x3217 of a table of order 24: 1 of 8 slots occupied\n/,
  /02-boot-p8-64k .* 78,797 +0 +0 +same /,
  /g is deleted\n/,
];

let daemon: Running;
let address: string;

before(async () => {
  daemon = start(
    process.execPath,
    ['src/cli/start.mjs', 'serve', '--listen', '127.0.0.1:0', '--log-level', 'warn'],
    ROOT,
  );
  [, address] = (await daemon.printed(/ready at http:\/\/(127\.0\.0\.1:\d+)/)) as unknown as [
    string,
    string,
  ];
});
after(() => daemon?.end('SIGTERM'));

test('the first command installs and starts, the second tests: both are scripts of the package', async () => {
  assert.deepEqual(first, ['npm ci && npm start']);
  assert.deepEqual(second, ['npm ci && npm test']);
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  assert.match(scripts['start']!, /node src\/cli\/start\.mjs demo$/);
  assert.match(scripts['prepare']!, /build/);
  assert.ok(
    scripts['test']!.includes('npm run check') && scripts['test']!.includes('test/**/*.test.ts'),
  );
});

test('CI runs the second command, word for word', async () => {
  const script = join(ROOT, '.ci/run');
  accessSync(script, constants.X_OK);
  const commands = readFileSync(script, 'utf8').trim().split('\n');
  assert.equal(commands.at(-1), second![0]);
  assert.equal((await shell(`bash -n '${script}'`, ROOT)).code, 0);
});

test('each block says what it is', () => {
  for (const { language, text } of blocks) assert.equal(language, 'sh', text);
});

test('each command of the tour runs and answers', async (context) => {
  const commands = tour.flat();
  assert.equal(
    commands.length,
    ANSWERS.length,
    'a command was added or taken away: give its answer here',
  );
  const hasCurl = (await shell('command -v curl', ROOT)).code === 0;
  if (!hasCurl) {
    context.skip('curl is not installed on this machine');
    return;
  }
  for (const [i, command] of commands.entries()) {
    const outcome: Outcome = await shell(command.replaceAll(DEFAULT_ADDRESS, address), ROOT, {
      HPTD_URL: `http://${address}`,
    });
    assert.equal(outcome.code, 0, `${command}\n${outcome.err}`);
    assert.match(outcome.out, ANSWERS[i]!, command);
  }
});

test('the table has every command that help has, and no other', async () => {
  const listed = [...README.matchAll(/^\| `hptd (\w+)/gm)].map(([, name]) => name!);
  const { out } = await node(['src/cli/start.mjs', 'help'], ROOT);
  const known = [...out.matchAll(/^ {2}(\w+) {2,}\S/gm)].map(([, name]) => name!);
  assert.deepEqual(listed.toSorted(), known.toSorted());
});

for (const file of ['README.md', 'CHANGELOG.md', 'samples/README.md']) {
  test(`the links of ${file} lead somewhere`, () => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      assert.ok(existsSync(join(ROOT, file, '..', target!)), `${target} is missing`);
    }
  });
}

test('the version of the changelog is the one of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  assert.match(
    readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'),
    new RegExp(`^## ${version.replaceAll('.', '\\.')}\\b`, 'm'),
  );
});
