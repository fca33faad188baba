/** A daemon on a free loopback port, and sockets that do as they are told, for the tests of streams. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import type { z } from 'zod';
import type { guestConfig } from '../../schemas/guests.ts';
import { decodeAnswers } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { hello } from '../../schemas/stream.ts';
import type { Hello } from '../../schemas/stream.ts';
import { serve } from '../../src/main.ts';
import type { Daemon } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';

export interface TestDaemon extends Daemon {
  put(guest: string, changes?: Partial<z.input<typeof guestConfig>>): Promise<void>;
  delete(guest: string): Promise<void>;
  address(guest: string, query?: string): string;
  /** Records executed by each processor; the last is the main thread. */
  executed(guest: string): Promise<number[]>;
}

export async function startDaemon(processors = 2): Promise<TestDaemon> {
  const daemon = await serve(
    serveOptions.parse({ listen: '127.0.0.1:0', processors, logLevel: 'silent' }),
  );
  const request = async (method: string, guest: string, body?: object): Promise<void> => {
    const response = await fetch(`${daemon.url}/v1/guests/${guest}`, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    assert.ok(response.ok, await response.text());
  };
  return {
    ...daemon,
    put: (guest, changes) => request('PUT', guest, { order: 18, ramBytes: 2 ** 28, ...changes }),
    delete: (guest) => request('DELETE', guest),
    address: (guest, query = '') =>
      `${daemon.url.replace('http', 'ws')}/v1/guests/${guest}/stream${query}`,
    async executed(guest) {
      const metrics = await (await fetch(`${daemon.url}/metrics`)).text();
      const lines = metrics.matchAll(/^hptd_records_total{guest="(.*)",processor="\d+"} (\d+)$/gm);
      return [...lines].flatMap(([, name, records]) => (name === guest ? Number(records) : []));
    },
  };
}

export interface TestSocket {
  readonly socket: WebSocket;
  readonly hello: Hello;
  /** Everything after the hello, in the order of its coming. */
  readonly messages: Buffer[];
  readonly closed: Promise<{ code: number; reason: string }>;
  /** The first `count` answers of a binary stream, as soon as they are there. */
  answers(count: number): Promise<AnswerRecord[]>;
  /** The message of this index, parsed. */
  json(index: number): Promise<unknown>;
}

export async function connect(
  address: string,
  protocol = 'hptd.v1',
  options: ClientOptions = {},
): Promise<TestSocket> {
  const protocols = protocol === '' ? [] : [protocol];
  const socket = new WebSocket(address, protocols, { perMessageDeflate: false, ...options });
  const inbox = collect(socket);
  const greeting = hello.parse(JSON.parse((await inbox.greeting).toString()));
  const { messages } = inbox;
  const records: AnswerRecord[] = [];
  let decoded = 0;
  return {
    socket,
    hello: greeting,
    messages,
    closed: inbox.closed,
    answers: (count) =>
      inbox.until(() => {
        for (; decoded < messages.length; decoded++) {
          records.push(...decodeAnswers(messages[decoded]!));
        }
        return records.length < count ? undefined : records.slice(0, count);
      }),
    json: (index) =>
      inbox.until(() => {
        const message = messages[index];
        return message === undefined ? undefined : (JSON.parse(message.toString()) as unknown);
      }),
  };
}

/** Listens before anything can come. The greeting rejects with the response that refused the upgrade. */
function collect(socket: WebSocket) {
  const messages: Buffer[] = [];
  const greeting = Promise.withResolvers<Buffer>();
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  let changed = Promise.withResolvers<void>();
  const change = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  socket.once('message', (first: Buffer) => {
    greeting.resolve(first);
    socket.on('message', (data: Buffer) => void messages.push(data));
  });
  socket.on('message', change);
  socket.on('close', (code, reason) => {
    closed.resolve({ code, reason: reason.toString() });
    change();
  });
  socket.on('error', (error) => greeting.reject(error));
  socket.on('unexpected-response', (_request, response: IncomingMessage) =>
    greeting.reject(response),
  );
  return {
    messages,
    greeting: greeting.promise,
    closed: closed.promise,
    async until<T>(look: () => T | undefined): Promise<T> {
      for (;;) {
        const found = look();
        if (found !== undefined) return found;
        assert.equal(socket.readyState, WebSocket.OPEN, 'the stream ended too early');
        await changed.promise;
      }
    },
  };
}

/** The daemon's refusal of an upgrade. */
export async function refusal(
  address: string,
  protocol = 'hptd.v1',
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await connect(address, protocol).then(
    () => assert.fail('the upgrade was not refused'),
    (refused: IncomingMessage) => refused,
  );
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(response, 'end');
  assert.match(response.headers['content-type'] ?? '', /^application\/problem\+json/);
  return {
    status: response.statusCode!,
    body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
  };
}
