/** `hptd help COMMAND`: every command has a page, and what the page says is so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const FRONT_DOOR = fileURLToPath(new URL('../../src/cli/hptd.ts', import.meta.url));

function hptd(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [FRONT_DOOR, ...words], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { code: status, out: stdout, err: stderr };
}

const commands = hptd('help')
  .out.split('\n')
  .flatMap((line) => /^ {2}(\w+) {2,}\S/.exec(line)?.[1] ?? []);

/** Made once: each costs a process. */
const pages = new Map(commands.map((command) => [command, hptd('help', command)]));

test('there are commands, and each has a page with every heading that it needs', () => {
  assert.ok(commands.length >= 10);
  for (const command of commands) {
    const { code, out, err } = pages.get(command)!;
    assert.deepEqual([code, err], [0, ''], command);
    const titles = [...out.matchAll(/^[A-Z][A-Z ]+$/gm)].map(([title]) => title);
    const wanted = ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT STATUS', 'EXAMPLES'];
    assert.deepEqual(
      titles.filter((title) => title !== 'OPTIONS'),
      wanted,
      command,
    );
    assert.equal(
      titles.includes('OPTIONS'),
      / --/.test(out),
      `${command} has options in another place`,
    );
    assert.match(out, new RegExp(`^NAME\n    hptd ${command} - .`));
    assert.match(
      out,
      new RegExp(`\n    hptd ${command}\\b.*\n$|EXAMPLES\n[^]*\n?    hptd ${command}\\b`),
    );
  }
});

test('the page is the same with --help behind the command', () => {
  for (const command of ['create', 'replay'])
    assert.equal(hptd(command, '--help').out, pages.get(command)!.out);
});

test('every option in a synopsis is explained below it', () => {
  for (const [command, { out }] of pages) {
    const [, synopsis = ''] = /SYNOPSIS\n(.*)\n/.exec(out) ?? [];
    for (const [flag] of synopsis.matchAll(/--[a-z-]+/g))
      assert.match(out, new RegExp(`^    (${flag}|.*\\[${flag}\\])`, 'm'), `${command} ${flag}`);
  }
});

const MISSPELT: [words: string[], meant: string][] = [
  [['relpay'], 'replay'],
  [['help', 'creat'], 'create'],
  [['help', 'H_RAED'], 'H_READ'],
  [['guests', '--jsn'], '--json'],
  [['serve', '--lisen', 'x'], '--listen'],
  [['call', 'g', 'H_READ', 'ptx=1'], 'ptex'],
  [['create', 'g', 'ordr=18'], 'order'],
  [['token', 'crete', 'x', '--access-file', 'x'], 'create'],
  [['completion', 'bsh'], 'bash'],
];

test('what is nearly right is guessed, wherever it stands', () => {
  for (const [words, meant] of MISSPELT) {
    const { code, err } = hptd(...words);
    assert.equal(code, 64, err);
    assert.ok(err.includes(`did you mean ${meant}?`), `${words.join(' ')}: ${err}`);
  }
});
