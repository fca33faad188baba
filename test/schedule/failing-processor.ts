/** A processor of a test guest that runs the engine's test build, alone, with lock attempts that can be made to fail. */
import { operationByName } from '../../schemas/operations.ts';
import { EXPLAIN_WORDS, decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import type { Fault } from '../../src/rings/completion.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import type { Answer, TestGuest, TestProcessor } from '../engine/harness.ts';
import { openYieldEngine } from '../failure/mortal.ts';

export function openFailingProcessor(
  guest: TestGuest,
  index: number,
  attemptFails: () => number,
): TestProcessor {
  const calls = openYieldEngine(guest.memory, { yieldPoint: () => undefined, attemptFails });
  calls.beProcessor(index);
  const { map } = guest.engine;
  const stream = streamMemory(guest.memory.buffer, map, index);
  resetStream(stream, true);
  const submission = openSubmissionRing(stream);
  const completion = openCompletionRing(stream);
  const frame = (bytes: Uint8Array): AnswerRecord[] | Fault => {
    putFrame(submission, bytes);
    const answers: AnswerRecord[] = [];
    for (let outcome = map.RUN_MORE; (outcome & (map.RUN_MORE | map.RUN_STALLED)) !== 0; ) {
      outcome = calls.run(index, 4096);
      for (let taken = takeCompletions(completion); taken !== undefined; ) {
        if (!(taken instanceof Uint8Array)) return taken;
        answers.push(...decodeAnswers(taken));
        taken = takeCompletions(completion);
      }
    }
    return answers;
  };
  const ask = (name: string, words: readonly bigint[], explain: boolean): Answer => {
    const { opcode } = operationByName(name)!;
    const answers = frame(encodeRequests([{ opcode, tag: 0, words, explain }]));
    if (!Array.isArray(answers)) throw new Error(`${name}: fault ${answers.fault}`);
    const { status, words: out } = answers[0]!;
    const split = out.length - (explain ? EXPLAIN_WORDS : 0);
    return { status, out: out.slice(0, split), why: out.slice(split) };
  };
  const block = guest.exports.PROCESSORS! + guest.exports.PROCESSOR_BYTES! * index;
  return {
    engine: { calls, map },
    frame,
    call: (name, args) => ask(name, args, false),
    explain: (name, args) => ask(name, args, true),
    counter: (name) => guest.words(block + guest.exports[name]!, 1)[0]!,
  };
}
