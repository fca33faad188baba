/**
 * docs/first-hour.md held to its word: each line is run, in order, against the daemons it starts, and what it prints is
 * what is shown. What is typed in a terminal with a number goes on, until a later block of that terminal has `^C`, or the `Killed`
 * that a shell says when something else has ended it.
 * Ports and the folder for files are others than on the page, so that nothing of the machine is in the way. After the first
 * line `npx hptd` goes without npx, whose start costs as much as all the rest.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Running, shell, start } from './child.ts';
import { ROOT } from './fresh-tree.ts';

const FILE = 'docs/first-hour.md';
const PAGE = readFileSync(join(ROOT, FILE), 'utf8');
const DEFAULT_ADDRESS = '127.0.0.1:7808';
/** Some fifty commands, each a process, on a machine that may be busy. */
const HOUR_MILLIS = 900_000;
const READY = /hptd is ready at http:\/\/(127\.0\.0\.1:\d+)\n/;

interface Step {
  /** Undefined: the one where each command ends before the next. */
  readonly terminal: string | undefined;
  readonly command: string;
  readonly shown: string;
}

/** What is behind each `$`, and each `^C` and `Killed`, with what is shown below it. */
function stepsOf(page: string): Step[] {
  return [...page.matchAll(/^```console(?: (\S+))?\n([^]*?)^```$/gm)].flatMap(
    ([, terminal, block]) =>
      block!
        .split(/^\$ |^(?=(?:\^C|Killed)$)/m)
        .filter((text) => text !== '')
        .map((text) => {
          const end = text.indexOf('\n');
          return { terminal, command: text.slice(0, end), shown: text.slice(end + 1).trimEnd() };
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

/** Addresses and the folder, from how the page has them to how they are here, and back. */
const places = new Map<string, string>();
const here = (text: string): string =>
  [...places].reduce((known, [page, real]) => known.replaceAll(page, real), text);
const onPage = (text: string): string =>
  [...places].reduce((known, [page, real]) => known.replaceAll(real, page), text);

const running = new Map<string, { readonly child: Running; seen: number }>();
after(() => Promise.all([...running.values()].map(({ child }) => child.end('SIGKILL'))));

/** Starts what goes on, and waits until it has printed what is shown. */
async function begin(terminal: string, command: string, shown: string): Promise<void> {
  assert.ok(!running.has(terminal), `something goes on in ${terminal} already`);
  const [front, name, ...words] = here(command).split(' ');
  assert.deepEqual([front, name], ['npx', 'hptd']);
  const serves = words[0] === 'serve';
  const at = words.indexOf('--listen') + 1;
  const address = at === 0 ? DEFAULT_ADDRESS : words[at]!;
  if (serves) words.splice(at === 0 ? words.length : at - 1, at === 0 ? 0 : 2);
  const listen = serves ? ['--listen', '127.0.0.1:0'] : [];
  const child = start(process.execPath, ['src/cli/start.mjs', ...words, ...listen], ROOT, theirs());
  running.set(terminal, { child, seen: 0 });
  if (serves) places.set(address, (await child.printed(READY))[1]!);
  await child.printed(new RegExp(patternOf(here(shown)).source.replace(/\$$/, '')));
  running.get(terminal)!.seen = child.output().length;
}

/** Ctrl-C, and what is printed from then on. */
async function interrupt(terminal: string, shown: string): Promise<void> {
  const { child, seen } = running.get(terminal)!;
  assert.equal(await child.end('SIGINT'), 0, child.output());
  running.delete(terminal);
  const said = onPage(child.output().slice(seen));
  if (shown === '') assert.equal(said, '');
  else assert.match(said, patternOf(shown));
}

/** Something else has killed it: the shell says so, and the terminal is free again. */
async function killed(terminal: string): Promise<void> {
  await running.get(terminal)!.child.killed();
  running.delete(terminal);
}

function theirs(): Record<string, string> {
  const address = places.get(DEFAULT_ADDRESS);
  return address === undefined ? {} : { HPTD_URL: `http://${address}` };
}

test('an ellipsis is what differs, and nothing else is', () => {
  assert.match('a 1 b\n', patternOf('a … b'));
  assert.doesNotMatch('a 1 c\n', patternOf('a … b'));
  assert.doesNotMatch('a\nb\n', patternOf('a…b'));
  assert.match('a\nx\ny\nb\n', patternOf('a\n…\nb'));
  assert.doesNotMatch('a\nx\n', patternOf('a'));
});

test('a page is read by its terminals', () => {
  const page =
    '```console\n$ a b\nc\n$ d\n```\n```console t\n^C\nbye\nKilled\n$ e\n```\n```sh\n$ no\n```\n';
  assert.deepEqual(stepsOf(page), [
    { terminal: undefined, command: 'a b', shown: 'c' },
    { terminal: undefined, command: 'd', shown: '' },
    { terminal: 't', command: '^C', shown: 'bye' },
    { terminal: 't', command: 'Killed', shown: '' },
    { terminal: 't', command: 'e', shown: '' },
  ]);
});

test('the hour, line by line', { timeout: HOUR_MILLIS }, async (context) => {
  if ((await shell('command -v curl', ROOT)).code !== 0) {
    context.skip('curl is not installed on this machine');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'hptd-hour-'));
  context.after(() => rmSync(folder, { recursive: true }));
  places.set('/tmp/', `${folder}/`);
  const steps = stepsOf(PAGE);
  assert.ok(steps.length > 30, 'an hour has more in it');
  for (const { terminal, command, shown } of steps) {
    if (command === '^C') await interrupt(terminal!, shown);
    else if (command === 'Killed') await killed(terminal!);
    else if (terminal !== undefined) await begin(terminal, command, shown);
    else await run(command, shown);
  }
  assert.deepEqual([...running.keys()], [], 'the page ends what it started');
});

const WITHOUT_NPX = `npx() { shift; '${process.execPath}' src/cli/start.mjs "$@"; }`;
let viaNpx = 0;

async function run(command: string, shown: string): Promise<void> {
  const first = command.startsWith('npx hptd ') && viaNpx++ === 0;
  const line = first ? here(command) : `${WITHOUT_NPX}\n${here(command)}`;
  const { code, out, err } = await shell(line, ROOT, theirs());
  const all = onPage(`${out}${err}`);
  assert.match(all.endsWith('\n') ? all : `${all}\n`, patternOf(shown), command);
  assert.equal(code !== 0, shown.startsWith('hptd: '), `${command} ends with ${code}: ${err}`);
}

test('its links lead somewhere', () => {
  for (const [, target] of PAGE.matchAll(/\]\(([^)#]+)[^)]*\)/g))
    assert.ok(existsSync(join(ROOT, 'docs', target!)), `${target} is missing`);
});
