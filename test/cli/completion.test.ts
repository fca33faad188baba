/** Completion scripts in the shells they are for; a shell that is not installed is skipped. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HCALLS, OPERATIONS } from '../../schemas/operations.ts';
import { type Shell, SHELLS } from '../../src/cli/completion.ts';

const FRONT_DOOR = fileURLToPath(new URL('../../src/cli/hptd.ts', import.meta.url));
const hptd = (...words: string[]): string =>
  execFileSync(process.execPath, [FRONT_DOOR, ...words], { encoding: 'utf8' });

const folder = mkdtempSync(join(tmpdir(), 'hptd-completion-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const scripts = Object.fromEntries(
  SHELLS.map((shell) => {
    const path = join(folder, `hptd.${shell}`);
    writeFileSync(path, hptd('completion', shell));
    return [shell, path];
  }),
) as Record<Shell, string>;

function whyNot(shell: Shell): string | false {
  return spawnSync(shell, ['--version']).status === 0 ? false : `${shell} is not installed`;
}

/** What bash offers for the last of the words, which it has split as readline does: at `=` too. */
function inBash(...words: string[]): string[] {
  const program = `source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hptd; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = execFileSync('bash', ['--norc', '-c', program, 'bash', scripts.bash, ...words], {
    encoding: 'utf8',
    cwd: folder,
  });
  return out.split('\n').filter((line) => line !== '');
}

const commands = hptd('help')
  .split('\n')
  .flatMap((line) => /^ {2}(\w+) {2,}\S/.exec(line)?.[1] ?? []);

test('bash completes commands, options, hcalls, arguments, properties and files', () => {
  assert.deepEqual(inBash('hptd', '').toSorted(), commands.toSorted());
  assert.deepEqual(inBash('hptd', 'rep'), ['replay']);
  assert.deepEqual(inBash('hptd', 'call', 'g', 'H_EN'), ['H_ENTER']);
  assert.deepEqual(
    inBash('hptd', 'call', 'g', '').toSorted(),
    OPERATIONS.map(({ name }) => name).toSorted(),
  );
  assert.deepEqual(inBash('hptd', 'call', 'g', 'H_ENTER', 'pte'), ['ptex=', 'pteh=', 'ptel=']);
  assert.deepEqual(inBash('hptd', 'call', 'g', 'H_ENTER', 'ptex', '=', '1', 'ptel'), ['ptel=']);
  assert.deepEqual(inBash('hptd', 'call', '--url', 'x', 'g', 'H_ENTE'), ['H_ENTER']);
  assert.deepEqual(inBash('hptd', 'call', '--json', 'g', 'H_ENTE'), ['H_ENTER']);
  assert.deepEqual(inBash('hptd', 'create', 'g', 'ram'), ['ramBytes=']);
  assert.deepEqual(inBash('hptd', 'create', 'g', 'order', '=', '18', 'hostP'), ['hostPageBytes=']);
  assert.deepEqual(inBash('hptd', 'token', 'rev'), ['revoke']);
  assert.deepEqual(inBash('hptd', 'completion', 'f'), ['fish']);
  assert.deepEqual(inBash('hptd', 'serve', '--print'), ['--print-config']);
  assert.deepEqual(inBash('hptd', 'replay', 'hptd.b'), ['hptd.bash']);
  assert.deepEqual(inBash('hptd', 'replay', 'x', 'hptd.z'), ['hptd.zsh']);
  assert.deepEqual(inBash('hptd', 'help', 'H_BULK'), ['H_BULK_REMOVE']);
  assert.deepEqual(inBash('hptd', 'group', ''), []);
  assert.deepEqual(inBash('hptd', 'nonsense', ''), []);
});

test('every option that completion offers is one that its command takes', () => {
  // Each with its value, and one at the end that none takes: the first that is not taken is complained of.
  for (const command of commands.filter((name) => name !== 'help')) {
    const page = hptd('help', command);
    const words = inBash('hptd', command, '--')
      .filter((flag) => flag !== '--help')
      .flatMap((flag) => (new RegExp(`^    ${flag} [A-Z]`, 'm').test(page) ? [flag, 'x'] : [flag]));
    const { stderr } = spawnSync(
      process.execPath,
      [FRONT_DOOR, command, ...words, '--no-such-option'],
      { encoding: 'utf8' },
    );
    assert.match(stderr, /option "--no-such-option" is not known/, `${command} ${words.join(' ')}`);
  }
});

test('fish completes the same', { skip: whyNot('fish') }, () => {
  const inFish = (line: string): string[] =>
    execFileSync(
      'fish',
      ['--no-config', '-c', `source ${scripts.fish}; complete -C ${JSON.stringify(line)}`],
      {
        encoding: 'utf8',
        env: { ...process.env, HOME: folder },
      },
    )
      .split('\n')
      .flatMap((text) => text.split('\t')[0] || []);
  assert.deepEqual(inFish('hptd ').toSorted(), commands.toSorted());
  assert.deepEqual(inFish('hptd call g H_ENTE'), ['H_ENTER']);
  assert.ok(inFish('hptd call g H_ENTER pte').includes('pteh='));
  assert.deepEqual(inFish('hptd serve --print'), ['--print-config']);
});

test('zsh completes the same', { skip: whyNot('zsh') }, () => {
  const inZsh = (...words: string[]): string[] => {
    const program = `compdef() { : }; compadd() { while [[ $1 == -* ]]; do [[ $1 == -S ]] && shift; [[ $1 == -- ]] && { shift; break }; shift; done; print -rl -- "$@" }
_describe() { print -rl -- "\${(@)\${(@P)2}%%:*}" }; _files() { print files }
source $1; shift; words=("$@"); CURRENT=$#; _hptd`;
    const out = execFileSync('zsh', ['-f', '-c', program, 'zsh', scripts.zsh, ...words], {
      encoding: 'utf8',
    });
    return out.split('\n').filter((line) => line !== '');
  };
  assert.deepEqual(inZsh('hptd', '').toSorted(), commands.toSorted());
  assert.deepEqual(
    inZsh('hptd', 'call', 'g', '').toSorted(),
    OPERATIONS.map(({ name }) => name).toSorted(),
  );
  assert.deepEqual(
    inZsh('hptd', 'call', '--url', 'x', 'g', 'H_READ', ''),
    HCALLS.find(({ name }) => name === 'H_READ')!.arguments.map(({ name }) => `${name}=`),
  );
  assert.deepEqual(inZsh('hptd', 'replay', ''), ['files']);
});
