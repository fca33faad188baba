/** Each rule shown to fail on something small, and to let the nearest harmless thing pass. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceFile } from './files.ts';
import { RULES } from './rules.ts';

type Sample = readonly [path: string, text: string];

/** What all rules that look at the first sample say of it; the others are merely there. */
function complaintsOf(...samples: readonly Sample[]): string[] {
  const files = samples.map(([path, text]) => sourceFile(path, text));
  const [first] = files;
  return RULES.filter((rule) => rule.applies(first!.path)).flatMap((rule) =>
    rule.check(first!, files),
  );
}

const opened = (text: string): string => `/** What it is. */\n${text}`;
const lines = (count: number, text: string): string => `${text}\n`.repeat(count);
/** Words that this file must not hold in one piece, because it is under the rules too. */
const joined = (...pieces: readonly string[]): string => pieces.join('');

const WRONG: readonly (readonly [what: string, expected: RegExp, ...samples: Sample[]])[] = [
  [
    'schemas import src',
    /schemas\/a\.ts imports \.\.\/src\/client\/rest\.ts: the language/,
    ['schemas/a.ts', opened("import { b } from '../src/client/rest.ts';")],
  ],
  [
    'schemas import Node',
    /imports node:fs/,
    ['schemas/a.ts', opened("import { b } from 'node:fs';")],
  ],
  ['schemas import a package', /imports ws/, ['schemas/a.ts', opened("export * from 'ws';")]],
  [
    'the engine imports schemas',
    /engine is compiled by itself/,
    ['src/engine/a.ts', opened("import { b } from '../../schemas/limits';")],
  ],
  [
    'rings import processors',
    /rings know bytes/,
    ['src/rings/a.ts', opened("import type { B } from '../processors/pool.ts';")],
  ],
  [
    'a guest imports a transport',
    /a guest knows no transport/,
    ['src/guests/a.ts', opened("import {\n  b,\n} from '../transports/http.ts';")],
  ],
  [
    'a transport imports a ring',
    /asks guests, never a ring/,
    ['src/transports/a.ts', opened("import '../rings/engine.ts';")],
  ],
  [
    'a worker is started below',
    /asks guests, never a ring/,
    [
      'src/transports/a.ts',
      opened("new Worker(new URL('../processors/processor.ts', import.meta.url));"),
    ],
  ],
  [
    'the client imports the daemon',
    /nothing of the daemon/,
    ['src/client/a.ts', opened("const b = await import('../main.ts');")],
  ],
  [
    'the CLI loads the daemon at once',
    /only by the commands that run one/,
    ['src/cli/a.ts', opened("import { serve } from '../main.ts';")],
  ],
  [
    'the product imports a test',
    /imports \.\.\/\.\.\/test\/model\/model\.ts/,
    ['src/cli/a.ts', opened("import { b } from '../../test/model/model.ts';")],
  ],
  [
    'the product imports load',
    /imports \.\.\/load\/main\.ts/,
    ['src/main.ts', opened("import { b } from '../load/main.ts';")],
  ],
  ['a new folder has no layer', /belongs to no layer/, ['src/newcomer/a.ts', opened('')]],
  ['a long file', /has 401 lines/, ['src/cli/a.ts', opened(lines(400, 'a();'))]],
  [
    'a long function',
    /:2 a function of 62 lines/,
    [
      'src/cli/a.ts',
      opened(
        `export function a(b: { c: string }): Promise<{ d: 'x' | 'y' }> {\n${lines(60, '  b();')}}`,
      ),
    ],
  ],
  [
    'a long arrow function',
    /:2 a function of 63 lines/,
    [
      'src/cli/a.ts',
      opened(`const a = async (b: string): Promise<void> => {\n${lines(61, '  b();')}};`),
    ],
  ],
  [
    'a long method',
    /:3 a function of 62 lines/,
    [
      'src/cli/a.ts',
      opened(`const a = {\n  async *b<T>(c: T) {\n${lines(60, '    c();')}  },\n};`),
    ],
  ],
  [
    'a long function of the engine',
    /:2 a function of 62 lines/,
    ['src/engine/a.ts', opened(`export function a(b: usize): u64 {\n${lines(60, '  b();')}}`)],
  ],
  ['a file of utilities', /says nothing/, ['src/cli/string-utils.ts', opened('')]],
  ['a folder of helpers', /says nothing/, ['test/helpers/a.ts', opened('')]],
  ['a document named misc', /says nothing/, ['docs/misc.md', '']],
  [
    'something left for later',
    /do it, or say in an issue/,
    ['docs/a.md', joined('TO', 'DO: later')],
  ],
  ['something to mend', /:2 .*do it/, ['src/cli/a.ts', opened(joined('// FIX', 'ME'))]],
  [
    'a path of a machine',
    /exists on one machine/,
    ['README.md', joined('see /wo', 'rk/main/README.md')],
  ],
  [
    'the path of a home',
    /exists on one machine/,
    ['load/a.ts', opened(joined("const a = '/ro", "ot/a';"))],
  ],
  [
    'a lock file without a platform',
    /may use b, which has no entry/,
    ['package-lock.json', '{"packages":{"node_modules/a":{"optionalDependencies":{"b":"1.0.0"}}}}'],
  ],
  [
    'a host in the lock file',
    /registry that each user has set/,
    ['package-lock.json', joined('{"resolved": "htt', 'ps://registry.example/a.tgz"}')],
  ],
  [
    'a file that does not say what it is',
    /does not open with a comment/,
    ['src/cli/a.ts', "import { a } from './b.ts';"],
  ],
  [
    'a test on a network',
    /192\.168\.1\.2: tests must not/,
    ['test/cli/a.ts', opened(joined("connect('192.168", ".1.2');"))],
  ],
  [
    'a test on all interfaces',
    /0\.0\.0\.0: tests must not/,
    ['test/cli/a.ts', opened(joined("listen('0.0", ".0.0');"))],
  ],
  [
    'a load driver on a host',
    /tests must not/,
    ['load/a.ts', opened(joined("fetch('http", "s://hptd.org/');"))],
  ],
  [
    'a wait on the main thread',
    /stops the whole thread/,
    ['src/guests/a.ts', opened('Atomics.wait(bell, 0, 0);')],
  ],
  [
    'random without a seed',
    /cannot be repeated/,
    ['test/cli/a.test.ts', opened('const a = Math.random();')],
  ],
  [
    'fast-check without a seed',
    /cannot be repeated/,
    ['test/cli/a.test.ts', opened("import fc from 'fast-check';")],
  ],
  [
    'generators used by a test without a seed',
    /cannot be repeated/,
    ['test/cli/generators.ts', opened("import fc from 'fast-check';")],
    ['test/cli/a.test.ts', opened("import { b } from './generators.ts';")],
  ],
];

