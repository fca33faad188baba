/** Options: their defaults, their forms, their names, and where a value comes from. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROCESSORS_MAX } from '../../schemas/limits.ts';
import { listenAddress, OPTIONS, serveOptions } from '../../src/operations/config.ts';
import {
  type ConfigurationError,
  optionsFromEnvironment,
  readConfiguration,
} from '../../src/operations/configuration.ts';
import { addressesOf, isLoopback, readReach } from '../../src/operations/reach.ts';

test('the defaults make a daemon for this machine alone', () => {
  const options = serveOptions.parse({});
  assert.deepEqual([options.listen, options.logLevel], [['127.0.0.1:7808'], 'info']);
  assert.ok(options.processors >= 1 && options.processors <= PROCESSORS_MAX);
  assert.deepEqual(readReach(options), { access: undefined, tls: undefined });
});

test('where to listen', () => {
  assert.deepEqual(listenAddress('127.0.0.1:7808'), { host: '127.0.0.1', port: 7808 });
  assert.deepEqual(listenAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(listenAddress('[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(listenAddress('unix:/run/hptd.sock'), { path: '/run/hptd.sock' });
  assert.deepEqual(listenAddress('systemd'), { systemd: true });
  const strange = '7808 :7808 host host: host:65536 host:1e3 ::1:80 unix: http://h:1'.split(' ');
  for (const text of ['', 'a b:1', ...strange]) {
    assert.equal(listenAddress(text), undefined, text);
    assert.equal(serveOptions.safeParse({ listen: text }).success, false, text);
  }
});

test('several addresses, by commas or as an array', () => {
  const listen = ['127.0.0.1:1', 'unix:/x'];
  assert.deepEqual(serveOptions.parse({ listen: '127.0.0.1:1, unix:/x' }).listen, listen);
  assert.deepEqual(serveOptions.parse({ listen }).listen, listen);
  assert.match(
    serveOptions.safeParse({ listen: ['h:1', 'nowhere'] }).error!.issues[0]!.message,
    /^"nowhere": write HOST:PORT/,
  );
});

test("the user's socket stands beside the usual address, and beside no other unless asked for", () => {
  const socketOf = (given: object) =>
    addressesOf(serveOptions.parse(given)).find((address) => 'path' in address);
  assert.match(socketOf({})!.path, /hptd\.sock$/);
  assert.equal(socketOf({ listen: '127.0.0.1:0' }), undefined);
  assert.equal(socketOf({ socket: 'none' }), undefined);
  assert.deepEqual(socketOf({ listen: '127.0.0.1:0', socket: '/x' }), { path: '/x' });
});

test('only this machine is loopback', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', 'localhost'])
    assert.equal(isLoopback(host), true, host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'localhost.example', 'example.com'])
    assert.equal(isLoopback(host), false, host);
});

test('an address that others reach needs an access file', () => {
  for (const listen of ['0.0.0.0:0', '[::]:0', 'example.com:0', '127.0.0.1:0,10.0.0.1:0']) {
    assert.throws(() => readReach(serveOptions.parse({ listen })), {
      name: 'ConfigurationError',
      message: /can be reached from other machines/,
      advice: /--access-file/,
    });
  }
});

test('numbers are whole and within their limits, as text too', () => {
  assert.equal(serveOptions.parse({ processors: '3' }).processors, 3);
  for (const processors of ['0', '65', '-1', '1.5', 'many', NaN]) {
    assert.equal(serveOptions.safeParse({ processors }).success, false, String(processors));
  }
  for (const name of ['connectionsMax', 'requestsPerSecondMax', 'headersSecondsMax'])
    assert.equal(serveOptions.safeParse({ [name]: '0' }).success, false, name);
});

test('origins and hosts are written as browsers send them', () => {
  assert.ok(
    serveOptions.safeParse({ allowedOrigins: 'https://example.com,http://h.test:8' }).success,
  );
  for (const origin of ['example.com', 'https://example.com/', 'https://EXAMPLE.com', 'null', '*'])
    assert.equal(serveOptions.safeParse({ allowedOrigins: origin }).success, false, origin);
  for (const host of ['a:1', 'A.example', '*', '-'])
    assert.equal(serveOptions.safeParse({ allowedHosts: host }).success, false, host);
});

test('each option has a flag, a variable, a meaning and a value, in one spelling', () => {
  assert.ok(OPTIONS.length >= 17);
  const logLevel = OPTIONS.find(({ name }) => name === 'logLevel')!;
  assert.deepEqual(
    [logLevel.flag, logLevel.environment, logLevel.value, logLevel.initial],
    ['--log-level', 'HPTD_LOG_LEVEL', 'LEVEL', 'info'],
  );
  for (const { name, flag, environment, meaning, value } of OPTIONS) {
    assert.match(flag, /^--[a-z]+(-[a-z]+)*$/);
    assert.equal(environment, `HPTD_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`);
    assert.ok(meaning.length > 8 && /^[A-Z]+$/.test(value), name);
  }
});

test('the environment sets each option, and an empty variable none', () => {
  const found = optionsFromEnvironment({
    HPTD_LISTEN: 'h:1',
    HPTD_PROCESSORS: '2',
    HPTD_LOG_LEVEL: '',
    HPTD_OTHER: 'x',
    PATH: '/',
  });
  assert.deepEqual(found, { listen: 'h:1', processors: '2' });
});

test('the command line wins over the environment, that over the file, that over the default', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'hptd-config-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'hptd.json');
  const write = (value: unknown): void => writeFileSync(file, JSON.stringify(value));
  const environment = { HPTD_PROCESSORS: '2', HPTD_CONNECTIONS_MAX: '7' };

  write({ listen: ['127.0.0.1:1', '127.0.0.1:2'], processors: 3, connectionsMax: 8 });
  const { options, sources } = readConfiguration({ processors: '1' }, environment, file);
  assert.deepEqual(
    (['listen', 'processors', 'connectionsMax', 'logLevel'] as const).map((name) => [
      options[name],
      sources[name],
    ]),
    [
      [['127.0.0.1:1', '127.0.0.1:2'], 'file'],
      [1, 'command line'],
      [7, 'environment'],
      ['info', 'default'],
    ],
  );

  const faultOf = (values: unknown): ConfigurationError => {
    write(values);
    try {
      readConfiguration({}, {}, file);
    } catch (error) {
      return error as ConfigurationError;
    }
    return assert.fail('was taken');
  };
  assert.equal(faultOf({ listne: 1 }).advice, 'did you mean listen?');
  assert.equal(faultOf({ listne: 1 }).member, 'listne');
  assert.match(faultOf({ processors: 'many' }).message, /hptd\.json: processors: /);
  assert.match(faultOf([]).message, /is not a JSON object/);
  writeFileSync(file, '{"__proto__":{"processors":1}}');
  assert.throws(() => readConfiguration({}, {}, file), { member: '__proto__' });
  writeFileSync(file, '{');
  assert.throws(() => readConfiguration({}, {}, file), { message: /is not JSON/ });
  assert.throws(() => readConfiguration({}, {}, join(folder, 'none')), {
    message: /cannot be read/,
  });
  assert.throws(() => readConfiguration({}, { HPTD_LISTEN: 'x' }, undefined), {
    member: 'listen',
    source: 'environment',
    message: /^HPTD_LISTEN: /,
  });
});

test('options that need each other say so', () => {
  const faults = [
    [{ tlsKey: '/x' }, /^tlsKey needs tlsCert/],
    [{ tlsCert: '/x' }, /^tlsCert needs tlsKey/],
    [{ tlsClientCa: '/x' }, /^tlsClientCa needs tlsCert/],
    [{ tlsCert: '/nowhere', tlsKey: '/nowhere' }, /^tlsCert: \/nowhere cannot be read/],
    [{ accessFile: '/nowhere' }, /^accessFile: \/nowhere cannot be read/],
  ] as const;
  for (const [given, message] of faults)
    assert.throws(() => readReach(serveOptions.parse(given)), { message });
});

test('an option that does not exist is refused', () => {
  assert.equal(serveOptions.safeParse({ listne: 'h:1' }).success, false);
});
