/**
 * A processor dies at every yield point, and its guest is paused before the successor goes on. The successor finishes the
 * record at hand, since nothing else may be executed before it, and begins no other hcall; what waited goes on after
 * the pause as if nothing had been.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests, requestBytes } from '../../schemas/records.ts';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import type { EngineCalls } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { checkTable } from '../engine/invariants.ts';
import { STREAM, openMortalGuest } from './mortal.ts';
import type { Call, MortalGuest } from './mortal.ts';
import { PROGRAMS } from './programs.ts';

/** Another stream of the processor that died. */
const HOST_STREAM = 2;

const recordOf = ({ name, args }: Call) => ({
  opcode: operationByName(name)!.opcode,
  tag: 0,
  words: args,
});

/** How many records of the frame, the first one there is, are executed. */
function executedRecords({ guest }: MortalGuest, calls: readonly Call[]): number {
  const { STREAMS, STREAM_BYTES, EXECUTED_TO } = guest.exports;
  const executedTo = guest.word32(STREAMS! + STREAM_BYTES! * STREAM + EXECUTED_TO!);
  let [at, count] = [8, 0];
  for (const call of calls) {
    at += requestBytes(recordOf(call));
    if (at <= executedTo) count++;
  }
  return count;
}

/** What a control record on another stream of the processor is answered. */
function askOnHostStream({ guest }: MortalGuest, calls: EngineCalls, call: Call): bigint[] {
  const stream = streamMemory(guest.memory.buffer, guest.engine.map, HOST_STREAM);
  resetStream(stream, true);
  putFrame(openSubmissionRing(stream), encodeRequests([recordOf(call)]));
  calls.run(HOST_STREAM, 4096);
  const taken = takeCompletions(openCompletionRing(stream));
  assert.ok(taken instanceof Uint8Array, `${call.name} is executed in a paused guest`);
  return decodeAnswers(taken)[0]!.words;
}

/** The successor in a paused guest. */
function livePaused(mortal: MortalGuest, calls: EngineCalls, program: readonly Call[]): void {
  const { guest } = mortal;
  const paused = guest.words(guest.exports.PAUSED!, 1);
  const before = executedRecords(mortal, program);
  paused[0] = 1n;
  const interrupted = calls.interruptedStream() === STREAM + 1;
  const outcome = calls.run(STREAM, 4096);
  assert.equal(outcome & guest.engine.map.RUN_MORE, 0, 'what waits is no work');
  const after = executedRecords(mortal, program);
  const first = before + (interrupted ? 1 : 0);
  assert.ok(after >= Math.min(first, program.length), 'the record at hand is finished');
  for (const { name } of program.slice(first, after)) {
    assert.equal(operationByName(name)!.kind, 'control', `${name} was begun in a paused guest`);
  }
  checkTable(guest);
  // A frame that no program touches: what is answered is this record's, and of nothing begun before.
  const untouched = guest.config.memslots?.at(-1)?.base ?? 0x90000n;
  const clean = { name: 'HOST_DIRTY', args: [untouched, 3n] };
  assert.deepEqual(askOnHostStream(mortal, calls, clean), [0n, 0n]);
  assert.equal(executedRecords(mortal, program), after);
  paused[0] = 0n;
}

for (const program of PROGRAMS) {
  test(`death, then a pause, at every point of ${program.name}`, () => {
    const begin = (): MortalGuest => {
      const mortal = openMortalGuest(program.config);
      for (const { name, args } of program.before) mortal.guest.call(name, args);
      return mortal;
    };
    const expected = begin().perform(program.calls, []);
    for (let point = 0; point < expected.yields; point++) {
      const mortal = begin();
      const { answers } = mortal.perform(program.calls, [point], (calls) =>
        livePaused(mortal, calls, program.calls),
      );
      assert.deepEqual(answers, expected.answers, `death after ${point} yield points`);
    }
  });
}
