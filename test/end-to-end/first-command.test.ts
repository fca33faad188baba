/**
 * The first minutes of a newcomer: `npm start` in a fresh clone, the boot, the three lines it prints, run exactly as they
 * are printed, and Ctrl-C. (`npm ci` itself is what CI does before it comes here.)
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { node, type Outcome, type Running, shell, start } from './child.ts';
import { type FreshTree, freshTree, ROOT, whyNoFreshTree } from './fresh-tree.ts';

const skip = whyNoFreshTree() ?? false;
let tree: FreshTree;
let demo: Running;

before(() => {
  if (skip !== false) return;
  tree = freshTree();
  demo = start('npm', ['start', '--', '--listen', '127.0.0.1:0'], tree.path);
});
after(async () => {
  await demo?.end('SIGKILL');
  tree?.remove();
});

/** The commands among what demo printed: neither prose nor the `#` lines above each. */
function printedCommands(): string[] {
  const [, behind = ''] = demo.output().split(/^Try in another terminal.*$/m);
  return behind.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

async function runPrinted(line: string): Promise<Outcome> {
  const outcome = await shell(line, tree.path);
  assert.equal(outcome.code, 0, `${line}\n${outcome.err}`);
  return outcome;
}

test('npm start boots a guest, says how that went, and what to try', { skip }, async () => {
  await demo.printed(/\/hpt\/groups\/0x[0-9a-f]+\n/);
  const output = demo.output();
  assert.match(
    output,
    /hptd \d+\.\d+\.\d+ is ready at http:\/\/127\.0\.0\.1:\d+, with \d+ processors?\n/,
  );
  assert.match(output, /guest "demo": a table of 4 MiB for 512 MiB of memory\n/);
  assert.match(output, /replaying 78,797 recorded hcalls: linux .* boot to init, power off …\n/);
  assert.match(
    output,
    /booted: 78,797 hcalls in \d+ ms \([\d,]+ hcalls\/s\); every answer and the whole table at the end compared: all as recorded\n/,
  );
  assert.equal(printedCommands().length, 3, output);
});

test('the three lines do what they promise, exactly as they are printed', {
  skip,
}, async (context) => {
  const [enter, stream, group] = printedCommands() as [string, string, string];
  if ((await shell('command -v curl', ROOT)).code !== 0) {
    context.skip('curl is not installed on this machine');
    return;
  }
  assert.deepEqual(JSON.parse((await runPrinted(enter)).out), {
    hcall: 'H_ENTER',
    status: 'H_SUCCESS',
    code: 0,
    ptex: '0x190bf',
  });
  assert.deepEqual(JSON.parse((await runPrinted(enter)).out), {
    hcall: 'H_ENTER',
    status: 'H_PTEG_FULL',
    code: -6,
  });

  const messages = (await runPrinted(stream)).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(messages.length, 2);
  assert.equal(messages[0]!['type'], 'hello');
  assert.deepEqual([messages[1]!['status'], messages[1]!['ptex']], ['H_SUCCESS', '0x190b9']);
  assert.match(
    (messages[1]!['explanation'] as { text: string }).text,
    /^H_SUCCESS because .* slot 1 of group 0x3217/,
  );

  const found = JSON.parse((await runPrinted(group)).out) as {
    occupied: number;
    slots: { ptex: string; state: string; virtualPage: { found: boolean } | null }[];
  };
  assert.equal(found.occupied, 3);
  const taken = found.slots.filter(({ state }) => state === 'valid');
  assert.deepEqual(
    taken.map(({ ptex }) => ptex),
    ['0x190b8', '0x190b9', '0x190bf'],
  );
  // The pages that the lines enter hash to this group, or nobody could find them there.
  assert.ok(taken.every(({ virtualPage }) => virtualPage?.found === true));
});

test('Ctrl-C ends it, and that is a success', { skip }, async () => {
  assert.equal(await demo.end('SIGINT'), 0, demo.output());
});

test('when somebody has the port it says so, and how to take another', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const { code, out, err } = await node(
      ['src/cli/start.mjs', 'demo', '--listen', `127.0.0.1:${port}`],
      ROOT,
    );
    assert.equal(code, 69);
    assert.equal(out, '');
    assert.match(
      err,
      /cannot listen on 127\.0\.0\.1:\d+: another program listens there.*--listen.*npm start -- --listen 127\.0\.0\.1:0/,
    );
    assert.equal(err.trim().split('\n').length, 1);
  } finally {
    server.close();
  }
});

test('an old Node is told what to do, in one line, with 64', async () => {
  const old =
    "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.19.5'}})";
  const { code, out, err } = await node(['--import', old, 'src/cli/start.mjs', 'demo'], ROOT);
  assert.equal(code, 64);
  assert.equal(out, '');
  assert.match(
    err,
    /^hptd: this is Node 20\.19\.5, hptd needs Node 26: .*"npm ci".*"npm start".*\n$/,
  );
});

test('what was compiled is kept with the caches of the user, and where that cannot be all goes well without', async (context) => {
  const home = mkdtempSync(join(tmpdir(), 'hptd-home-'));
  context.after(() => rmSync(home, { recursive: true }));
  const unset = { NODE_COMPILE_CACHE: '', XDG_CACHE_HOME: '' };
  const places = [
    { HOME: home },
    { HOME: '/nowhere', XDG_CACHE_HOME: join(home, 'caches') },
    { HOME: '/proc' },
    { HOME: '' },
    { HOME: '', XDG_CACHE_HOME: 'caches' },
    { HOME: '/dev/null' },
  ];
  for (const place of places) {
    const { code, out } = await node(['src/cli/start.mjs', '--version'], ROOT, {
      ...unset,
      ...place,
    });
    assert.deepEqual([code, out.slice(0, 5)], [0, 'hptd '], JSON.stringify(place));
  }
  for (const kept of ['.cache', 'caches']) {
    const [version] = readdirSync(join(home, kept, 'hptd'));
    assert.notDeepEqual(readdirSync(join(home, kept, 'hptd', version!)), []);
  }
  assert.equal(existsSync(join(ROOT, 'caches')), false);
});

test('demo refuses what it cannot do', async () => {
  const [socket, word] = await Promise.all([
    node(['src/cli/start.mjs', 'demo', '--listen', 'unix:/nowhere/hptd.sock'], ROOT),
    node(['src/cli/start.mjs', 'demo', 'twice'], ROOT),
  ]);
  assert.deepEqual([socket.code, word.code], [64, 64]);
  assert.match(socket.err, /need HOST:PORT, not a Unix socket/);
  assert.match(word.err, /demo takes no "twice"/);
});
