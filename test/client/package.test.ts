/**
 * The client as other programs have it: hptd packed and unpacked into the node_modules of a new project, the example
 * of docs/client.md run there as it is written, by the Nodes that are here, and checked by TypeScript.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { environment, type Running, start } from '../end-to-end/child.ts';
import { ROOT } from '../end-to-end/fresh-tree.ts';

const execute = promisify(execFile);
const blocks = [
  ...readFileSync(join(ROOT, 'docs/client.md'), 'utf8').matchAll(/^```(\w*)\n([^]*?)^```$/gm),
];
const example = blocks.find(([, language]) => language === 'js')![2]!;
const printed = blocks.find(([, language]) => language === '')![2]!;
/** What the client needs of others, and what its types need. */
const PACKAGES = ['ws', 'zod', '@types/node', 'undici-types'];

let project: string;
let daemon: Running;
let url: string;

before(async () => {
  project = mkdtempSync(join(tmpdir(), 'hptd-program-'));
  const packed = execFileSync(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', project, ROOT],
    {
      cwd: project,
      env: environment(),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  mkdirSync(join(project, 'node_modules'));
  execFileSync('tar', ['-xzf', join(project, filename), '-C', join(project, 'node_modules')]);
  execFileSync('mv', ['package', 'hptd'], { cwd: join(project, 'node_modules') });
  for (const name of PACKAGES) {
    mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
  }
  writeFileSync(join(project, 'example.mjs'), example);
  cpSync(join(project, 'example.mjs'), join(project, 'example.mts'));
  daemon = start(
    process.execPath,
    ['src/cli/start.mjs', 'serve', '--listen', '127.0.0.1:0', '--log-level', 'warn'],
    ROOT,
  );
  [, url] = (await daemon.printed(/ready at (http:\/\/127\.0\.0\.1:\d+)/)) as unknown as [
    string,
    string,
  ];
});
after(async () => {
  await daemon?.end('SIGTERM');
  rmSync(project, { recursive: true, force: true });
});

/** This Node, and the machine's own if it is another that hptd promises to run on. */
function nodes(): string[] {
  const own = (environment()['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((path) => existsSync(path));
  return own === undefined ? [process.execPath] : [process.execPath, own];
}

for (const path of nodes()) {
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim();
  test(`the example runs as it is written, with Node ${version}`, async () => {
    const { stdout, stderr } = await execute(path, ['example.mjs'], {
      cwd: project,
      env: environment({ HPTD_URL: url }),
    });
    assert.equal(stderr, '');
    assert.equal(stdout, printed);
  });
}

test('its types hold, and refuse what is wrong', async () => {
  const wrong = [
    "stream.call('H_ENTRE', {});",
    "stream.call('H_READ', {});",
    "stream.call('H_READ', { ptex: 5 });",
    "stream.call('H_READ', { ptex: 5n, flags: ['H_EXACT'] });",
    "stream.call('H_READ', { ptex: 5n, avpn: 5n });",
    "stream.call('H_READ', { ptex: 5n }).then((answer) => answer.pteh4);",
    "stream.callMany([{ hcall: 'H_READ' }]);",
    "hptd.call('g', 'WALK', { ea: 0n, slbv: 0n, access: 0n, amr: 0n });",
    "hptd.createGuest('g', { ordre: 24 });",
  ];
  const right = [
    "stream.call('WALK', { ea: 0n, slbv: 0n, access: 0n, amr: 0n }).then(({ gpa }) => gpa);",
    "stream.call('H_BULK_REMOVE', { tsh0: 1n, tsl0: 1n }).then(({ tsh3 }) => tsh3);",
    "stream.call('H_READ', { ptex: 5n, flags: 1n, explain: true }).then((a) => a.explanation?.text);",
    "stream.callMany([{ hcall: 'H_CLEAR_HPT' }, { hcall: 'H_READ', ptex: 1n }]).then(([a, b]) => [a.code, b.pteh3]);",
    "stream.call('MEMORY_WRITE', { gpa: 0n, data: [1n] });",
  ];
  writeFileSync(
    join(project, 'calls.mts'),
    [
      "import type { Client, GuestStream } from 'hptd/client';",
      'declare const stream: GuestStream;',
      'declare const hptd: Client;',
      ...wrong.map((line) => `// @ts-expect-error: must not be taken\n${line}`),
      ...right,
    ].join('\n'),
  );
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--types',
    'node',
  ];
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await execute(process.execPath, [tsc, ...options, 'example.mts', 'calls.mts'], {
    cwd: project,
  }).catch((error: { stdout: string }) => assert.fail(error.stdout));
});
