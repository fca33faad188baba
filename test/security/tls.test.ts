/** TLS and client certificates: whose certificate counts, and whose does not. Certificates are made here, by openssl. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { serve, type Daemon } from '../../src/main.ts';
import { makeToken } from '../../src/operations/access-file.ts';
import { serveOptions } from '../../src/operations/config.ts';
import { readReach } from '../../src/operations/reach.ts';
import { connect } from '../transports/stream-daemon.ts';
import {
  certificatesIn,
  CLIENT_EXTENSION,
  SERVER_EXTENSION,
  withoutOpenssl,
} from './certificates.ts';

const skip = withoutOpenssl();
const folder = mkdtempSync(join(tmpdir(), 'hptd-tls-'));
const at = (name: string): string => join(folder, name);
const { token, line } = makeToken('viewer', ['read'], undefined);
let daemon: Daemon;

const options = () => ({
  listen: '127.0.0.1:0',
  socket: 'none',
  processors: 1,
  logLevel: 'silent' as const,
  accessFile: at('access'),
  tlsCert: at('server.pem'),
  tlsKey: at('server.key'),
  tlsClientCa: at('clients.pem'),
});

before(async () => {
  if (skip !== false) return;
  const make = certificatesIn(folder);
  for (const name of ['servers', 'clients', 'impostors']) make.authority(name);
  make.signed('server', 'server', 'servers', SERVER_EXTENSION);
  make.signed('renewed', 'renewed', 'servers', SERVER_EXTENSION);
  for (const name of ['operator', 'nobody']) make.signed(name, name, 'clients', CLIENT_EXTENSION);
  // The same name, from somebody who has no say here.
  make.signed('impostor', 'operator', 'impostors', CLIENT_EXTENSION);
  writeFileSync(at('access'), `ops admin cn:operator\n${line}\n`, { mode: 0o600 });
  daemon = await serve(options());
});
after(async () => {
  await daemon?.close();
  rmSync(folder, { recursive: true });
});

function ask(path: string, certificate?: string, bearer?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(`${daemon.url}${path}`, {
      agent: false,
      ...tlsOf(certificate),
      headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
    })
      .on('error', reject)
      .on('response', (response) => {
        response.resume();
        resolve(response.statusCode!);
      })
      .end();
  });
}

function tlsOf(certificate?: string): ConnectionOptions {
  return {
    ca: readFileSync(at('servers.pem')),
    ...(certificate === undefined
      ? {}
      : {
          cert: readFileSync(at(`${certificate}.pem`)),
          key: readFileSync(at(`${certificate}.key`)),
        }),
  };
}

test('a certificate is somebody by its authority and its name; a token goes too', {
  skip,
}, async () => {
  assert.match(daemon.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(await ask('/v1/guests', 'operator'), 200);
  assert.equal(await ask('/v1/guests', 'nobody'), 401);
  assert.equal(await ask('/v1/guests', 'impostor'), 401);
  assert.equal(await ask('/v1/guests'), 401);
  assert.equal(await ask('/v1/guests', undefined, token), 200);
  // What a request brings counts before what its connection is.
  assert.equal(await ask('/v1/guests', 'operator', 'x'), 401);
  assert.equal(await ask('/healthz'), 200);
});

test('a stream takes a certificate as well', { skip }, async () => {
  const body = '{"order":18}';
  const made = await new Promise<number>((resolve, reject) => {
    request(`${daemon.url}/v1/guests/g`, {
      agent: false,
      method: 'PUT',
      ...tlsOf('operator'),
      headers: { 'content-type': 'application/json' },
    })
      .on('error', reject)
      .on('response', (response) => resolve(response.resume().statusCode!))
      .end(body);
  });
  assert.equal(made, 201);
  const url = `${daemon.url.replace('https', 'wss')}/v1/guests/g/stream?role=host`;
  const stream = await connect(url, 'hptd.v1', { ...tlsOf('operator') } as object);
  assert.equal(stream.hello.guest, 'g');
  stream.socket.terminate();
  await assert.rejects(connect(url, 'hptd.v1', { ...tlsOf('nobody') } as object), {
    statusCode: 401,
  });
});

test('who speaks no TLS, or breaks it off, harms nobody', { skip }, async () => {
  const port = Number(new URL(daemon.url).port);
  const sockets = Array.from({ length: 50 }, () => connectTcp(port, '127.0.0.1'));
  await Promise.all(
    sockets.map(
      (socket, i) =>
        new Promise<void>((resolve) => {
          socket.on('error', () => {});
          socket.once('close', () => resolve());
          if (i % 2 === 0) socket.write('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
          else socket.once('connect', () => socket.resetAndDestroy());
          socket.resume();
        }),
    ),
  );
  assert.equal(await ask('/healthz'), 200);
});

test('files that are no certificate and key are refused before anything listens', {
  skip,
}, async () => {
  const wrong = { ...options(), tlsKey: at('clients.key') };
  assert.throws(() => readReach(serveOptions.parse(wrong)), { member: 'tlsCert' });
  await assert.rejects(serve(wrong), { name: 'ConfigurationError' });
});

test('a renewed certificate is taken up on SIGHUP, without a restart', { skip }, async () => {
  const { hostname, port } = new URL(daemon.url);
  const served = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ host: hostname, port: Number(port), ...tlsOf() }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on('error', reject);
    });
  assert.equal(await served(), 'server');
  copyFileSync(at('renewed.pem'), at('server.pem'));
  copyFileSync(at('renewed.key'), at('server.key'));
  daemon.reload();
  assert.equal(await served(), 'renewed');
});
