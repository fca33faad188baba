/** Calls that the daemon makes for its clients over REST and the JSON stream: here, or over a stream of its own. Main thread only. */
import { REST_IN_FLIGHT_MAX, REST_WAIT_MILLIS } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import { CONTROL_BIT } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import type { AnswerHere, Here } from '../processors/here.ts';
import type { Processor } from '../processors/pool.ts';
import { endProblem, openCaller } from './caller.ts';
import type { Caller } from './caller.ts';
import type { GuestState } from './guest-state.ts';
import { openStream } from './guest-streams.ts';
import { hereOf } from './here.ts';
import { beginHcalls, endHcalls } from './life.ts';

/** Records unanswered up to which a processor is as good as idle: some microseconds of its time. */
const LITTLE_RECORDS = 64;
/** Between looks at who waits for an answer for too long. */
const WAIT_LOOK_MILLIS = 500;

export function runOne(
  state: GuestState,
  record: RequestRecord,
): AnswerRecord | Promise<AnswerRecord> {
  return hereForRest(state)?.execute(record) ?? run(state, [record]).then(([answer]) => answer!);
}

/** Undefined: not executed, see `runOne`. */
export function runPlain(
  state: GuestState,
  opcode: number,
  words: DataView,
  count: number,
): AnswerHere | undefined {
  return hereForRest(state)?.executePlain(opcode, words, count);
}

function hereForRest(state: GuestState): Here | undefined {
  // What came before is executed before.
  for (const caller of state.callers.values()) if (caller.unanswered() > 0) return undefined;
  return hereOf(state);
}

export function run(state: GuestState, records: readonly RequestRecord[]): Promise<AnswerRecord[]> {
  if (state.end !== undefined) return Promise.reject(endProblem(state.end));
  const trouble = state.journal?.trouble();
  if (trouble !== undefined) return Promise.reject(notAnswered(state.site.name, trouble));
  const caller = callerFor(state);
  if (caller === undefined)
    return Promise.reject(problem('processor-busy', 'no processor of the daemon is alive'));
  if (caller.unanswered() >= REST_IN_FLIGHT_MAX) return Promise.reject(tooMany());
  return records.every(isControl) ? caller.call(records) : callHcalls(state, caller, records);
}

/** Rather than to let the request wait for a disk. */
function notAnswered(name: string, { message }: Error): ProblemError {
  return problem('state-unwritable', `the journal of ${name} cannot be written: ${message}`);
}

function tooMany(): ProblemError {
  return problem('too-many-requests', `${REST_IN_FLIGHT_MAX} calls of this guest wait already`, {
    headers: { 'retry-after': '1' },
  });
}

function isControl({ opcode }: RequestRecord): boolean {
  return (opcode & CONTROL_BIT) !== 0;
}

/** They count as under way until they are answered. */
function callHcalls(
  { life }: GuestState,
  caller: Caller,
  records: readonly RequestRecord[],
): Promise<AnswerRecord[]> {
  const refused = beginHcalls(life);
  if (refused !== undefined) return Promise.reject(refused);
  const answers = caller.call(records);
  const end = (): void => endHcalls(life);
  answers.then(end, end);
  return answers;
}

/**
 * The first caller that has little to do; else one on a processor that has none; else the one with the least to do.
 * One processor that is awake answers sooner than two that must be woken in turns.
 */
function callerFor(state: GuestState): Caller | undefined {
  let best: Caller | undefined;
  for (const caller of state.callers.values()) {
    const unanswered = caller.unanswered();
    if (unanswered < LITTLE_RECORDS) return caller;
    if (best === undefined || unanswered < best.unanswered()) best = caller;
  }
  const processor = state.site.pool.processors.find((one) => one.alive && !state.callers.has(one));
  return processor === undefined ? best : openCallerOn(state, processor);
}

function openCallerOn(state: GuestState, processor: Processor): Caller {
  const caller = openCaller((listener) => openStream(state, processor, 'host', listener), {
    wantsMore: () => true,
    onEnd() {
      clearInterval(watch);
      state.callers.delete(processor);
    },
  });
  const watch = setInterval(() => {
    if (caller.unanswered() > 0) caller.giveUp(REST_WAIT_MILLIS, tooLate());
  }, WAIT_LOOK_MILLIS).unref();
  state.callers.set(processor, caller);
  return caller;
}

function tooLate(): ProblemError {
  return problem(
    'processor-busy',
    `no answer within ${REST_WAIT_MILLIS} ms; the calls may still be executed`,
  );
}
