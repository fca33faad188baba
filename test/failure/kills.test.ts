/**
 * Processors are killed at random moments while streams are busy: real threads, terminated wherever they are.
 *
 * Each stream has groups of the table of its own, and a model of its own that says what every answer must be; all of
 * them map the same few frames, so that chains are shared and fought for, and a host takes those frames away and
 * gives them back meanwhile. Nothing may be lost, done twice or answered out of order; in the end no lock is held and
 * every chain is whole.
 *
 * Between two rounds of the host a client of REST makes single calls, which the main thread executes itself as long as it need
 * not wait: for a living processor, or for what a dead one has left.
 *
 * The models do not know when the host took a page. It shows in one answer only: H_READ gives R and C of the real
 * entry too, and of an entry that was entered while its page was away those are what H_ENTER was given, until the
 * page is back (SPEC: KVM HV, H_ENTER step 9, H_CLEAR_REF and H_CLEAR_MOD of an ABSENT entry). So an H_READ may
 * show R and C that H_ENTER was given and that were cleared since; no other bit, and none less than the model's.
 *
 * HPTD_KILLS says how many; HPTD_SEED fixes what is called (when the kills strike is the machine's affair).
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { guestConfig } from '../../schemas/guests.ts';
import { operationByName } from '../../schemas/operations.ts';
import { FLAGS } from '../../schemas/flags.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import type { Pool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { checkTable } from '../engine/invariants.ts';
import { createModel } from '../model/model.ts';
import type { Model } from '../model/model.ts';
import { seededRandom } from '../rings/random.ts';
import { openLiveGuest } from './live-guest.ts';
import type { LiveGuest } from './live-guest.ts';
import type { Call } from './mortal.ts';

const KILLS = Number(process.env.HPTD_KILLS ?? 120);
const PROCESSORS = 2;
const STREAMS = 4;
const GROUPS = 3;
const FRAMES = 5;
const FRAMES_AHEAD = 3;
const V = 0x1234_5600_0001n;
/** R and C in dword 1. */
const RC = 0x180n;
const config = guestConfig.parse({ order: 18, ramBytes: 2 ** 24, backingPageBytes: 65536 });

type Random = ReturnType<typeof seededRandom>;

interface Traffic {
  readonly calls: Call[];
  answered: number;
  /** R and C that H_ENTER was given for what is in a slot now. */
  readonly entered: Map<bigint, bigint>;
}

/** What the tasks of the test share. */
interface Round {
  readonly live: LiveGuest;
  readonly random: Random;
  over: boolean;
  /** Rejected by whoever finds something wrong. */
  readonly trouble: PromiseWithResolvers<never>;
}

/** A random call on groups that only this stream uses. */
function randomCall(random: Random, stream: number): Call {
  const ptex = (): bigint => BigInt((stream * GROUPS + random.below(GROUPS)) * 8 + random.below(8));
  const pick = (...calls: (() => Call)[]): Call => calls[random.below(calls.length)]!();
  const flags = (): bigint => (random.below(2) === 0 ? FLAGS.H_EXACT : 0n);
  const request = (): bigint => (1n << 62n) | ptex();
  const enter = (): Call => {
    const ptel = (BigInt(random.below(FRAMES)) << 16n) | 0x12n | (BigInt(random.below(4)) << 7n);
    return { name: 'H_ENTER', args: [flags(), ptex(), V, ptel] };
  };
  return pick(
    enter,
    enter,
    enter,
    () => ({ name: 'H_REMOVE', args: [0n, ptex(), 0n] }),
    () => ({ name: 'H_PROTECT', args: [BigInt(random.below(4)), ptex(), 0n] }),
    () => ({ name: 'H_READ', args: [0n, ptex()] }),
    () => ({ name: 'H_CLEAR_REF', args: [0n, ptex()] }),
    () => ({ name: 'H_CLEAR_MOD', args: [0n, ptex()] }),
    () => ({
      name: 'H_BULK_REMOVE',
      args: [request(), 0n, request(), 0n, request(), 0n, request(), 0n],
    }),
  );
}

function text({ status, words }: Omit<AnswerRecord, 'tag'>, { name }: Call): string {
  // dword 1 of an empty slot is undefined.
  const defined = name === 'H_READ' && (words[0]! & 1n) === 0n ? words.slice(0, 1) : words;
  return `${status} ${defined.map((word) => word.toString(16)).join(' ')}`;
}

