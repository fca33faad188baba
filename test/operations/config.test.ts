/** Options: their defaults, their forms, and what the environment may set. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROCESSORS_MAX } from '../../schemas/limits.ts';
import {
  environmentName,
  listenAddress,
  optionsFromEnvironment,
  serveOptions,
} from '../../src/operations/config.ts';

test('the defaults make a daemon for this machine alone', () => {
  const { listen, processors, logLevel } = serveOptions.parse({});
  assert.deepEqual([listen, logLevel], ['127.0.0.1:7808', 'info']);
  assert.ok(processors >= 1 && processors <= PROCESSORS_MAX);
});

test('where to listen', () => {
  assert.deepEqual(listenAddress('127.0.0.1:7808'), { host: '127.0.0.1', port: 7808 });
  assert.deepEqual(listenAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(listenAddress('[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(listenAddress('unix:/run/hptd.sock'), { path: '/run/hptd.sock' });
  for (const text of [
    '',
    '7808',
    ':7808',
    'host',
    'host:',
    'host:65536',
    'host:1e3',
    '::1:80',
    'unix:',
    'a b:1',
    'http://h:1',
  ]) {
    assert.equal(listenAddress(text), undefined, text);
    assert.equal(serveOptions.safeParse({ listen: text }).success, false, text);
  }
});

test('processors are a number within the limits, as text too', () => {
  assert.equal(serveOptions.parse({ processors: '3' }).processors, 3);
  for (const processors of ['0', '65', '-1', '1.5', 'many', NaN]) {
    assert.equal(serveOptions.safeParse({ processors }).success, false, String(processors));
  }
});

test('the environment sets each option, and an empty variable none', () => {
  assert.deepEqual(Object.keys(serveOptions.shape).map(environmentName), [
    'HPTD_LISTEN',
    'HPTD_PROCESSORS',
    'HPTD_LOG_LEVEL',
  ]);
  const found = optionsFromEnvironment({
    HPTD_LISTEN: 'h:1',
    HPTD_PROCESSORS: '2',
    HPTD_LOG_LEVEL: '',
    HPTD_OTHER: 'x',
    PATH: '/',
  });
  assert.deepEqual(found, { listen: 'h:1', processors: '2' });
});

test('an option that does not exist is refused', () => {
  assert.equal(serveOptions.safeParse({ listne: 'h:1' }).success, false);
});
