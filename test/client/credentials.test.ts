/** Who asks, by token and by certificate: the client library and the commands, against a daemon that wants to know. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect, RefusedError, UnavailableError } from '../../src/client/index.ts';
import { serve, type Daemon } from '../../src/main.ts';
import { makeToken } from '../../src/operations/access-file.ts';
import { node } from '../end-to-end/child.ts';
import { ROOT } from '../end-to-end/fresh-tree.ts';
import {
  certificatesIn,
  CLIENT_EXTENSION,
  SERVER_EXTENSION,
  withoutOpenssl,
} from '../security/certificates.ts';

const FRONT_DOOR = 'src/cli/hptd.ts';
const skip = withoutOpenssl();
const folder = mkdtempSync(join(tmpdir(), 'hptd-credentials-'));
const at = (name: string): string => join(folder, name);
const textOf = (name: string): string => readFileSync(at(name), 'utf8');
const { token, line } = makeToken('operator', ['admin'], undefined);
let plain: Daemon;
let secure: Daemon;

before(async () => {
  writeFileSync(at('access'), `ops admin cn:operator\n${line}\n`, { mode: 0o600 });
  writeFileSync(at('token'), `${token}\n`, { mode: 0o600 });
  const options = {
    listen: '127.0.0.1:0',
    socket: 'none',
    processors: 1,
    logLevel: 'silent',
    accessFile: at('access'),
  } as const;
  plain = await serve(options);
  if (skip !== false) return;
  const make = certificatesIn(folder);
  for (const name of ['servers', 'clients']) make.authority(name);
  make.signed('server', 'localhost', 'servers', SERVER_EXTENSION);
  make.signed('operator', 'operator', 'clients', CLIENT_EXTENSION);
  make.signed('stranger', 'stranger', 'clients', CLIENT_EXTENSION);
  secure = await serve({
    ...options,
    tlsCert: at('server.pem'),
    tlsKey: at('server.key'),
    tlsClientCa: at('clients.pem'),
  });
});
after(async () => {
  await plain?.close();
  await secure?.close();
  rmSync(folder, { recursive: true });
});

const READ = { ptex: 0n } as const;

test('a token of connect is for requests and streams', async () => {
  const client = connect(plain.url, { token });
  await client.createGuest('g', { order: 18 });
  assert.equal((await client.call('g', 'H_READ', READ)).status, 'H_SUCCESS');
  const stream = await client.stream('g');
  assert.equal((await stream.call('H_READ', READ)).status, 'H_SUCCESS');
  await stream.close();
  const raw = await client.rawStream('g', { role: 'host' });
  await raw.close();
  // A stream may be somebody else's.
  await assert.rejects(client.stream('g', { token: 'x' }), { code: 'unauthenticated' });
  const nobody = connect(plain.url);
  await assert.rejects(nobody.listGuests(), { code: 'unauthenticated' });
  await assert.rejects(nobody.stream('g'), { code: 'unauthenticated' });
  await client.deleteGuest('g');
});

test('a certificate is for requests and streams too', { skip }, async () => {
  const credentials = (name: string) => ({
    ca: textOf('servers.pem'),
    cert: textOf(`${name}.pem`),
    key: textOf(`${name}.key`),
  });
  const client = connect(secure.url, credentials('operator'));
  await client.createGuest('g', { order: 18 });
  const stream = await client.stream('g');
  assert.equal((await stream.call('H_READ', READ)).status, 'H_SUCCESS');
  await stream.close();
  const stranger = connect(secure.url, credentials('stranger'));
  await assert.rejects(stranger.listGuests(), RefusedError);
  await assert.rejects(stranger.stream('g'), { code: 'unauthenticated' });
  // Whom it does not know the client sends nothing, neither a request nor an upgrade.
  const trusting = connect(secure.url, { ...credentials('operator'), ca: textOf('clients.pem') });
  for (const asked of [trusting.listGuests(), trusting.stream('g')])
    await assert.rejects(asked, (error: UnavailableError) => {
      assert.match(error.message, /is not trusted: .*certificate/);
      assert.match(error.advice, /--ca/);
      return error instanceof UnavailableError;
    });
  await client.deleteGuest('g');
});

const hptd = (words: string[], env: Record<string, string> = {}) =>
  node([FRONT_DOOR, ...words], ROOT, env);

test('commands take certificates from options and from the environment', { skip }, async () => {
  const url = ['--url', secure.url];
  const mine = ['--cert', at('operator.pem'), '--key', at('operator.key')];
  const options = [...url, '--ca', at('servers.pem'), ...mine];
  const environment = {
    HPTD_URL: secure.url,
    HPTD_CA: at('servers.pem'),
    HPTD_CERT: at('operator.pem'),
    HPTD_KEY: at('operator.key'),
  };
  const made = await hptd(['create', 'c', 'order=18', ...options]);
  assert.deepEqual([made.code, made.err], [0, '']);
  const sample = fileURLToPath(new URL('../../samples/boot-p8-64k.jsonl.gz', import.meta.url));
  const outcomes = await Promise.all([
    hptd(['dump', 'c', ...options]),
    hptd(['top', '--once', '--interval', '1', '--json', ...options]),
    hptd(['stats', 'c'], environment),
    hptd(['replay', sample, '--json', ...options]),
    hptd(['guests', ...url, '--ca', at('servers.pem'), '--token-file', at('token')]),
  ]);
  outcomes.push(await hptd(['record', 'c', at('c.jsonl.gz'), '--seconds', '1'], environment));
  outcomes.push(await hptd(['copy', 'c', `${secure.url}/d`], environment));
  outcomes.forEach(({ code, err }, i) => assert.equal(code, 0, `number ${i}: ${err}`));
});

test('what is wrong with them is said, with the option that mends it', { skip }, async () => {
  const url = ['--url', secure.url];
  const ca = ['--ca', at('servers.pem')];
  const wrong: [words: string[], code: number, says: RegExp][] = [
    [url, 69, /is not trusted: .*; name the certificates that sign its own with --ca/],
    [[...url, ...ca], 77, /unauthenticated/],
    [[...url, ...ca, '--cert', at('operator.pem')], 64, /--cert and --key/],
    [[...url, '--ca', at('missing')], 65, /missing cannot be read .*with --ca/],
    [[...url, '--ca', at('access')], 65, /access is of no use .*; give PEM files with --ca/],
    [
      [...url, ...ca, '--cert', at('operator.pem'), '--key', at('stranger.key')],
      65,
      /operator\.pem is of no use .*with --cert and --key/,
    ],
  ];
  const outcomes = await Promise.all(wrong.map(([words]) => hptd(['guests', ...words])));
  wrong.forEach(([, code, says], i) => {
    assert.equal(outcomes[i]!.code, code, outcomes[i]!.err);
    assert.match(outcomes[i]!.err, says);
  });
});
