/** The states of a guest: which follow which, and what a paused guest does and does not do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { GUEST_STATES, mayBecome } from '../../schemas/guest-states.ts';
import type { AskedState, GuestState } from '../../schemas/guest-states.ts';
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import { guestsOn } from '../../src/guests/registry.ts';
import type { Guest, Role, StreamEnd } from '../../src/guests/types.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { openLiveGuest } from '../failure/live-guest.ts';
import { config, enter, reads } from './configs.ts';

const module = await compileEngine();
const log = pino({ level: 'silent' });

async function openGuests(context: TestContext, processors = 2) {
  const pool = await startPool(module, processors);
  const guests = guestsOn(pool, module, log);
  context.after(() => guests.close());
  return { pool, guests };
}

/** A stream and what it was answered. */
function openListened(guest: Guest, role: Role = 'guest') {
  const answers: AnswerRecord[] = [];
  const ended = Promise.withResolvers<StreamEnd>();
  let onAnswer: (() => void) | undefined;
  const stream = guest.openStream(role, {
    onAnswers(bytes) {
      answers.push(...decodeAnswers(bytes));
      onAnswer?.();
      return true;
    },
    onEnd: ended.resolve,
  });
  return {
    stream,
    answers,
    ended: ended.promise,
    send: (...records: RequestRecord[]) => stream.submit(encodeRequests(records)),
    async until(count: number): Promise<void> {
      while (answers.length < count) {
        await new Promise<void>((resolve) => {
          onAnswer = resolve;
        });
      }
    },
  };
}

const control = (name: string, ...words: bigint[]): RequestRecord => ({
  opcode: operationByName(name)!.opcode,
  tag: 0xc0,
  words,
});

const count = (guest: Guest) => guest.run([control('TABLE_COUNT', 0n, 65536n)]);

/** Long enough for a processor to have executed what it would execute. */
async function settle(guest: Guest): Promise<void> {
  for (let i = 0; i < 20; i++) await count(guest);
}

test('the table of transitions is the one that guests keep to', async (context) => {
  const { guests } = await openGuests(context, 1);
  const asked: AskedState[] = ['running', 'paused', 'migrating'];
  const ways: Record<string, AskedState[]> = {
    running: [],
    paused: ['paused'],
    migrating: ['migrating'],
  };
  for (const [from, way] of Object.entries(ways)) {
    for (const to of asked) {
      const guest = await guests.create('g', config());
      for (const step of way) await guest.changeState(step);
      assert.equal(guest.status().state, from);
      if (mayBecome(from as GuestState, to)) {
        await guest.changeState(to);
        assert.equal(guest.status().state, to);
      } else {
        await assert.rejects(guest.changeState(to), {
          code: 'guest-state',
          detail: `g is ${from} and cannot become ${to}; it may become: ${GUEST_STATES[from as GuestState].next.join(' or ')}`,
        });
        assert.equal(guest.status().state, from);
      }
      await guests.remove('g');
      await assert.rejects(guest.changeState(to), { code: 'guest-deleted' });
    }
  }
});

test('a stream of a paused guest waits, and goes on where it was', async (context) => {
  const { guests } = await openGuests(context);
  const guest = await guests.create('g', config());
  const stream = openListened(guest);
  stream.send(enter(1, 0n));
  await stream.until(1);
  await guest.changeState('paused');
  assert.equal(stream.send(enter(2, 1n), enter(3, 2n)), 'accepted');
  assert.equal(stream.send(enter(4, 3n)), 'accepted');
  await settle(guest);
  assert.equal(stream.answers.length, 1);
  assert.equal((await count(guest))[0]!.words[1], 1n, 'one valid entry: nothing was executed');
  await assert.rejects(guest.run(reads(1)), { code: 'guest-paused' });
  await assert.rejects(guest.run([control('TABLE_COUNT', 0n, 8n), ...reads(1)]), {
    code: 'guest-paused',
  });
  const late = openListened(guest);
  late.send(enter(5, 4n));
  await guest.changeState('running');
  await Promise.all([stream.until(4), late.until(1)]);
  assert.deepEqual(
    stream.answers.map(({ tag, status }) => [tag, status]),
    [1, 2, 3, 4].map((tag) => [tag, 0]),
  );
  assert.equal((await guest.run(reads(1))).length, 1);
});

test("a host's stream goes on up to its first hcall, and waits there", async (context) => {
  const { guests } = await openGuests(context);
  const guest = await guests.create('g', config());
  await guest.changeState('paused');
  const host = openListened(guest, 'host');
  const look = control('TABLE_COUNT', 0n, 8n);
  host.send(look, look);
  host.send(look, enter(1, 0n), look);
  host.send(look);
  await host.until(3);
  await settle(guest);
  assert.equal(host.answers.length, 3);
  await guest.changeState('running');
  await host.until(6);
  assert.deepEqual(
    host.answers.map(({ tag, words }) => [tag, tag === 1 ? 'entered' : words[1]]),
    [
      [0xc0, 0n],
      [0xc0, 0n],
      [0xc0, 0n],
      [1, 'entered'],
      [0xc0, 1n],
      [0xc0, 1n],
    ],
  );
});

