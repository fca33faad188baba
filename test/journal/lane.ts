/**
 * One stream of a guest over the lives of its daemon: what it sent, what it was answered, and a model of the part of the table
 * that is its own. After a restart the part is as after all calls that were answered, or some of those sent behind them.
 */
import assert from 'node:assert/strict';
import { FLAGS } from '../../schemas/flags.ts';
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { connectStream, streamUrl } from '../../src/client/index.ts';
import type { HcallStream } from '../../src/client/index.ts';
import { createModel } from '../model/model.ts';
import type { Model } from '../model/model.ts';
import type { Random } from '../rings/random.ts';

/** Groups that are one stream's. */
const GROUPS = 3;
const FRAMES = 5;
const FRAME_CALLS_MAX = 24;
const CALLS_IN_FLIGHT = 64;
const V = 0x1234_5600_0001n;

interface Call {
  readonly name: string;
  readonly args: readonly bigint[];
}

export interface Lane {
  /** Sends random calls until the stream ends, however. Rejects at a wrong answer. `onAnswers` is told how many came. */
  drive(url: string, onAnswers: (count: number) => void): Promise<void>;
  /** Rejects when something that was answered is not there, or something that was never asked is. Gives how many came late. */
  check(url: string): Promise<number>;
  answered(): number;
}

interface State {
  readonly number: number;
  readonly random: Random;
  readonly model: Model;
  /** Sent and not answered, in order. */
  asked: Call[];
  answered: number;
}

export function openLane(number: number, order: number, random: Random): Lane {
  const model = createModel({
    order,
    ramBytes: 2 ** 24,
    hostPageBytes: 65536,
    backingPageBytes: 65536,
    isa300: false,
    memory: 'none',
  });
  const state: State = { number, random, model, asked: [], answered: 0 };
  return {
    answered: () => state.answered,
    drive: (url, onAnswers) => drive(state, url, onAnswers),
    check: (url) => check(state, url),
  };
}

async function drive(state: State, url: string, onAnswers: (count: number) => void): Promise<void> {
  const stream = await connectStream(streamUrl(url, 'g'));
  const trouble = Promise.withResolvers<never>();
  stream.onAnswers((bytes, records) => {
    try {
      for (const answer of decodeAnswers(bytes)) take(state, answer);
      onAnswers(records);
      send(state, stream);
    } catch (error) {
      trouble.reject(error);
    }
  });
  send(state, stream);
  await Promise.race([stream.ended, trouble.promise]);
}

function send(state: State, stream: HcallStream): void {
  const { asked, random, number } = state;
  while (asked.length < CALLS_IN_FLIGHT) {
    const calls = Array.from({ length: 1 + random.below(FRAME_CALLS_MAX) }, () =>
      randomCall(random, number),
    );
    asked.push(...calls);
    const frame = encodeRequests(calls.map(({ name, args }) => recordOf(name, args)));
    stream.sendFrame(frame, calls.length)?.catch(() => {});
  }
}

function take(state: State, answer: AnswerRecord): void {
  const { number, answered, model } = state;
  const call = state.asked.shift();
  assert.ok(call !== undefined, `stream ${number}: an answer to nothing`);
  const { status, out } = model.call(call.name, call.args);
  const where = `stream ${number}, call ${answered}: ${call.name}(${call.args.join(' ')})`;
  assert.equal(text(call, answer), text(call, { status, words: out }), where);
  state.answered++;
}

async function check(state: State, url: string): Promise<number> {
  const { number, model, answered, asked } = state;
  const found = await contentsOf(url, number);
  state.asked = [];
  for (let done = 0; ; done++) {
    const expected = contentsIn(model, number);
    if (expected === found) return done;
    const call = asked[done];
    assert.ok(
      call !== undefined,
      `stream ${number}: after ${answered} answered calls and ${done} behind them there is\n${expected}\nand after the restart\n${found}`,
    );
    model.call(call.name, call.args);
  }
}

function recordOf(name: string, words: readonly bigint[]) {
  return { opcode: operationByName(name)!.opcode, tag: 0, words };
}

function slotsOf(number: number): bigint[] {
  return Array.from({ length: GROUPS * 8 }, (_, i) => BigInt(number * GROUPS * 8 + i));
}

function contentsIn(model: Model, number: number): string {
  return slotsOf(number)
    .map((ptex) => {
      const call = { name: 'H_READ', args: [0n, ptex] };
      const { status, out } = model.call(call.name, call.args);
      return text(call, { status, words: out });
    })
    .join('\n');
}

async function contentsOf(url: string, number: number): Promise<string> {
  const stream = await connectStream(streamUrl(url, 'g'));
  const answers: AnswerRecord[] = [];
  stream.onAnswers((bytes) => answers.push(...decodeAnswers(bytes)));
  const reads = slotsOf(number).map((ptex) => recordOf('H_READ', [0n, ptex]));
  await stream.sendFrame(encodeRequests(reads), reads.length);
  await stream.drained();
  await stream.close();
  return answers.map((answer) => text({ name: 'H_READ', args: [] }, answer)).join('\n');
}

function text(
  { name }: Call,
  { status, words }: { status: number; words: readonly bigint[] },
): string {
  // dword 1 of an empty slot is undefined.
  const defined = name === 'H_READ' && (words[0]! & 1n) === 0n ? words.slice(0, 1) : words;
  return `${status} ${defined.map((word) => word.toString(16)).join(' ')}`;
}

function randomCall(random: Random, number: number): Call {
  const ptex = (): bigint => BigInt((number * GROUPS + random.below(GROUPS)) * 8 + random.below(8));
  const request = (): bigint => (1n << 62n) | ptex();
  const flags = random.below(2) === 0 ? FLAGS.H_EXACT : 0n;
  const ptel = (BigInt(random.below(FRAMES)) << 16n) | 0x12n | (BigInt(random.below(4)) << 7n);
  const calls: Call[] = [
    { name: 'H_ENTER', args: [flags, ptex(), V | (BigInt(random.below(4096)) << 20n), ptel] },
    { name: 'H_ENTER', args: [flags, ptex(), V, ptel] },
    { name: 'H_REMOVE', args: [0n, ptex(), 0n] },
    { name: 'H_PROTECT', args: [BigInt(random.below(4)), ptex(), 0n] },
    { name: 'H_CLEAR_REF', args: [0n, ptex()] },
    { name: 'H_BULK_REMOVE', args: [request(), 0n, request(), 0n] },
  ];
  return calls[random.below(calls.length)]!;
}
