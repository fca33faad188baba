/** Streams in comfort against a daemon that watches and is lost at will: what is answered, kept, rejected, sent once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT_WAITING_BYTES_MAX } from '../../schemas/limits.ts';
import { CLOSE_CODES } from '../../schemas/stream.ts';
import {
  type CallOutcome,
  CallsLostError,
  connect,
  type GuestStream,
  type GuestStreamOptions,
  ProtocolError,
  type StreamState,
  UnavailableError,
} from '../../src/client/index.ts';
import { seededRandom } from '../rings/random.ts';
import { type FakeDaemon, type FakeOptions, startFakeDaemon } from './fake-daemon.ts';

const SMALL = { frameBytes: 96, creditBytes: 230, frameOverheadBytes: 8 };
const QUICK = { firstMillis: 1, mostMillis: 4, attempts: 5 };
const echo = ({ words }: { words: readonly bigint[] }) => ({ status: 0, words: [...words] });

interface Scene {
  readonly daemon: FakeDaemon;
  readonly stream: GuestStream;
  readonly states: StreamState[];
  /** The first state of that name that comes. */
  readonly reached: (name: StreamState['state'], nth?: number) => Promise<StreamState>;
  readonly cut: () => void;
}

async function scene(
  fake: FakeOptions,
  options: GuestStreamOptions,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const daemon = await startFakeDaemon({ answer: echo, ...fake });
  const states: StreamState[] = [];
  let changed = Promise.withResolvers<void>();
  try {
    const stream = await connect(daemon.url).stream('g', {
      reconnect: QUICK,
      ...options,
      onState: (state) => {
        states.push(state);
        changed.resolve();
        changed = Promise.withResolvers();
      },
    });
    try {
      await body({
        daemon,
        stream,
        states,
        reached: async (name, nth = 1) => {
          for (;;) {
            const found = states.filter(({ state }) => state === name)[nth - 1];
            if (found !== undefined) return found;
            await changed.promise;
          }
        },
        cut: () => {
          for (const socket of daemon.sockets) socket.terminate();
        },
      });
    } finally {
      await stream.close();
    }
    assert.deepEqual(daemon.faults, []);
  } finally {
    await daemon.close();
  }
}

const read = (stream: GuestStream, ptex: number) => stream.call('H_READ', { ptex: BigInt(ptex) });
const many = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ hcall: 'H_READ', ptex: BigInt(first + i) }) as const);
const received = ({ received }: FakeDaemon) => received.map(({ words }) => Number(words[1]));

/** So many requests have come to the daemon. */
async function came(daemon: FakeDaemon, requests: number): Promise<void> {
  while (daemon.received.length < requests) await new Promise(setImmediate);
}

