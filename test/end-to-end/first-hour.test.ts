/** docs/first-hour.md held to its word: each line is run, in order, against one daemon, and what it prints is what is shown. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Running, shell, start } from './child.ts';
import { ROOT } from './fresh-tree.ts';

const FILE = 'docs/first-hour.md';
const PAGE = readFileSync(join(ROOT, FILE), 'utf8');
const DEFAULT_ADDRESS = '127.0.0.1:7808';

interface Step {
  readonly command: string;
  readonly shown: string;
}

/** What is behind each `$`, with what is shown below it. */
function stepsOf(page: string): Step[] {
  return [...page.matchAll(/^```console\n([^]*?)^```$/gm)].flatMap(([, block]) =>
    block!
      .split(/^\$ /m)
      .slice(1)
      .map((text) => {
        const end = text.indexOf('\n');
        return { command: text.slice(0, end), shown: text.slice(end + 1).trimEnd() };
      }),
  );
}

/** `…` is anything in its line; alone in a line, any lines. */
function patternOf(shown: string): RegExp {
  const lines = shown.split('\n').map((line) => {
    if (line === '…') return '(?:.*\n)*?';
    const parts = line.split('…').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    return `${parts.join('.*')}\n`;
  });
  return new RegExp(`^${lines.join('')}$`);
}

const [serve, ...steps] = stepsOf(PAGE);
let daemon: Running | undefined;
after(() => daemon?.end('SIGKILL'));

test('an ellipsis is what differs, and nothing else is', () => {
  assert.match('a 1 b\n', patternOf('a … b'));
  assert.doesNotMatch('a 1 c\n', patternOf('a … b'));
  assert.doesNotMatch('a\nb\n', patternOf('a…b'));
  assert.match('a\nx\ny\nb\n', patternOf('a\n…\nb'));
  assert.doesNotMatch('a\nx\n', patternOf('a'));
  assert.deepEqual(stepsOf('```console\n$ a b\nc\n$ d\n```\n'), [
    { command: 'a b', shown: 'c' },
    { command: 'd', shown: '' },
  ]);
});

test('the hour, line by line', async (context) => {
  if ((await shell('command -v curl', ROOT)).code !== 0) {
    context.skip('curl is not installed on this machine');
    return;
  }
  const [front, name, ...words] = serve!.command.split(' ');
  assert.deepEqual([front, name, words[0]], ['npx', 'hptd', 'serve']);
  daemon = start(
    process.execPath,
    ['src/cli/start.mjs', ...words, '--listen', '127.0.0.1:0'],
    ROOT,
  );
  const [said, address] = await daemon.printed(/hptd is ready at http:\/\/(127\.0\.0\.1:\d+)\n/);
  assert.match(said.replace(address!, DEFAULT_ADDRESS), patternOf(serve!.shown));

  assert.ok(steps.length > 20, 'an hour has more in it');
  for (const { command, shown } of steps) {
    const { code, out, err } = await shell(command.replaceAll(DEFAULT_ADDRESS, address!), ROOT, {
      HPTD_URL: `http://${address}`,
    });
    const all = `${out}${err}`;
    assert.match(all.endsWith('\n') ? all : `${all}\n`, patternOf(shown), command);
    assert.equal(code !== 0, shown.startsWith('hptd: '), `${command} ends with ${code}: ${err}`);
  }
  assert.equal(await daemon.end('SIGINT'), 0);
});

test('its links lead somewhere', () => {
  for (const [, target] of PAGE.matchAll(/\]\(([^)#]+)[^)]*\)/g))
    assert.ok(existsSync(join(ROOT, 'docs', target!)), `${target} is missing`);
});
