/** Table streams that nobody goes on with: cut off and closed after `htabIdleSecondsMax`, by a daemon that has little patience. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HTAB_READERS_MAX } from '../../schemas/limits.ts';
import { serve, type Daemon } from '../../src/main.ts';
import { fullTable, getPass, putChunks, send as sendTo } from './htab-support.ts';

/** A table whose stream is longer than what sockets and daemon take without being read. */
const ORDER = 24;
const TRIES = 400;
const LOOK_MILLIS = 50;

let impatient: Daemon;
let patient: Daemon;
before(async () => {
  const options = {
    listen: '127.0.0.1:0',
    socket: 'none',
    processors: 1,
    logLevel: 'silent',
  } as const;
  impatient = await serve({ ...options, htabIdleSecondsMax: 1 });
  patient = await serve(options);
});
after(() => Promise.all([impatient.close(), patient.close()]));

async function createFull(daemon: Daemon, name: string, order: number): Promise<string> {
  const guest = `/v1/guests/${name}`;
  const config = { order, ramBytes: 2 ** 32, state: 'paused' };
  assert.equal((await sendTo(daemon, 'PUT', guest, config)).status, 201);
  const filled = await putChunks(daemon, `${guest}/htab`, [fullTable(order)]);
  assert.equal(filled.status, 200, JSON.stringify(filled.json));
  return guest;
}

/** Readers of the engine that are open: those that can still be opened, less. */
async function openReaders(daemon: Daemon, guest: string): Promise<number> {
  const free: unknown[] = [];
  for (;;) {
    const body = { start: 0, flags: 0 };
    const { json } = await sendTo(daemon, 'POST', `${guest}/control/HTAB_OPEN`, body);
    if (json.status !== 'H_SUCCESS') break;
    free.push(json.reader);
  }
  for (const reader of free)
    await sendTo(daemon, 'POST', `${guest}/control/HTAB_CLOSE`, { reader });
  return HTAB_READERS_MAX - free.length;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < TRIES, `never: ${what}`);
    await sleep(LOOK_MILLIS);
  }
}

/** Begins a pass and takes nothing of it. */
async function untaken(daemon: Daemon, path: string): Promise<IncomingMessage> {
  const asked = request(`${daemon.url}${path}`).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  return response;
}

test('a reader gives one pass at a time, and is free again behind it', async () => {
  const guest = await createFull(patient, 'g', ORDER);
  const pass = await untaken(patient, `${guest}/htab?follow=true`);
  const path = pass.headers.location!;
  const second = await sendTo(patient, 'GET', path);
  assert.deepEqual([second.status, second.json.code], [409, 'htab-reader-busy']);
  let bytes = 0;
  pass.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(pass, 'end');
  assert.ok(bytes > 2 ** ORDER, 'the refusal cost the pass nothing');
  assert.equal((await getPass(patient, path)).status, 200);
});

test('a pass of which nothing is taken is cut short, and its reader closed', async () => {
  const guest = await createFull(impatient, 'g', ORDER);
  const pass = await untaken(impatient, `${guest}/htab?follow=true`);
  const path = pass.headers.location!;
  await until('no reader', async () => (await openReaders(impatient, guest)) === 0);
  await assert.rejects(async () => {
    for await (const chunk of pass) assert.ok(chunk);
  }, /aborted/);
  const next = await sendTo(impatient, 'GET', path);
  assert.deepEqual([next.status, next.json.code], [404, 'htab-reader-not-found']);
});

test('a reader that is left alone is closed', async () => {
  const guest = await createFull(impatient, 'small', 18);
  const left = await getPass(impatient, `${guest}/htab?follow=true`);
  await until('no reader', async () => (await openReaders(impatient, guest)) === 0);
  const next = await sendTo(impatient, 'GET', left.location!);
  assert.deepEqual([next.status, next.json.code], [404, 'htab-reader-not-found']);
  assert.match(String(next.json.detail), /left alone for 1000 ms/);
});

test('a load whose sender is silent is cut off, and the guest can be loaded again', async () => {
  const guest = await createFull(impatient, 'loaded', 18);
  const table = fullTable(18);
  const stalled = Promise.withResolvers<never>();
  async function* half(): AsyncGenerator<Uint8Array> {
    yield table.subarray(0, 1000);
    await stalled.promise;
  }
  const answer = await putChunks(impatient, `${guest}/htab`, half());
  assert.deepEqual([answer.status, answer.json.code], [408, 'request-too-slow']);
  assert.match(String(answer.json.detail), /nothing came for 1000 ms/);
  const again = await putChunks(impatient, `${guest}/htab`, [table]);
  assert.equal(again.status, 200);
});