/** How a promise was rejected. */
async function lostBy(call: Promise<unknown>): Promise<CallsLostError> {
  const error = await call.then(
    () => assert.fail('it was answered'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CallsLostError, String(error));
  return error;
}
const kinds = ({ outcomes }: { outcomes: readonly CallOutcome[] }) =>
  outcomes.map(({ outcome }) => outcome);

test('calls of one turn leave in one frame and are answered in order, by name', () =>
  scene({ answersPerFrame: 3 }, {}, async ({ daemon, stream }) => {
    const order: number[] = [];
    const calls = Array.from({ length: 50 }, async (_, i) => {
      const answer = await read(stream, i);
      order.push(i);
      return answer;
    });
    const batch = stream.callMany([
      { hcall: 'H_REMOVE', flags: ['H_AVPN'], ptex: 7n, avpn: 0xffff_ffff_ffff_ffffn },
      { hcall: 'H_CLEAR_HPT' },
    ]);
    const answers = await Promise.all(calls);
    assert.deepEqual(
      order,
      Array.from({ length: 50 }, (_, i) => i),
    );
    assert.deepEqual(answers[9], {
      hcall: 'H_READ',
      status: 'H_SUCCESS',
      code: 0,
      pteh0: 0n,
      ptel0: 9n,
    });
    const [removed, cleared] = await batch;
    assert.deepEqual([removed.pteh, removed.ptel], [0x8000_0000n, 7n]);
    assert.deepEqual(removed.data, [0xffff_ffff_ffff_ffffn]);
    assert.equal(cleared.hcall, 'H_CLEAR_HPT');
    assert.equal(daemon.frames, 1);
    assert.deepEqual(await stream.callMany([]), []);
  }));

test('credits are kept and used up, however many calls there are', () =>
  scene({ limits: SMALL, answersPerFrame: 5 }, {}, async ({ daemon, stream }) => {
    const answers = await Promise.all([
      stream.callMany(many(0, 500)),
      ...many(500, 100).map(({ ptex }) => read(stream, Number(ptex))),
    ]);
    assert.equal(answers.length, 101);
    assert.deepEqual(
      received(daemon),
      Array.from({ length: 600 }, (_, i) => i),
    );
    // Two frames of four reads: 2 * (96 + 8).
    assert.equal(daemon.mostInFlight, 208);
  }));

test('after a loss: what was sent is rejected with what is known, what was not is sent, once', () =>
  scene({ limits: SMALL, answersPerFrame: 2 }, {}, async ({ daemon, stream, reached, cut }) => {
    daemon.hold();
    const [alone, half, kept] = [
      read(stream, 0),
      stream.callMany(many(1, 9)),
      stream.callMany(many(10, 3)),
    ];
    const fates = Promise.all([lostBy(alone), lostBy(half)]);
    await came(daemon, 8);
    // Two frames of four are all that credits allow.
    assert.deepEqual(received(daemon), [0, 1, 2, 3, 4, 5, 6, 7]);
    cut();
    daemon.release();
    const [first, second] = await fates;
    assert.deepEqual(kinds(first), ['unknown']);
    assert.equal(first.mayHaveHappened, true);
    assert.match(
      first.message,
      /^of 1 call 1 may or may not have happened: the connection was lost/,
    );
    assert.deepEqual(kinds(second), [
      ...Array.from({ length: 7 }, () => 'unknown'),
      ...Array.from({ length: 2 }, () => 'not-sent'),
    ]);
    const lost = await reached('lost');
    assert.ok(lost.state === 'lost');
    assert.deepEqual(
      [lost.callsLost, lost.callsKept, lost.attempt, lost.waitMillis],
      [10, 3, 1, 1],
    );
    assert.equal((await kept).length, 3);
    assert.deepEqual(received(daemon), [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12]);
    const again = await reached('open', 2);
    assert.ok(again.state === 'open' && again.sameGuest);
  }));

test('answers that came before the loss are told with it', () =>
  scene({ limits: SMALL, answersPerFrame: 1 }, {}, async ({ daemon, stream, cut }) => {
    const fate = lostBy(stream.callMany(many(0, 400)));
    while (daemon.received.length < 40) await new Promise(setImmediate);
    cut();
    const error = await fate;
    const count = (kind: string) => kinds(error).filter((one) => one === kind).length;
    assert.ok(count('answered') >= 32 && count('unknown') >= 1 && count('not-sent') >= 100);
    assert.deepEqual(
      kinds(error),
      kinds(error).toSorted((a, b) => rank(a) - rank(b)),
    );
    error.outcomes.forEach((one, i) => {
      if (one.outcome === 'answered')
        assert.equal((one.answer as { ptel0: bigint }).ptel0, BigInt(i));
    });
  }));
const rank = (kind: string) => ['answered', 'unknown', 'not-sent'].indexOf(kind);

test("unsent: 'reject' keeps nothing", () =>
  scene({ limits: SMALL }, { unsent: 'reject' }, async ({ daemon, stream, reached, cut }) => {
    daemon.hold();
    const fates = Promise.all([lostBy(stream.callMany(many(0, 8))), lostBy(read(stream, 8))]);
    await came(daemon, 8);
    cut();
    const [sent, unsent] = await fates;
    assert.equal(sent.mayHaveHappened, true);
    assert.deepEqual(kinds(unsent), ['not-sent']);
    assert.equal(unsent.mayHaveHappened, false);
    await reached('open', 2);
    daemon.release();
    await read(stream, 9);
    assert.deepEqual(received(daemon), [0, 1, 2, 3, 4, 5, 6, 7, 9]);
  }));

test('what was kept for one guest is not sent to another of its name', () => {
  let created = 0;
  return scene(
    { limits: SMALL, createdAt: () => String(created++) },
    {},
    async ({ daemon, stream, reached, cut }) => {
      daemon.hold();
      const fates = Promise.all([lostBy(stream.callMany(many(0, 8))), lostBy(read(stream, 8))]);
      await came(daemon, 8);
      cut();
      const [, kept] = await fates;
      assert.deepEqual(kinds(kept), ['not-sent']);
      assert.match(kept.message, /created anew/);
      const again = await reached('open', 2);
      assert.ok(again.state === 'open' && !again.sameGuest);
      daemon.release();
      assert.equal((await read(stream, 9)).code, 0);
      assert.equal(received(daemon).includes(8), false);
    },
  );
});

for (const { code, again } of [
  ...CLOSE_CODES,
  { code: 1013, again: true },
  { code: 4999, again: false },
]) {
  test(`close code ${code}: ${again ? 'connects again' : 'is the end'}`, () =>
    scene({}, {}, async ({ daemon, stream, reached, states }) => {
      for (const socket of daemon.sockets) socket.close(code);
      if (again) {
        await reached('open', 2);
        assert.equal((await read(stream, 1)).code, 0);
        return;
      }
      const ended = await reached('ended');
      assert.ok(ended.state === 'ended' && ended.cause !== undefined);
      assert.equal((ended.cause as { code?: number }).code, code);
      const refused = await lostBy(read(stream, 1));
      assert.deepEqual([kinds(refused), refused.cause], [['not-sent'], ended.cause]);
      assert.deepEqual(
        states.map(({ state }) => state),
        ['open', 'ended'],
      );
    }));
}

test('reconnect: false makes the first loss the end', () =>
  scene({}, { reconnect: false }, async ({ reached, states, cut }) => {
    cut();
    await reached('ended');
    assert.equal(states.length, 2);
  }));

test('waits double up to their bound, and after the last attempt it is over', () =>
  scene({}, {}, async ({ daemon, stream, states, reached }) => {
    await daemon.close();
    await reached('lost');
    const kept = lostBy(read(stream, 1));
    const ended = await reached('ended');
    assert.deepEqual(
      states.flatMap((one) => (one.state === 'lost' ? [one.waitMillis] : [])),
      [1, 2, 4, 4, 4],
    );
    assert.ok(ended.state === 'ended' && ended.cause instanceof UnavailableError);
    assert.deepEqual(kinds(await kept), ['not-sent']);
  }));

test('close ends a wait at once, and rejects what waited', () =>
  scene(
    {},
    { reconnect: { firstMillis: 1_000_000, mostMillis: 1_000_000 } },
    async ({ stream, reached, cut }) => {
      cut();
      await reached('lost');
      const waiting = lostBy(read(stream, 1));
      await stream.close();
      const error = await waiting;
      assert.deepEqual(kinds(error), ['not-sent']);
      assert.match(error.message, /closed here/);
    },
  ));

test('a daemon that breaks the protocol is not asked again', () =>
  scene({}, {}, async ({ daemon, stream, reached }) => {
    daemon.hold();
    const fate = lostBy(read(stream, 1));
    await came(daemon, 1);
    const wrongTag = Buffer.alloc(8);
    wrongTag.writeUInt32LE(77, 4);
    for (const socket of daemon.sockets) socket.send(wrongTag);
    const ended = await reached('ended');
    assert.ok(ended.state === 'ended' && ended.cause instanceof ProtocolError);
    assert.match((await fate).message, /came with the tag 77/);
  }));

test('what waits unsent is bounded', () =>
  scene({}, {}, async ({ daemon, stream, cut }) => {
    daemon.hold();
    const fill = lostBy(stream.callMany(many(0, Math.floor(CLIENT_WAITING_BYTES_MAX / 24))));
    await assert.rejects(read(stream, 0), /wait for answers before you make more/);
    await came(daemon, 1);
    // Its first frames have left, so there is room.
    const more = lostBy(read(stream, 1));
    await stream.close();
    await Promise.all([fill, more]);
    cut();
  }));

test('a call that is none is refused before anything is sent', () =>
  scene({}, {}, async ({ daemon, stream }) => {
    const untyped = (name: string, fields: object): Promise<unknown> =>
      stream.call(name as 'H_READ', fields as { ptex: bigint });
    const cases: readonly [string, object, RegExp][] = [
      ['H_ENTRE', {}, /did you mean H_ENTER\?/],
      ['H_READ', { ptx: 1n }, /no argument "ptx"; it takes explain, flags, ptex/],
      ['H_READ', {}, /ptex is missing/],
      ['H_READ', { ptex: 5 }, /ptex is 5 \(number\); a word is a bigint/],
      ['H_READ', { ptex: 1n << 64n }, /a word is a bigint/],
      ['H_READ', { ptex: -1n }, /a word is a bigint/],
      ['H_READ', { ptex: 1n, flags: ['H_EXACT'] }, /no flag H_EXACT; it takes H_READ_4/],
      ['H_BULK_REMOVE', { tsh0: 1n, tsh1: 1n }, /tsl0 is missing, but tsh1 is given/],
      ['MEMORY_WRITE', { gpa: 0n, data: [1] }, /data\[0\] is 1 \(number\)/],
    ];
    for (const [name, fields, message] of cases) {
      await assert.rejects(untyped(name, fields), (error: Error) => {
        assert.ok(error instanceof TypeError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
    assert.equal(daemon.frames, 0);
  }));

test('whenever the connection is lost, no call is sent twice and none is forgotten', async (context) => {
  const random = seededRandom(context);
  await scene(
    { limits: SMALL, answersPerFrame: 3 },
    { reconnect: { ...QUICK, attempts: 100 } },
    async ({ daemon, stream, cut }) => {
      const expected = new Map<number, Promise<CallOutcome['outcome'][]>>();
      let next = 0;
      for (let step = 0; step < 300; step++) {
        const count = 1 + random.below(12);
        const outcome = stream.callMany(many(next, count)).then(
          (answers) => answers.map(() => 'answered' as const),
          (error: CallsLostError) => kinds(error),
        );
        expected.set(next, outcome);
        next += count;
        if (random.below(4) === 0) await new Promise(setImmediate);
        if (random.below(12) === 0) cut();
      }
      const times = new Map<number, number>();
      const settled = await Promise.all(
        [...expected].map(async ([first, outcome]) => ({ first, outcomes: await outcome })),
      );
      for (const ptex of received(daemon)) times.set(ptex, (times.get(ptex) ?? 0) + 1);
      const seen = { answered: 0, unknown: 0, 'not-sent': 0 };
      for (const { first, outcomes } of settled) {
        outcomes.forEach((outcome, i) => {
          const sent = times.get(first + i) ?? 0;
          seen[outcome]++;
          if (outcome === 'answered') assert.equal(sent, 1, `call ${first + i}`);
          if (outcome === 'unknown') assert.ok(sent <= 1, `call ${first + i} came ${sent} times`);
          if (outcome === 'not-sent') assert.equal(sent, 0, `call ${first + i}`);
        });
      }
      assert.ok(seen.answered > 0 && seen.unknown > 0, JSON.stringify(seen));
    },
  );
});
