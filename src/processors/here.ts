/**
 * The main thread as a processor of a guest: it executes the short hcalls of REST where they arrive, because to wake another
 * thread for one hcall, and to be woken by it, costs some fifty times the hcall.
 *
 * It has a processor's number, block and journal like the others, and a stream of its own with both ends in its hands. What it
 * must not do is wait, for a lock or the gate: whoever has it may be dead, and it is the main thread that starts the
 * successor. So its engine stops where others wait and takes the hcall back (src/engine/step-back.ts), and then, as
 * whenever the hcall cannot be executed here, it is a processor's matter. Main thread only.
 */
import { operationByName } from '../../schemas/operations.ts';
import { HEADER_BYTES, readAnswer, writeRequest } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import type { Engine } from '../rings/engine.ts';
import { resetStream, streamMemory } from '../rings/stream-memory.ts';

/** A microsecond each, and nobody has seen anything of them before they are done: what stepping back asks for. */
const SHORT = new Set(
  ['H_ENTER', 'H_REMOVE', 'H_READ', 'H_PROTECT', 'H_CLEAR_REF', 'H_CLEAR_MOD'].map(
    (name) => operationByName(name)!.opcode,
  ),
);

export interface Here {
  /**
   * The hcall's answer. Undefined: it was not executed, and a processor has to. Any error is a defect of the engine, and the
   * guest is not to be used any more.
   */
  execute(record: RequestRecord): AnswerRecord | undefined;
}

/** `index`: a processor's number that nobody else has; `slot`: a stream that is nobody else's. */
export function openHere(
  { calls, map }: Engine,
  { buffer }: WebAssembly.Memory,
  index: number,
  slot: number,
): Here {
  calls.beProcessor(index);
  calls.neverWait();
  const rings = streamMemory(buffer, map, slot);
  const { block, at, submissionWords } = rings;
  const request = new DataView(buffer, rings.submission.byteOffset);
  const answer = new DataView(buffer, rings.completion.byteOffset);
  const words = new Int32Array(buffer, 0, map.MEMSLOTS >> 2);
  return {
    execute(record) {
      // Items of a recorded guest have stamps, and an order with those of other streams.
      if (!SHORT.has(record.opcode) || words[map.RECORDING >> 2] !== map.RECORDING_OFF)
        return undefined;
      // Nothing is left of the call before, so both rings may begin anew.
      resetStream(rings, false);
      const end = writeRequest(request, HEADER_BYTES, record);
      submissionWords[0] = end - HEADER_BYTES;
      submissionWords[1] = at.records;
      block[at.submissionTail] = end;
      try {
        calls.run(slot, 1);
      } catch (error) {
        if (calls.stepBack() === 0) throw error;
        return undefined;
      }
      // In a paused guest it was left alone.
      if (block[at.completionTail] === 0) return undefined;
      return readAnswer(answer, HEADER_BYTES);
    },
  };
}
