/**
 * Processors are killed at random moments while streams are busy: real threads, terminated wherever they are.
 *
 * Each stream has groups of the table of its own, and a model of its own that says what every answer must be; all of
 * them map the same few frames, so that chains are shared and fought for, and a host takes those frames away and
 * gives them back meanwhile. Nothing may be lost, done twice or answered out of order; in the end no lock is held and
 * every chain is whole.
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
const config = guestConfig.parse({ order: 18, ramBytes: 2 ** 24, backingPageBytes: 65536 });

type Random = ReturnType<typeof seededRandom>;

interface Traffic {
  readonly calls: Call[];
  answered: number;
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

function text({ status, words }: AnswerRecord, { name }: Call): string {
  // dword 1 of an empty slot is undefined.
  const defined = name === 'H_READ' && (words[0]! & 1n) === 0n ? words.slice(0, 1) : words;
  return `${status} ${defined.map((word) => word.toString(16)).join(' ')}`;
}

/** Sends frames of random calls and compares every answer, until `enough` says so. */
async function drive(live: LiveGuest, random: Random, number: number, enough: () => boolean) {
  const model: Model = createModel({ ...config, ramBytes: 2 ** 24 });
  const traffic: Traffic = { calls: [], answered: 0 };
  let wake = (): void => {};
  const stream = live.guest.openStream('host', {
    onAnswers(bytes) {
      for (const answer of decodeAnswers(bytes)) {
        const call = traffic.calls[traffic.answered++]!;
        const { status, out } = model.call(call.name, call.args);
        const expected = text({ tag: answer.tag, status, words: out }, call);
        const where = `stream ${number}, call ${traffic.answered}: ${call.name}(${call.args.join(' ')})`;
        assert.equal(text(answer, call), expected, where);
        assert.equal(answer.tag, traffic.answered, where);
      }
      wake();
      return true;
    },
    onEnd: (end) => assert.fail(`stream ${number} ended: ${JSON.stringify(end)}`),
  });
  while (!enough() || traffic.answered < traffic.calls.length) {
    if (!enough() && traffic.calls.length - traffic.answered < 64 * FRAMES_AHEAD) {
      const calls = Array.from({ length: 1 + random.below(64) }, () => randomCall(random, number));
      const records = calls.map(({ name, args }) => {
        traffic.calls.push({ name, args });
        return { opcode: operationByName(name)!.opcode, tag: traffic.calls.length, words: args };
      });
      assert.equal(stream.submit(encodeRequests(records)), 'accepted');
    } else {
      const answer = new Promise<void>((resolve) => (wake = resolve));
      await Promise.race([
        answer,
        sleep(20_000, undefined, { ref: false }).then(() =>
          assert.fail(
            `stream ${number} got no answer in 20 s, ${traffic.answered} of ${traffic.calls.length}`,
          ),
        ),
      ]);
    }
    await new Promise(setImmediate);
  }
  stream.close();
  return { model, calls: traffic.calls.length };
}

/** Takes frames away and gives them back, as a host does under memory pressure. */
async function disturb(live: LiveGuest, random: Random, enough: () => boolean): Promise<number> {
  let rounds = 0;
  for (; !enough(); rounds++) {
    const gpa = BigInt(random.below(FRAMES)) << 16n;
    const call = (name: string, ...words: bigint[]) => ({
      opcode: operationByName(name)!.opcode,
      tag: 0,
      words,
    });
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
  }
  return rounds;
}

async function kill(pool: Pool, random: Random, kills: number): Promise<void> {
  for (let done = 0; done < kills; ) {
    await sleep(random.below(12));
    const processor = pool.processors[random.below(PROCESSORS)]!;
    // A successor that is not ready yet would count as a life lost for nothing.
    if (processor.livesLost !== 0) continue;
    await processor.worker.terminate();
    done++;
  }
}

test('processors killed at random moments lose nothing', {
  timeout: 30 * 60_000,
}, async (context) => {
  const random = seededRandom(context);
  const pool = await startPool(await compileEngine(), PROCESSORS);
  pool.onDeath = (processor, error) =>
    assert.fail(`processor ${processor.index}: ${error.message}`);
  const live = openLiveGuest(pool, config);
  const state = { over: false };
  const enough = (): boolean => state.over;
  const streams = Array.from({ length: STREAMS }, (_, i) => drive(live, random, i, enough));
  const host = disturb(live, random, enough);
  await Promise.race([kill(pool, random, KILLS), ...streams, host]);
  state.over = true;
  const [results, rounds] = [await Promise.all(streams), await host];
  const calls = results.reduce((sum, result) => sum + result.calls, 0);
  context.diagnostic(
    `${KILLS} kills, ${calls} calls in ${STREAMS} streams, ${rounds} rounds of the host`,
  );
  checkTable(live.view);
  await checkContents(
    live,
    results.map(({ model }) => model),
  );
  await live.guest.finish({ kind: 'shutdown' }, 5000);
  await stopPool(pool);
});

/** Each stream's groups hold what its model says. */
async function checkContents(live: LiveGuest, models: readonly Model[]): Promise<void> {
  for (const [number, model] of models.entries()) {
    const first = number * GROUPS * 8;
    const ptexes = Array.from({ length: GROUPS * 8 }, (_, i) => BigInt(first + i));
    const reads = ptexes.map((ptex) => ({ opcode: 0x0c, tag: 0, words: [0n, ptex] }));
    const answers = await live.guest.run(reads);
    for (const [i, answer] of answers.entries()) {
      const call = { name: 'H_READ', args: [0n, ptexes[i]!] };
      const { status, out } = model.call(call.name, call.args);
      assert.equal(
        text(answer, call),
        text({ tag: 0, status, words: out }, call),
        `ptex ${ptexes[i]}`,
      );
    }
  }
}
