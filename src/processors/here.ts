/**
 * The main thread as a processor of a guest: it executes short hcalls that come one at a time, by REST or by a stream, where
 * they arrive, because to wake another thread for one hcall, and to be woken by it, costs some fifty times the hcall.
 *
 * It has a processor's number, block and journal like the others, and a stream of its own with both ends in its hands. What it
 * must not do is wait, for a lock or the gate: whoever has it may be dead, and it is the main thread that starts the
 * successor. So its engine stops where others wait and takes the hcall back (src/engine/step-back.ts), and then, as
 * whenever the hcall cannot be executed here, it is a processor's matter. Main thread only.
 */
import { operationByName } from '../../schemas/operations.ts';
import {
  HEADER_BYTES,
  readAnswer,
  writeRequest,
  writeRequestHeader,
} from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import type { Engine } from '../rings/engine.ts';
import { resetStream, streamMemory } from '../rings/stream-memory.ts';
import type { StreamMemory } from '../rings/stream-memory.ts';

/** A microsecond each, and nobody has seen anything of them before they are done: what stepping back asks for. */
const SHORT_OPERATIONS = [
  'H_ENTER',
  'H_REMOVE',
  'H_READ',
  'H_PROTECT',
  'H_CLEAR_REF',
  'H_CLEAR_MOD',
].map((name) => operationByName(name)!);

const SHORT = new Set(SHORT_OPERATIONS.map(({ opcode }) => opcode));

/** By the first four bytes of a request with all its words, how long it is. The engine refuses none of these. */
const SHORT_BYTES = new Map(
  SHORT_OPERATIONS.map(({ opcode, wordsMin: count }) => {
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    const first = writeRequestHeader(header, 0, opcode, 0, count);
    return [header.getInt32(0, true), first + 8 * count];
  }),
);

/** An answer as it lies in the ring, until the next hcall is executed. */
export interface AnswerHere {
  status: number;
  /** Little-endian, from `at` on. */
  readonly words: DataView;
  readonly at: number;
  count: number;
}

export interface Here {
  /**
   * The hcall's answer. Undefined: it was not executed, and a processor has to. Any error is a defect of the engine, and the
   * guest is not to be used any more: `broken` was told.
   */
  execute(record: RequestRecord): AnswerRecord | undefined;
  /** The same for an hcall whose words lie at the beginning of `words`, little-endian. */
  executePlain(opcode: number, words: DataView, count: number): AnswerHere | undefined;
  /** The same for a frame: the answer record, as it lies in the ring until the next hcall is executed. */
  executeFrame(frame: Uint8Array): Uint8Array | undefined;
}

/** Is a frame one short hcall, with all its words and no explanation asked for? */
export function isShort(frame: Uint8Array): boolean {
  const head = frame[0]! | (frame[1]! << 8) | (frame[2]! << 16) | (frame[3]! << 24);
  return SHORT_BYTES.get(head) === frame.byteLength;
}

/** Where the only item of a ring has its record. */
const RECORD = HEADER_BYTES;

/** `index`: a processor's number that nobody else has; `slot`: a stream that is nobody else's. */
export function openHere(
  { calls, map }: Engine,
  { buffer }: WebAssembly.Memory,
  index: number,
  slot: number,
  broken: (error: Error) => void,
): Here {
  calls.beProcessor(index);
  calls.neverWait();
  const rings = streamMemory(buffer, map, slot);
  const request = new DataView(buffer, rings.submission.byteOffset);
  const words = new DataView(buffer, rings.completion.byteOffset);
  const guest = new Int32Array(buffer, 0, map.MEMSLOTS >> 2);
  const answer: AnswerHere = { status: 0, words, at: RECORD + HEADER_BYTES, count: 0 };
  resetStream(rings, false);

  /** Items of a recorded guest have stamps, and an order with those of other streams. */
  const isRecorded = (): boolean => guest[map.RECORDING >> 2] !== map.RECORDING_OFF;

  /** Executes the request that ends at `end`. False: nothing was. */
  function run(end: number): boolean {
    beginAnew(rings, end);
    try {
      calls.run(slot, 1);
    } catch (error) {
      if (calls.stepBack() !== 0) return false;
      broken(error as Error);
      throw error;
    }
    // In a paused guest it was left alone.
    return rings.block[rings.at.completionTail] !== 0;
  }

  return {
    execute(record) {
      if (!SHORT.has(record.opcode) || isRecorded()) return undefined;
      const end = writeRequest(request, RECORD, record);
      return run(end) ? readAnswer(words, RECORD) : undefined;
    },
    executePlain(opcode, given, count) {
      if (!SHORT.has(opcode) || isRecorded()) return undefined;
      const from = writeRequestHeader(request, RECORD, opcode, 0, count);
      for (let i = 0; i < 8 * count; i += 4)
        request.setInt32(from + i, given.getInt32(i, true), true);
      if (!run(from + 8 * count)) return undefined;
      answer.status = words.getInt16(RECORD, true);
      answer.count = words.getUint16(RECORD + 2, true);
      return answer;
    },
    executeFrame(frame) {
      if (!isShort(frame) || isRecorded()) return undefined;
      rings.submission.set(frame, RECORD);
      if (!run(RECORD + frame.byteLength)) return undefined;
      const bytes = HEADER_BYTES + 8 * words.getUint16(RECORD + 2, true);
      return rings.completion.subarray(RECORD, RECORD + bytes);
    },
  };
}

/** Rings whose only item is the request that ends at `end`: nothing is left of the call before. */
function beginAnew({ block, at, submissionWords }: StreamMemory, end: number): void {
  block[at.submissionHead] = 0;
  block[at.consumed] = 0;
  block[at.executedTo] = 0;
  block[at.answeredTo] = 0;
  block[at.completionTail] = 0;
  submissionWords[0] = end - HEADER_BYTES;
  submissionWords[1] = at.records;
  block[at.submissionTail] = end;
}
