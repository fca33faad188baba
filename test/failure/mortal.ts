/**
 * A guest whose processor dies at a chosen yield point: the engine's test build throws out of the middle of an hcall,
 * so that nothing of the thread is left but what it wrote to shared memory. A successor, another instance of the
 * engine with the same number, recovers and goes on, as in the daemon.
 */
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord } from '../../schemas/records.ts';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import type { EngineCalls } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import type { StreamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { openTestGuest } from '../engine/harness.ts';
import type { TestGuest } from '../engine/harness.ts';
import { compileYieldEngine } from '../engine/yield-build.ts';
import type { GuestConfig } from '../../schemas/guests.ts';

const module = await compileYieldEngine();

/** The engine's calls of the test build. */
export interface YieldCalls extends EngineCalls {
  recover(): void;
  interruptedStream(): number;
}

export interface Scheduler {
  yieldPoint(point: number): void;
  attemptFails(): number;
}

export function openYieldEngine(memory: WebAssembly.Memory, schedule: Scheduler): YieldCalls {
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory },
    schedule: { ...schedule },
  });
  return exports as unknown as YieldCalls;
}

/** More yield points than any life has: then it looks again and again at a lock that nobody will free. */
const YIELDS_MAX = 1_000_000;

/** Thrown out of the engine: the thread is dead. */
class Death extends Error {}

export interface Call {
  readonly name: string;
  readonly args: readonly bigint[];
}

export interface MortalGuest {
  readonly guest: TestGuest;
  /**
   * Performs a frame of calls. `deaths`: yield points to live through before each death, one number a life.
   * Gives the answers, and how many yield points the last life, which did not die, passed. `onBorn`: called in the life
   * that does not die, after it has recovered and before it goes on.
   */
  perform(
    calls: readonly Call[],
    deaths: readonly number[],
    onBorn?: (successor: EngineCalls) => void,
  ): { answers: AnswerRecord[]; yields: number };
}

/** The stream that dies; the guest's own harness keeps stream 0. */
export const STREAM = 1;
const PROCESSOR = 1;

export function openMortalGuest(config: Partial<GuestConfig>): MortalGuest {
  const guest = openTestGuest(config);
  const stream = streamMemory(guest.memory.buffer, guest.engine.map, STREAM);
  resetStream(stream, true);
  const submission = openSubmissionRing(stream);
  const completion = openCompletionRing(stream);
  return {
    guest,
    perform(calls, deaths, onBorn) {
      const frame = encodeRequests(
        calls.map(({ name, args }, tag) => ({
          opcode: operationByName(name)!.opcode,
          tag,
          words: args,
        })),
      );
      putFrame(submission, frame);
      let yields = 0;
      for (const after of [...deaths, Number.MAX_SAFE_INTEGER]) {
        const dies = after !== Number.MAX_SAFE_INTEGER;
        yields = live(guest, stream, after, dies ? undefined : onBorn);
        if (yields < after) break;
      }
      const answers: AnswerRecord[] = [];
      for (
        let taken = takeCompletions(completion);
        taken !== undefined;
        taken = takeCompletions(completion)
      ) {
        if (!(taken instanceof Uint8Array))
          throw new Error(`fault ${taken.fault} at ${taken.offset}`);
        answers.push(...decodeAnswers(taken));
      }
      return { answers, yields };
    },
  };
}

/** One life of the processor: `after` yield points, or until the stream is done. Gives the yield points passed. */
function live(
  guest: TestGuest,
  stream: StreamMemory,
  after: number,
  onBorn?: (successor: EngineCalls) => void,
): number {
  let yields = 0;
  const calls = openYieldEngine(guest.memory, {
    yieldPoint() {
      if (yields === after) throw new Death();
      if (yields === YIELDS_MAX) throw new Error('waits for what nobody frees');
      yields++;
    },
    attemptFails: () => 0,
  });
  try {
    calls.beProcessor(PROCESSOR);
    calls.recover();
    onBorn?.(calls);
    do {
      calls.run(STREAM, 4096);
      while (calls.backgroundSlice() !== 0);
    } while (stream.block[stream.at.submissionHead] !== stream.block[stream.at.submissionTail]);
    return yields;
  } catch (error) {
    if (!(error instanceof Death)) throw error;
    const dead = guest.words(guest.exports.DEAD!, 1);
    Atomics.or(dead, 0, 1n << BigInt(PROCESSOR));
    return after;
  }
}
