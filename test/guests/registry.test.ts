/** Guests by name: their life, their streams, and calls on them. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { pino } from 'pino';
import {
  CREDIT_BYTES,
  FRAME_BYTES_MAX,
  GUESTS_MAX,
  STREAMS_PER_GUEST_MAX,
} from '../../schemas/limits.ts';
import type { ProblemCode } from '../../schemas/problems.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import { openGuests } from '../../src/guests/registry.ts';
import type { StreamEnd } from '../../src/guests/types.ts';
import { config, reads } from './configs.ts';

const PROCESSORS = 3;
const log = pino({ level: 'silent' });
const guests = await openGuests({ processors: PROCESSORS, log });
after(() => guests.close());

const withCode = (code: ProblemCode) => ({ name: 'ProblemError', code });

/** A listener that counts answers and waits for the end. */
function counter() {
  const tags: number[] = [];
  const end = Promise.withResolvers<StreamEnd>();
  return {
    tags,
    end: end.promise,
    onAnswers(bytes: Uint8Array): boolean {
      tags.push(...decodeAnswers(bytes).map(({ tag }) => tag));
      return true;
    },
    onEnd: end.resolve,
  };
}

test('a name is taken until its guest is gone, and can be used again', async () => {
  const guest = await guests.create('g', config());
  assert.equal(guests.get('g'), guest);
  assert.deepEqual(guests.list(), [guest]);
  await assert.rejects(guests.create('g', config()), withCode('guest-exists'));
  await guests.remove('g');
  assert.equal(guests.get('g'), undefined);
  await assert.rejects(guests.remove('g'), withCode('guest-not-found'));
  await assert.rejects(guest.run(reads(1)), withCode('guest-deleted'));
  await guests.create('g', config({ order: 20 }));
  assert.equal(guests.get('g')?.status().order, 20);
  await guests.remove('g');
});

test('there are as many guests as the limit allows, each with a table of its own', async () => {
  const names = Array.from({ length: GUESTS_MAX }, (_, i) => `g${i}`);
  const all = await Promise.all(names.map((name) => guests.create(name, config())));
  await assert.rejects(guests.create('more', config()), withCode('guest-limit'));
  const answers = await Promise.all(all.map((guest, i) => guest.run(reads(2, i))));
  assert.deepEqual(
    answers.map((pair) => pair[1]!.tag),
    all.map((_, i) => i + 1),
  );
  await Promise.all(names.map((name) => guests.remove(name)));
  assert.deepEqual(guests.list(), []);
});

test('guests come and go without using up memory', { timeout: 60_000 }, async () => {
  for (let i = 0; i < 150; i++) {
    const guest = await guests.create('g', config({ order: 26 }));
    assert.equal((await guest.run(reads(1)))[0]!.status, 0);
    await guests.remove('g');
  }
});

test('calls are answered in order, however many there are', async () => {
  const guest = await guests.create('g', config());
  const many = Math.ceil((2 * CREDIT_BYTES) / 24);
  const [none, one, lots, two] = await Promise.all([
    guest.run([]),
    guest.run(reads(1)),
    guest.run(reads(many, 1)),
    guest.run(reads(2, 9)),
  ]);
  assert.deepEqual(none, []);
  assert.deepEqual(
    one.map(({ tag }) => tag),
    [0],
  );
  assert.deepEqual(
    lots.map(({ tag }) => tag),
    Array.from({ length: many }, (_, i) => i + 1),
  );
  assert.deepEqual(
    two.map(({ tag }) => tag),
    [9, 10],
  );
  await guests.remove('g');
});

test('a table is prepared behind the calls of its guest, again and again', {
  timeout: 60_000,
}, async (context) => {
  const guest = await guests.create('g', config({ ramBytes: 2 ** 33 }));
  const [PREPARE, COMMIT, LONG_BUSY] = [0x36c, 0x370, 9902];
  const ask = async (opcode: number, order: number): Promise<number> =>
    (await guest.run([{ opcode, tag: 0, words: [0n, BigInt(order)] }]))[0]!.status;
  let busy = 0;
  for (const order of [26, 24, 26, 25, 26]) {
    while ((await ask(PREPARE, order)) === LONG_BUSY) busy++;
    assert.equal(await ask(COMMIT, order), 0);
    assert.equal(guest.status().order, order);
  }
  context.diagnostic(`${busy} times busy`);
  assert.ok(busy > 0, 'used memory was cleared while the guest went on');
  await guests.remove('g');
});