/** The model's answer to a call, with the R and C that a host may make H_READ show, if the answer at hand shows them. */
function expectedText(
  model: Model,
  call: Call,
  answer: AnswerRecord,
  entered: Map<bigint, bigint>,
): string {
  const { status, out } = model.call(call.name, call.args);
  if (call.name === 'H_ENTER' && status === 0) entered.set(out[0]!, call.args[3]! & RC);
  const words =
    call.name === 'H_READ' && (out[0]! & 1n) !== 0n
      ? [out[0]!, out[1]! | ((answer.words[1] ?? 0n) & (entered.get(call.args[1]!) ?? 0n))]
      : out;
  return text({ status, words }, call);
}

/** A stream of random calls whose every answer is compared. */
function openDriven(round: Round, number: number, model: Model, traffic: Traffic) {
  const news = { wake: (): void => {} };
  const compare = (bytes: Uint8Array): void => {
    for (const answer of decodeAnswers(bytes)) {
      const call = traffic.calls[traffic.answered++]!;
      const where = `stream ${number}, call ${traffic.answered}: ${call.name}(${call.args.join(' ')})`;
      const expected = expectedText(model, call, answer, traffic.entered);
      assert.equal(text(answer, call), expected, where);
      assert.equal(answer.tag, traffic.answered, where);
    }
  };
  const stream = round.live.guest.openStream('host', {
    onAnswers(bytes) {
      try {
        compare(bytes);
      } catch (error) {
        round.trouble.reject(error);
      }
      news.wake();
      return true;
    },
    onEnd: (end) =>
      round.trouble.reject(new Error(`stream ${number} ended: ${JSON.stringify(end)}`)),
  });
  return { stream, news };
}

/** Sends frames of random calls until the round is over and all are answered. */
async function drive(round: Round, number: number) {
  const { random } = round;
  const model: Model = createModel({ ...config, ramBytes: 2 ** 24 });
  const traffic: Traffic = { calls: [], answered: 0, entered: new Map() };
  const { stream, news } = openDriven(round, number, model, traffic);
  while (!round.over || traffic.answered < traffic.calls.length) {
    if (!round.over && traffic.calls.length - traffic.answered < 64 * FRAMES_AHEAD) {
      const calls = Array.from({ length: 1 + random.below(64) }, () => randomCall(random, number));
      const records = calls.map(({ name, args }) => {
        traffic.calls.push({ name, args });
        return { opcode: operationByName(name)!.opcode, tag: traffic.calls.length, words: args };
      });
      assert.equal(stream.submit(encodeRequests(records)), 'accepted');
    } else {
      const answer = new Promise<'answer'>((resolve) => (news.wake = () => resolve('answer')));
      const first = await Promise.race([answer, sleep(20_000, 'nothing', { ref: false })]);
      const progress = `${traffic.answered} of ${traffic.calls.length}`;
      assert.equal(first, 'answer', `stream ${number}: no answer in 20 s, ${progress}`);
    }
    await new Promise(setImmediate);
  }
  stream.close();
  return { model, traffic };
}

/** A client of REST, with groups of its own: single calls, each answered before the next. */
function openSingles({ random, live }: Round) {
  const number = STREAMS;
  const model: Model = createModel({ ...config, ramBytes: 2 ** 24 });
  const traffic: Traffic = { calls: [], answered: 0, entered: new Map() };
  const done = { here: 0, elsewhere: 0, busy: false };
  return {
    number,
    results: { model, traffic },
    done,
    async call(count: number): Promise<void> {
      for (let i = 0; i < count && !done.busy; i++) {
        const call = randomCall(random, number);
        const { opcode } = operationByName(call.name)!;
        const given = live.guest.runOne({ opcode, tag: 0, words: call.args });
        done[given instanceof Promise ? 'elsewhere' : 'here']++;
        // A machine on which threads start for longer than REST waits: what became of the call is not known then.
        const answer = await Promise.resolve(given).catch((error: { code?: string }) => {
          if (error.code !== 'processor-busy') throw error;
          done.busy = true;
        });
        if (answer === undefined) return;
        const expected = expectedText(model, call, answer, traffic.entered);
        assert.equal(text(answer, call), expected, `REST: ${call.name}(${call.args.join(' ')})`);
      }
    },
  };
}