const RIGHT: readonly (readonly [what: string, ...samples: Sample[]])[] = [
  [
    'the CLI loads the daemon when needed',
    [
      'src/cli/a.ts',
      opened("import type { Daemon } from '../main.ts';\nawait import('../main.ts');"),
    ],
  ],
  [
    'layers downwards',
    [
      'src/guests/a.ts',
      opened(
        "import { b } from '../processors/pool.ts';\nimport { c } from '../../schemas/limits.ts';",
      ),
    ],
  ],
  ['an import in a comment', ['src/engine/a.ts', opened("// import { a } from 'ws';")]],
  ['a file of 400 lines', ['src/cli/a.ts', opened(lines(399, 'a();'))]],
  [
    'a function of 60 lines',
    ['src/cli/a.ts', opened(`function a(): void {\n${lines(58, '  b();')}}`)],
  ],
  [
    'a long list is no function',
    ['src/cli/a.ts', opened(`const a = {\n${lines(80, "  b: 'c',")}};`)],
  ],
  [
    'a long condition is no function',
    ['src/cli/a.ts', opened(`if (a) {\n${lines(80, '  b();')}}`)],
  ],
  [
    'a group of tests is no function',
    ['test/cli/a.test.ts', opened(`describe('a', () => {\n${lines(80, '  b();')}});`)],
  ],
  [
    'braces in texts and patterns',
    ['src/cli/a.ts', opened("const a = /[{/]/.test('}') ? `{${b({})}` : c! / 2;")],
  ],
  ['harmless names', ['docs/commonly-asked.md', '']],
  ['a path that only looks like one', ['README.md', joined('docs/wo', 'rk/a.md')]],
  [
    'this machine',
    [
      'test/cli/a.ts',
      opened("fetch('http://127.0.0.1:1/'); connect('::1'); // see https://example.org"),
    ],
  ],
  ['waiting without stopping', ['src/guests/a.ts', opened('Atomics.waitAsync(bell, 0, 0);')]],
  ['a processor waits', ['src/rings/wakeups.ts', opened('Atomics.wait(bell, 0, 0);')]],
  [
    'random with a seed',
    ['test/cli/a.test.ts', opened('const a = process.env.HPTD_SEED ?? Math.random();')],
  ],
  [
    'generators used by a test with a seed',
    ['test/cli/generators.ts', opened("import fc from 'fast-check';")],
    ['test/cli/a.test.ts', opened("import { b } from './generators.ts';\n// HPTD_SEED")],
  ],
];

for (const [what, expected, ...samples] of WRONG) {
  test(`refused: ${what}`, () => assert.match(complaintsOf(...samples).join('\n'), expected));
}

for (const [what, ...samples] of RIGHT) {
  test(`allowed: ${what}`, () => assert.deepEqual(complaintsOf(...samples), []));
}

test('every rule is shown to fail', () => {
  const failing = RULES.filter((rule) =>
    WRONG.some(([, , ...samples]) => {
      const files = samples.map(([path, text]) => sourceFile(path, text));
      return rule.applies(files[0]!.path) && rule.check(files[0]!, files).length > 0;
    }),
  );
  assert.deepEqual(
    failing.map(({ name }) => name),
    RULES.map(({ name }) => name),
  );
});