test('a guest can be born paused, and takes a table before its first hcall', async (context) => {
  const { guests } = await openGuests(context);
  const guest = await guests.create('g', config({ state: 'paused' }));
  assert.equal(guest.status().state, 'paused');
  const stream = openListened(guest);
  stream.send(...reads(1));
  assert.equal((await guest.run([control('HPT_RESET', 19n)]))[0]!.status, 0);
  assert.equal(guest.status().order, 19);
  assert.equal(stream.answers.length, 0);
  await guest.changeState('running');
  await stream.until(1);
});

test('paused is answered when nothing is executed any more, again and again', async (context) => {
  const pool = await startPool(module, 2);
  context.after(() => stopPool(pool));
  const { guest, view } = openLiveGuest(pool, config());
  context.after(() => guest.finish({ kind: 'deleted' }, 1000));
  const streams = [openListened(guest), openListened(guest)];
  const { STREAMS, STREAM_BYTES, EXECUTED_TO } = view.exports;
  const executed = () =>
    streams.map((_, slot) => view.word32(STREAMS! + STREAM_BYTES! * slot + EXECUTED_TO!));
  let [sent, inTheMiddle] = [0, 0];
  for (let round = 0; round < 30; round++) {
    // An H_CLEAR_HPT looks at the whole table, so that there is a middle to pause in.
    const clears = Array.from({ length: 400 }, (_, i) => ({
      opcode: 0x358,
      tag: sent + i,
      words: [],
    }));
    for (const { send } of streams) assert.equal(send(...clears), 'accepted');
    const rest = guest.run(reads(200)).catch((error: { code: string }) => error.code);
    sent += 400;
    await guest.changeState('paused');
    const stood = executed();
    await settle(guest);
    assert.deepEqual(executed(), stood);
    if (streams.some(({ answers }) => answers.length < sent)) inTheMiddle++;
    const outcome = await rest;
    assert.ok(outcome === 'guest-paused' || outcome.length === 200);
    await guest.changeState('running');
    await Promise.all(streams.map((stream) => stream.until(sent)));
  }
  context.diagnostic(`${inTheMiddle} of 30 pauses came in the middle of frames`);
  assert.ok(inTheMiddle > 0);
  for (const { answers } of streams) {
    assert.deepEqual(
      answers.map(({ tag }) => tag),
      Array.from({ length: sent }, (_, i) => i),
    );
  }
});

test('changes asked for at once are made one after the other', async (context) => {
  const { guests } = await openGuests(context);
  const guest = await guests.create('g', config());
  const outcomes = await Promise.allSettled([
    guest.changeState('paused'),
    guest.changeState('paused'),
    guest.changeState('migrating'),
    guest.changeState('running'),
    guest.changeState('migrating'),
  ]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  assert.equal(guest.status().state, 'migrating');
  assert.equal((await guest.run(reads(1))).length, 1);
});

for (const [what, end] of [
  ['deleting', 'deleted'],
  ['shutting down', 'shutdown'],
] as const) {
  test(`${what} a paused guest ends at once, and nothing of what waited happened`, {
    timeout: 20_000,
  }, async (context) => {
    const { guests } = await openGuests(context);
    const guest = await guests.create('g', config());
    const [stream, host] = [openListened(guest), openListened(guest, 'host')];
    await guest.changeState('paused');
    stream.send(enter(1, 0n));
    host.send(control('TABLE_COUNT', 0n, 8n), enter(1, 1n));
    await host.until(1);
    if (end === 'deleted') await guests.remove('g');
    else await guests.close();
    assert.deepEqual(await stream.ended, { kind: end });
    assert.deepEqual(await host.ended, { kind: end });
    assert.deepEqual([stream.answers.length, host.answers.length], [0, 1]);
  });
}

test('a client that leaves a paused guest gives its stream back', async (context) => {
  const { guests } = await openGuests(context);
  const guest = await guests.create('g', config());
  await guest.changeState('paused');
  const stream = openListened(guest);
  stream.send(enter(1, 0n));
  stream.stream.close();
  while (guest.status().streams > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await guest.changeState('running');
  assert.equal((await count(guest))[0]!.words[1], 0n);
});

test('the death of a processor changes nothing about a pause', {
  timeout: 30_000,
}, async (context) => {
  const { pool, guests } = await openGuests(context, 2);
  const guest = await guests.create('g', config());
  const stream = openListened(guest);
  const doomed = pool.processors[stream.stream.processor]!;
  for (let round = 0; round < 4; round++) {
    const before = stream.answers.length;
    stream.send(...reads(4000));
    // While it is being paused: whoever dies before it passed has a successor that does.
    const change = guest.changeState('paused');
    const death = doomed.worker.terminate();
    await Promise.all([change, death]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await settle(guest);
    const stood = stream.answers.length;
    // While it is paused.
    await doomed.worker.terminate();
    await settle(guest);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(stream.answers.length, stood);
    assert.equal(guest.status().state, 'paused');
    await guest.changeState('running');
    await stream.until(before + 4000);
  }
});
