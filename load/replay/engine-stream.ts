/**
 * The engine alone behind the face of a stream: frames are put into a ring, executed at once and answered, in this
 * thread, without socket or wake-up. So a replay runs over it as over a daemon. What its clock counts is what a
 * processor would do: putting the frame in and executing it, not looking at the answers.
 */
import { guestConfig } from '../../schemas/guests.ts';
import { CREDIT_BYTES, FRAME_BYTES_MAX, FRAME_OVERHEAD_BYTES } from '../../schemas/limits.ts';
import { STREAM_PROTOCOL } from '../../schemas/stream.ts';
import type { Json } from '../../src/client/rest.ts';
import type { ReplayStream } from '../../src/cli/replay/run.ts';
import type { AnswerListener } from '../../src/client/stream.ts';
import { layOut } from '../../src/guests/layout.ts';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import { guestMemory, openEngine } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';

export interface EngineStream extends ReplayStream {
  /** What the frames so far took. */
  seconds(): number;
}

const QUANTUM = 0xffffff;
const HELLO = {
  type: 'hello',
  protocol: STREAM_PROTOCOL,
  version: '',
  guest: '',
  role: 'host',
  processor: 0,
  limits: {
    frameBytes: FRAME_BYTES_MAX,
    creditBytes: CREDIT_BYTES,
    frameOverheadBytes: FRAME_OVERHEAD_BYTES,
  },
} as const;

/** A new guest with one stream, which may send the host's records too. */
export function openEngineStream(module: WebAssembly.Module, config: Json): EngineStream {
  const memory = guestMemory();
  const engine = openEngine(module, memory);
  const { calls, map } = engine;
  const guest = guestConfig.parse(config);
  layOut(guest, engine, memory.buffer.byteLength);
  const rings = streamMemory(memory.buffer, map, 0);
  resetStream(rings, true);
  const [submission, completion] = [openSubmissionRing(rings), openCompletionRing(rings)];
  calls.beProcessor(0);
  let listener: AnswerListener = () => {};
  let millis = 0;

  function runOnce(): number {
    const start = performance.now();
    const outcome = calls.run(0, QUANTUM);
    while ((outcome & map.RUN_BACKGROUND) !== 0 && calls.backgroundSlice() !== 0);
    millis += performance.now() - start;
    return outcome;
  }

  function handOver(): void {
    for (let next = takeCompletions(completion); next !== undefined; ) {
      if (!(next instanceof Uint8Array)) throw new Error(`fault ${next.fault} at ${next.offset}`);
      listener(Buffer.from(next.buffer, next.byteOffset, next.byteLength), 0);
      next = takeCompletions(completion);
    }
  }

  return {
    hello: { ...HELLO, order: guest.order },
    sendFrame(frame) {
      const start = performance.now();
      putFrame(submission, frame);
      millis += performance.now() - start;
      for (let more = true; more; ) {
        more = (runOnce() & (map.RUN_MORE | map.RUN_STALLED)) !== 0;
        handOver();
      }
      return undefined;
    },
    onAnswers(next) {
      listener = next;
    },
    drained: () => Promise.resolve(),
    seconds: () => millis / 1000,
  };
}
