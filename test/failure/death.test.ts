/**
 * A processor dies at every yield point there is, and again in the middle of its recovery. What the stream answers,
 * and what the table holds, must be what the model says, as if nothing had happened.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createModel } from '../model/model.ts';
import { checkTable } from '../engine/invariants.ts';
import { PROGRAMS } from './programs.ts';
import type { Program } from './programs.ts';
import { openMortalGuest } from './mortal.ts';
import type { MortalGuest } from './mortal.ts';

interface Expected {
  readonly answers: readonly string[];
  readonly hash: string;
}

function text(status: number, words: readonly bigint[]): string {
  return `${status} [${words.map((word) => word.toString(16)).join(' ')}]`;
}

/** Between second deaths. HPTD_EVERY_DEATH=1 takes them all. */
const STRIDE = process.env.HPTD_EVERY_DEATH === '1' ? 1 : 61;
const HASH = [0n, 65536n, 0xcbf29ce484222325n, 0n];

function expectedOf(program: Program): Expected {
  const { order, ramBytes, memslots, hostPageBytes, backingPageBytes, isa300, memory } = {
    ...openMortalGuest(program.config).guest.config,
  };
  const model = createModel({
    order,
    ramBytes,
    memslots,
    hostPageBytes,
    backingPageBytes,
    isa300,
    memory,
  });
  for (const { name, args } of program.before) model.call(name, args);
  const answers = program.calls.map(({ name, args }) => {
    const { status, out } = model.call(name, args);
    return text(status, out);
  });
  return { answers, hash: String(model.call('TABLE_HASH', HASH).out) };
}

function begin(program: Program): MortalGuest {
  const mortal = openMortalGuest(program.config);
  for (const { name, args } of program.before) mortal.guest.call(name, args);
  return mortal;
}

function performed(
  mortal: MortalGuest,
  { calls }: Program,
  deaths: readonly number[],
  where: string,
): ReturnType<MortalGuest['perform']> {
  try {
    return mortal.perform(calls, deaths);
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
  }
}

function check(program: Program, deaths: readonly number[], expected: Expected): number {
  const mortal = begin(program);
  const where = `${program.name}, deaths after ${deaths.join(', ')} yield points`;
  const { answers, yields } = performed(mortal, program, deaths, where);
  assert.deepEqual(
    answers.map(({ status, words }) => text(status, words)),
    expected.answers,
    where,
  );
  assert.deepEqual(
    answers.map(({ tag }) => tag),
    program.calls.map((_, tag) => tag),
    where,
  );
  assert.doesNotThrow(() => checkTable(mortal.guest), where);
  assert.equal(String(mortal.guest.call('TABLE_HASH', HASH).out), expected.hash, where);
  return yields;
}

for (const program of PROGRAMS) {
  test(`death at every point of ${program.name}`, (context) => {
    const expected = expectedOf(program);
    const points = check(program, [], expected);
    let lives = 0;
    for (let first = 0; first < points; first++) {
      const again = check(program, [first], expected);
      lives++;
      // Every second death would be thousands of lives a program: strides that meet every point for some first one.
      for (let second = first % STRIDE; second < again; second += STRIDE) {
        check(program, [first, second], expected);
        lives++;
      }
    }
    context.diagnostic(`${points} points, ${lives} deaths and double deaths`);
  });
}
