/** The client against real daemons: killed and started again under calls in flight, and cut off while they live. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type CallOutcome,
  CallsLostError,
  type Client,
  connect,
  type GuestStream,
  type StreamState,
} from '../../src/client/index.ts';

const PROGRAM = fileURLToPath(new URL('../operations/daemon-process.ts', import.meta.url));
const GROUPS = 1000;
const BACKOFF = { firstMillis: 20, mostMillis: 100, attempts: 200 };

async function start(
  context: TestContext,
  listen: string,
): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [PROGRAM, listen], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return { child, url: line.trim() };
}

const createGuest = (client: Client) => client.createGuest('g', { order: 18, ramBytes: 2 ** 28 });

/** An H_ENTER of its own group; its guest page tells which call it was. */
const enter = (number: number) =>
  ({
    hcall: 'H_ENTER',
    ptex: BigInt(8 * (number % GROUPS)),
    pteh: (BigInt(number + 1) << 12n) | 1n,
    ptel: 0x190n,
  }) as const;

/** How often each call's entry is in the table. */
async function entered(client: Client): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  for (let first = 0; first < GROUPS; first += 250) {
    const reads = Array.from({ length: 500 }, (_, i) => ({
      hcall: 'H_READ' as const,
      flags: ['H_READ_4'] as const,
      ptex: BigInt(8 * first + 4 * i),
    }));
    for (const read of await client.callMany('g', reads)) {
      for (const pteh of [read.pteh0, read.pteh1, read.pteh2, read.pteh3]) {
        if (pteh === undefined || (pteh & 1n) === 0n) continue;
        const number = Number(pteh >> 12n) - 1;
        counts.set(number, (counts.get(number) ?? 0) + 1);
      }
    }
  }
  return counts;
}

interface Traffic {
  /** By call. */
  readonly outcomes: Map<number, Promise<Outcome>>;
  stop(): void;
  readonly stopped: Promise<void>;
}

type Outcome = CallOutcome['outcome'];

/** What became of the calls; each that was answered entered. */
async function outcomesOf(stream: GuestStream, first: number, count: number): Promise<Outcome[]> {
  try {
    const calls = Array.from({ length: count }, (_, i) => enter(first + i));
    const answers = await stream.callMany(calls);
    for (const { status } of answers) assert.equal(status, 'H_SUCCESS');
    return answers.map(() => 'answered');
  } catch (error) {
    assert.ok(error instanceof CallsLostError, String(error));
    return error.outcomes.map(({ outcome }) => outcome);
  }
}

/** Calls without end, a few hundred overlapping. */
function traffic(stream: GuestStream): Traffic {
  const outcomes: Traffic['outcomes'] = new Map();
  // More would fill the groups.
  const limit = { calls: 7 * GROUPS };
  const run = async (): Promise<void> => {
    for (let step = 0; outcomes.size < limit.calls; step++) {
      const first = outcomes.size;
      const count = 1 + (step % 30);
      const batch = outcomesOf(stream, first, count);
      for (let i = 0; i < count; i++)
        outcomes.set(
          first + i,
          batch.then((all) => all[i]!),
        );
      if (step % 20 === 0) await batch;
      else if (step % 3 === 0) await new Promise(setImmediate);
    }
  };
  return { outcomes, stop: () => void (limit.calls = 0), stopped: run() };
}

async function settled(outcomes: Traffic['outcomes']) {
  return Promise.all(
    [...outcomes].map(async ([number, outcome]) => ({ number, outcome: await outcome })),
  );
}

for (const kind of ['a Unix socket', 'a port']) {
  test(`a daemon on ${kind} is killed and started again`, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'hptd-client-'));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const asked = kind === 'a port' ? '127.0.0.1:0' : `unix:${join(folder, 'socket')}`;
    const first = await start(context, asked);
    const client = connect(first.url);
    await createGuest(client);
    const states: StreamState[] = [];
    const reopened = Promise.withResolvers<void>();
    const stream = await client.stream('g', {
      reconnect: BACKOFF,
      onState: (state) => {
        states.push(state);
        if (state.state === 'open' && states.length > 1) reopened.resolve();
      },
    });
    context.after(() => stream.close());
    const calls = traffic(stream);
    while (calls.outcomes.size < 1200) await new Promise(setImmediate);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    calls.stop();
    await start(context, kind === 'a port' ? first.url.slice('http://'.length) : first.url);
    await createGuest(client);
    await Promise.all([reopened.promise, calls.stopped]);
    const all = await settled(calls.outcomes);
    assert.ok(
      all.some(({ outcome }) => outcome === 'unknown'),
      'something was in flight',
    );
    const [opened] = states.slice(-1);
    assert.ok(opened?.state === 'open' && !opened.sameGuest);
    // The new guest has only what was asked of it after the program was told.
    assert.equal((await entered(client)).size, 0);
    assert.deepEqual(
      (await stream.callMany([enter(1), enter(2)])).map(({ code }) => code),
      [0, 0],
    );
    assert.deepEqual(new Set((await entered(client)).keys()), new Set([1, 2]));
    assert.equal(states.filter(({ state }) => state === 'lost').length, states.length - 2);
  });
}

test('a cut connection to a daemon that lives: every entry is there once, or not at all', async (context) => {
  const daemon = await start(context, '127.0.0.1:0');
  const direct = connect(daemon.url);
  await createGuest(direct);
  const wire = await openWire(context, Number(new URL(daemon.url).port));
  let opened = 0;
  const stream = await connect(wire.url).stream('g', {
    reconnect: BACKOFF,
    onState: (state) => {
      if (state.state === 'open') opened++;
      if (state.state === 'open') assert.ok(state.sameGuest);
    },
  });
  context.after(() => stream.close());
  const calls = traffic(stream);
  for (let cuts = 1; cuts <= 8; cuts++) {
    while (calls.outcomes.size < 600 * cuts) await new Promise(setImmediate);
    wire.cut();
  }
  calls.stop();
  await calls.stopped;
  const all = await settled(calls.outcomes);
  const table = await entered(direct);
  for (const { number, outcome } of all) {
    const times = table.get(number) ?? 0;
    if (outcome === 'answered') assert.equal(times, 1, `call ${number}`);
    if (outcome === 'unknown') assert.ok(times <= 1, `call ${number}: ${times} entries`);
    if (outcome === 'not-sent') assert.equal(times, 0, `call ${number}`);
  }
  assert.ok(opened >= 2 && all.some(({ outcome }) => outcome === 'unknown'));
});

/** A wire to a daemon that can be cut. */
async function openWire(context: TestContext, port: number): Promise<{ url: string; cut(): void }> {
  const ends = new Set<Socket>();
  const server = createServer((near) => {
    const far = connectSocket(port, '127.0.0.1');
    for (const end of [near, far]) {
      ends.add(end);
      end.on('error', () => {});
      end.on('close', () => {
        ends.delete(end);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const end of ends) end.destroy();
  };
  context.after(() => {
    server.close();
    cut();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
}