test('streams are spread over the processors, and a closed one makes room', async () => {
  const guest = await guests.create('g', config());
  const listeners = Array.from({ length: STREAMS_PER_GUEST_MAX - PROCESSORS - 1 }, counter);
  const streams = listeners.map((listener) => guest.openStream('guest', listener));
  const perProcessor = [0, 0, 0];
  for (const { processor } of streams) perProcessor[processor]!++;
  assert.ok(Math.max(...perProcessor) - Math.min(...perProcessor) <= 1, String(perProcessor));
  assert.throws(() => guest.openStream('guest', counter()), withCode('stream-limit'));
  assert.throws(() => guest.checkStream(), withCode('stream-limit'));
  assert.equal((await guest.run(reads(1))).length, 1, 'REST has room even so');
  for (const [i, stream] of streams.entries())
    assert.equal(stream.submit(encodeRequests(reads(1, i))), 'accepted');
  streams[0]!.close();
  while (guest.status().streams === streams.length) await new Promise(setImmediate);
  guest.openStream('guest', counter());
  await guests.remove('g');
  assert.deepEqual(
    listeners.slice(1).map(({ tags }) => tags[0]),
    streams.slice(1).map((_, i) => i + 1),
  );
  assert.deepEqual(listeners[0]!.tags, [], 'a closed stream has no events');
});

test('deleting a guest answers what is in flight, then ends its streams', async () => {
  const guest = await guests.create('g', config());
  const listeners = Array.from({ length: 4 }, counter);
  const streams = listeners.map((listener) => guest.openStream('guest', listener));
  const perFrame = Math.floor(FRAME_BYTES_MAX / 24) - 1;
  for (const stream of streams) {
    assert.equal(stream.submit(encodeRequests(reads(perFrame, 0))), 'accepted');
    assert.equal(stream.submit(encodeRequests(reads(perFrame, perFrame))), 'accepted');
  }
  const calls = guest.run(reads(100));
  const removal = guests.remove('g');
  assert.equal(streams[0]!.submit(encodeRequests(reads(1))), 'ended');
  assert.throws(() => guest.openStream('guest', counter()), withCode('guest-deleted'));
  await assert.rejects(guests.create('g', config()), withCode('guest-exists'));
  assert.equal(guest.status().state, 'ending');
  await Promise.all([removal, guests.remove('g')]);
  assert.equal((await calls).length, 100);
  for (const { tags, end } of listeners) {
    assert.deepEqual(await end, { kind: 'deleted' });
    assert.deepEqual(
      tags,
      Array.from({ length: 2 * perFrame }, (_, i) => i),
    );
  }
});

test('a listener that takes nothing holds its own stream up, and no deletion for ever', {
  timeout: 30_000,
}, async () => {
  const guest = await guests.create('g', config());
  const mute = { ...counter(), onAnswers: () => false };
  const stream = guest.openStream('guest', mute);
  const frame = encodeRequests(reads(FRAME_BYTES_MAX / 24 - 1, 0, true));
  let accepted = 0;
  for (let turn = 0; turn < 2000 && accepted < 100; turn++) {
    if (stream.submit(frame) === 'accepted') accepted++;
    await new Promise(setImmediate);
  }
  assert.ok(accepted < 10, `${accepted} frames were taken, though no answer was`);
  assert.equal((await guest.run(reads(1000))).length, 1000);
  await guests.remove('g');
  assert.deepEqual(await mute.end, { kind: 'deleted' });
});

test('a frame that is refused ends its stream with the reason, after the answers before it', async () => {
  const guest = await guests.create('g', config());
  const listener = counter();
  const stream = guest.openStream('guest', listener);
  stream.submit(encodeRequests(reads(5)));
  stream.submit(encodeRequests(reads(5)).subarray(0, 50));
  stream.submit(encodeRequests(reads(5)));
  assert.deepEqual(await listener.end, {
    kind: 'malformed',
    reason: 'byte 48: the frame ends inside a record, or is empty',
  });
  assert.deepEqual(listener.tags, [0, 1, 2, 3, 4]);
  assert.equal(stream.submit(encodeRequests(reads(1))), 'ended');
  assert.equal((await guest.run(reads(1))).length, 1);
  await guests.remove('g');
});

test('closing answers what is in flight and takes nothing new', async (context) => {
  const own = await openGuests({ processors: 2, log });
  context.after(() => own.close());
  const guest = await own.create('g', config());
  const listener = counter();
  const stream = guest.openStream('guest', listener);
  stream.submit(encodeRequests(reads(5000)));
  const calls = guest.run(reads(10));
  const closed = own.close();
  await assert.rejects(own.create('h', config()), withCode('shutting-down'));
  await assert.rejects(guest.run(reads(1)), withCode('shutting-down'));
  await closed;
  assert.equal((await calls).length, 10);
  assert.deepEqual(await listener.end, { kind: 'shutdown' });
  assert.equal(listener.tags.length, 5000);
});
