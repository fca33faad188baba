/** `hptd serve` before it serves, and `hptd token`: exit codes, output for people and programs, what is wrong and where. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serve } from '../../src/main.ts';
import { makeToken } from '../../src/operations/access-file.ts';
import { OPTIONS } from '../../src/operations/config.ts';

const FRONT_DOOR = fileURLToPath(new URL('../../src/cli/hptd.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'hptd-cli-'));
after(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function hptd(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('HPTD_'));
  const child = spawn(process.execPath, [FRONT_DOOR, ...words], {
    env: { ...Object.fromEntries(kept), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

test('help has every option, with its variable and its meaning', async () => {
  const { code, out } = await hptd(['help', 'serve']);
  assert.equal(code, 0);
  const words = out.replaceAll(/\s+/g, ' ');
  for (const { flag, environment, name, meaning } of OPTIONS) {
    assert.ok(out.includes(`  ${flag} `) && out.includes(`(${environment}, "${name}"`), name);
    assert.ok(words.includes(meaning), `${name}: ${meaning}`);
  }
});

test('a configuration is checked with 0 or 78, and the member at fault', async () => {
  const file = join(folder, 'hptd.json');
  writeFileSync(file, '{"processors":"many"}');
  const check = ['serve', '--check-config'];
  const outcomes = await Promise.all([
    hptd(check),
    hptd([...check, '--config', file]),
    hptd(check, { HPTD_CONFIG: file }),
    hptd(check, { HPTD_LOG_LEVEL: 'loud' }),
    hptd([...check, '--listen', 'nowhere']),
    hptd([...check, '--listen', '[::]:7808']),
    hptd(['serve', '--listen', '[::]:0']),
    hptd(['serve'], { HPTD_PROCESSORS: '0' }),
    hptd(['serve', '--processors', '0']),
  ]);
  assert.deepEqual(
    outcomes.map(({ code }) => code),
    [0, 78, 78, 78, 78, 78, 78, 78, 64],
  );
  const faults = [
    /hptd\.json: processors: /,
    /hptd\.json: processors: /,
    /HPTD_LOG_LEVEL: /,
    /listen: "nowhere"/,
    /--access-file/,
    /--access-file/,
    /HPTD_PROCESSORS: /,
    /processors: /,
  ];
  assert.equal(outcomes[0].out, 'the configuration is fine\n');
  outcomes.slice(1).forEach(({ err }, i) => assert.match(err, faults[i]!));
});

test('a daemon that wants a token: 77 without, 0 with one from the environment or a file', async () => {
  const file = join(folder, 'who');
  const { token, line } = makeToken('ops', ['read'], undefined);
  writeFileSync(file, `${line}\n`, { mode: 0o600 });
  const held = join(folder, 'token');
  writeFileSync(held, `${token}\n`);
  const listen = { listen: '127.0.0.1:0', socket: 'none', accessFile: file };
  const daemon = await serve({ ...listen, processors: 1, logLevel: 'silent' });
  try {
    const words = ['guests', '--url', daemon.url];
    const [none, wrong, environment, option] = await Promise.all([
      hptd(words),
      hptd(words, { HPTD_TOKEN: 'x' }),
      hptd(words, { HPTD_TOKEN: token }),
      hptd([...words, '--token-file', held]),
    ]);
    assert.deepEqual([none.code, wrong.code, environment.code, option.code], [77, 77, 0, 0]);
    assert.match(none.err, /unauthenticated, HTTP 401\); .*--token-file/);
    const create = await hptd(['create', 'g', 'order=18', '--url', daemon.url], {
      HPTD_TOKEN: token,
    });
    assert.deepEqual([create.code, create.out], [77, '']);
  } finally {
    await daemon.close();
  }
});

test('each value is shown with where it comes from', async () => {
  const file = join(folder, 'shown.json');
  writeFileSync(file, '{"connectionsMax":9,"allowedOrigins":["https://example.com"]}');
  const words = ['serve', '--print-config', '--config', file, '--log-level', 'warn'];
  const environment = { HPTD_PROCESSORS: '3' };
  const [people, programs] = await Promise.all([
    hptd(words, environment),
    hptd([...words, '--json'], environment),
  ]);
  assert.match(people.out, /^connectionsMax +9 +file$/m);
  assert.match(people.out, /^processors +3 +environment$/m);
  assert.match(people.out, /^logLevel +warn +command line$/m);
  assert.match(people.out, /^listen +127\.0\.0\.1:7808 +default$/m);
  const rows = JSON.parse(programs.out) as { option: string; value: unknown; source: string }[];
  assert.deepEqual(
    rows.map(({ option }) => option),
    OPTIONS.map(({ name }) => name),
  );
  assert.deepEqual(
    rows.find(({ option }) => option === 'allowedOrigins'),
    {
      option: 'allowedOrigins',
      value: ['https://example.com'],
      source: 'file',
    },
  );
});

test('a token is made, shown once, listed and revoked', async () => {
  const file = join(folder, 'access');
  const token = (...words: string[]): Promise<Outcome> =>
    hptd(['token', ...words], { HPTD_ACCESS_FILE: file });
  const made = await token('create', 'vm', 'hcalls:vm-*', 'read', '--days', '2');
  assert.match(made.out, /^hptd_vm_[\w-]{43}\n$/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(
    !readFileSync(file, 'utf8').includes(made.out.trim().slice(8)),
    'only its hash is kept',
  );
  const again = await token('create', 'vm', 'read');
  assert.deepEqual([again.code, again.out], [65, '']);
  const second = await token('create', 'ops', 'admin', '--json');
  assert.match((JSON.parse(second.out) as { token: string }).token, /^hptd_ops_/);
  assert.match((await token('list')).out, /^vm +hcalls:vm-\*,read +token +\d{4}-\d\d-\d\d$/m);
  assert.equal((await token('revoke', 'vm')).code, 0);
  assert.deepEqual(
    (JSON.parse((await token('list', '--json')).out) as { name: string }[]).map(({ name }) => name),
    ['ops'],
  );
  const [gone, scope, name, file2] = await Promise.all([
    token('revoke', 'vm'),
    token('create', 'x', 'everything'),
    token('create', 'X', 'read'),
    hptd(['token', 'list']),
  ]);
  assert.deepEqual([gone.code, scope.code, name.code, file2.code], [65, 64, 64, 64]);
});
