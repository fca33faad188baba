/**
 * A guest on this thread: its memory, the engine on it, and processors whose rings the test drives by hand.
 *
 * Nothing runs but what a test calls: a call is a frame put in, run(), the answer taken out. Several processors are
 * several instances of the engine on one memory, as in the daemon, but one after the other.
 */
import { guestConfig } from '../../schemas/guests.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import { operationByName } from '../../schemas/operations.ts';
import { EXPLAIN_WORDS, decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import { RULES } from '../../schemas/rules.ts';
import { layOut } from '../../src/guests/layout.ts';
import { openCompletionRing, takeCompletions } from '../../src/rings/completion.ts';
import type { Fault } from '../../src/rings/completion.ts';
import { compileEngine, guestMemory, openEngine } from '../../src/rings/engine.ts';
import type { Engine, EngineCalls } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';

export const MIB = 1024 * 1024;

/** The engine's exported numbers and functions by name: more of them than the daemon needs. */
export type EngineExports = Readonly<Record<string, number>> & {
  readonly functions: Readonly<Record<string, (...args: number[]) => number>>;
};

export interface Answer {
  status: number;
  /** r4 on, without the explanation. */
  out: bigint[];
  /** The rule's number and its details, where they were asked for; else empty. */
  why: bigint[];
}

/** What a processor counts, and the operand of its last tlbie. */
export type Counter =
  | 'COUNT_TLBIE'
  | 'COUNT_TLBSYNC'
  | 'LAST_TLBIE_RB'
  | 'COUNT_LOCK_WAITS'
  | 'COUNT_SECOND_PASS';

export interface TestProcessor {
  readonly engine: Engine;
  call(name: string, args: readonly bigint[]): Answer;
  /** The same, with the rule that decided. */
  explain(name: string, args: readonly bigint[]): Answer;
  /** One frame of records; its answers, or the fault that refused it. The stream is good again afterwards. */
  frame(bytes: Uint8Array): AnswerRecord[] | Fault;
  counter(name: Counter): bigint;
}

export interface TestGuest extends TestProcessor {
  readonly config: GuestConfig;
  readonly memory: WebAssembly.Memory;
  readonly exports: EngineExports;
  /** 64-bit words of the guest's memory, to look at and to poke. */
  words(address: number, count: number): BigUint64Array<SharedArrayBuffer>;
  word32(address: number): number;
  /** dword 0 and dword 1 as they stand in the table. */
  entry(ptex: bigint | number): BigUint64Array<SharedArrayBuffer>;
  /** guest_rpte, then forw and back in one word. */
  revmap(ptex: bigint | number): BigUint64Array<SharedArrayBuffer>;
  order(): number;
  /**
   * Another processor of the same guest; its stream has the guest's role unless `host` says otherwise. `calls`: an
   * instance of the engine's test build on the guest's memory.
   */
  processor(index: number, host?: boolean, calls?: EngineCalls): TestProcessor;
}

const module = await compileEngine();

/** Order 18 and one slot of 64 MiB, unless `changes` says otherwise. Processor 0 speaks for the guest's host. */
export function openTestGuest(changes: Partial<GuestConfig> = {}): TestGuest {
  const config = { ...guestConfig.parse({ order: 18, ramBytes: 64 * MIB }), ...changes };
  const memory = guestMemory();
  const engine = openEngine(module, memory);
  layOut(config, engine, memory.buffer.byteLength);
  const exports = exportsOf(engine);
  const words = (address: number, count: number) =>
    new BigUint64Array(memory.buffer, address, count);
  const word32 = (address: number) => new Uint32Array(memory.buffer, address, 1)[0]!;
  const at = (base: number, ptex: bigint | number) => words(word32(base) + Number(ptex) * 16, 2);
  return {
    ...openProcessor(memory, engine, exports, 0, true),
    config,
    memory,
    exports,
    words,
    word32,
    entry: (ptex) => at(exports.TABLE_BASE!, ptex),
    revmap: (ptex) => at(exports.REVMAP_BASE!, ptex),
    order: () => (word32(exports.MODE!) === 0 ? 0 : word32(exports.TABLE_ORDER!)),
    processor: (index, host = false, calls = openEngine(module, memory).calls) =>
      openProcessor(memory, { calls, map: engine.map }, exports, index, host),
  };
}

/** The engine's exports on a memory that nothing runs on, for tests of the module itself. */
export function engineExports(): EngineExports {
  return exportsOf(openEngine(module, guestMemory()));
}

function exportsOf({ calls }: Engine): EngineExports {
  const all = Object.entries(calls as unknown as Record<string, unknown>);
  const functions = all.filter(([, value]) => typeof value === 'function');
  const numbers = all
    .filter(([, value]) => typeof value === 'object' && value !== null && 'value' in value)
    .map(([name, value]) => [name, Number((value as { value: number | bigint }).value)] as const);
  return {
    ...Object.fromEntries(
      numbers.map(([name, value]) => [name, value < 0 ? value + 2 ** 32 : value]),
    ),
    functions: Object.fromEntries(functions),
  } as EngineExports;
}

function openProcessor(
  memory: WebAssembly.Memory,
  engine: Engine,
  exports: EngineExports,
  index: number,
  host: boolean,
): TestProcessor {
  engine.calls.beProcessor(index);
  const stream = streamMemory(memory.buffer, engine.map, index);
  resetStream(stream, host);
  let submission = openSubmissionRing(stream);
  let completion = openCompletionRing(stream);

  const frame = (bytes: Uint8Array): AnswerRecord[] | Fault => {
    if (!putFrame(submission, bytes)) throw new Error('the frame exceeds the credits');
    const answers: AnswerRecord[] = [];
    let outcome = engine.calls.run(index, 4096);
    for (;;) {
      for (
        let taken = takeCompletions(completion);
        taken !== undefined;
        taken = takeCompletions(completion)
      ) {
        if (taken instanceof Uint8Array) {
          answers.push(...decodeAnswers(taken));
          continue;
        }
        resetStream(stream, host);
        submission = openSubmissionRing(stream);
        completion = openCompletionRing(stream);
        return taken;
      }
      if ((outcome & (engine.map.RUN_MORE | engine.map.RUN_STALLED)) === 0) return answers;
      outcome = engine.calls.run(index, 4096);
    }
  };
  const ask = (name: string, words: readonly bigint[], explain: boolean): Answer => {
    const operation = operationByName(name);
    if (operation === undefined) throw new Error(`there is no operation ${name}`);
    const request: RequestRecord = { opcode: operation.opcode, tag: 0, words, explain };
    const answers = frame(encodeRequests([request]));
    if (!Array.isArray(answers))
      throw new Error(`${name}: fault ${answers.fault} at ${answers.offset}`);
    const { status, words: out } = answers[0]!;
    const split = out.length - (explain ? EXPLAIN_WORDS : 0);
    return { status, out: out.slice(0, split), why: out.slice(split) };
  };
  const block = exports.PROCESSORS! + exports.PROCESSOR_BYTES! * index;
  return {
    engine,
    frame,
    call: (name, args) => ask(name, args, false),
    explain: (name, args) => ask(name, args, true),
    counter: (name) => new BigUint64Array(memory.buffer, block + exports[name]!, 1)[0]!,
  };
}

/** The rule behind an explained answer, by name, and its details. */
export function ruleOf({ why }: Answer): (string | bigint)[] {
  const row = RULES[Number(why[0])];
  if (row === undefined) throw new Error(`no rule ${why[0]}`);
  return [row.name, ...why.slice(1, 1 + row.details.length)];
}

/** Hands the engine time for a table in preparation until it is done. */
export function finishPreparing(...processors: readonly TestProcessor[]): void {
  for (const { engine } of processors) while (engine.calls.backgroundSlice() !== 0);
}