type Singles = ReturnType<typeof openSingles>;

/** Takes frames away and gives them back, as a host does under memory pressure. */
async function disturb(round: Round, singles: Singles): Promise<number> {
  const { random, live } = round;
  const call = (name: string, ...words: bigint[]) => ({
    opcode: operationByName(name)!.opcode,
    tag: 0,
    words,
  });
  let rounds = 0;
  for (; !round.over; rounds++) {
    const gpa = BigInt(random.below(FRAMES)) << 16n;
    const answers = await live.guest.run([
      call('HOST_AGE', gpa),
      call('HOST_UNMAP', gpa),
      call('HOST_SET_PTE', gpa, 3n),
      call('HOST_PAGE_FAULT', BigInt(random.below(STREAMS * GROUPS * 8)), 0n),
      call('HOST_DIRTY', 0n, 8n),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [0, 0, 0, 0, 0],
    );
    await singles.call(random.below(64));
  }
  return rounds;
}

async function kill(pool: Pool, round: Round): Promise<void> {
  for (let done = 0; done < KILLS && !round.over; ) {
    await sleep(round.random.below(12));
    const processor = pool.processors[round.random.below(PROCESSORS)]!;
    // A successor that is not ready yet would count as a life lost for nothing.
    if (processor.livesLost !== 0) continue;
    await processor.worker.terminate();
    done++;
  }
}

/** Ends the threads however the test went. */
async function endPool(pool: Pool): Promise<void> {
  for (const processor of pool.processors) processor.alive = false;
  await Promise.all(pool.processors.map(({ worker }) => worker.terminate()));
  pool.completions.stop();
}

test('processors killed at random moments lose nothing', {
  timeout: 30 * 60_000,
}, async (context) => {
  const random = seededRandom(context);
  const pool = await startPool(await compileEngine(), PROCESSORS);
  const trouble = Promise.withResolvers<never>();
  pool.onDeath = (processor, error) =>
    trouble.reject(new Error(`processor ${processor.index}: ${error.message}`));
  const live = openLiveGuest(pool, config);
  const round: Round = { live, random, over: false, trouble };
  try {
    const streams = Promise.all(Array.from({ length: STREAMS }, (_, i) => drive(round, i)));
    const singles = openSingles(round);
    const host = disturb(round, singles);
    await Promise.race([kill(pool, round), streams, host, trouble.promise]);
    round.over = true;
    const [results, rounds] = await Promise.race([Promise.all([streams, host]), trouble.promise]);
    const calls = results.reduce((sum, { traffic }) => sum + traffic.calls.length, 0);
    context.diagnostic(
      `${KILLS} kills, ${calls} calls in ${STREAMS} streams, ${rounds} rounds of the host`,
    );
    const { here, elsewhere } = singles.done;
    context.diagnostic(`REST: ${here} calls on the main thread, ${elsewhere} on processors`);
    // The dead have left nothing that is in the way.
    await singles.call(1000);
    assert.ok(singles.done.here > here || singles.done.busy);
    checkTable(live.view);
    if (!singles.done.busy)
      await checkContents(live, singles.number, singles.results.model, singles.results.traffic);
    for (const [number, { model, traffic }] of results.entries()) {
      await checkContents(live, number, model, traffic);
    }
    await live.guest.finish({ kind: 'shutdown' }, 5000);
    await stopPool(pool);
  } finally {
    round.over = true;
    await endPool(pool);
  }
});

/** A stream's groups hold what its model says. */
async function checkContents(
  live: LiveGuest,
  number: number,
  model: Model,
  { entered }: Traffic,
): Promise<void> {
  const first = number * GROUPS * 8;
  const ptexes = Array.from({ length: GROUPS * 8 }, (_, i) => BigInt(first + i));
  const reads = ptexes.map((ptex) => ({ opcode: 0x0c, tag: 0, words: [0n, ptex] }));
  const answers = await live.guest.run(reads);
  for (const [i, answer] of answers.entries()) {
    const call = { name: 'H_READ', args: [0n, ptexes[i]!] };
    const expected = expectedText(model, call, answer, entered);
    assert.equal(text(answer, call), expected, `ptex ${ptexes[i]}`);
  }
}
