/**
 * A guest: its memory, its streams, the processors that know it, and its end. Main thread only.
 *
 * A processor learns of a guest when the first stream is pinned to it there, so the death of a processor takes
 * no guest along that it never worked for.
 */
import type { GuestConfig } from '../../schemas/guests.ts';
import {
  REST_IN_FLIGHT_MAX,
  REST_WAIT_MILLIS,
  STREAMS_PER_GUEST_MAX,
} from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import { CONTROL_BIT } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import { openHere } from '../processors/here.ts';
import type { Here } from '../processors/here.ts';
import { attachGuest, detachGuest, leastLoaded, passed } from '../processors/pool.ts';
import type { Pool, Processor } from '../processors/pool.ts';
import type { WatchedGuest } from '../processors/stuck.ts';
import type { Engine } from '../rings/engine.ts';
import { resetStream, streamMemory } from '../rings/stream-memory.ts';
import { endProblem, openCaller } from './caller.ts';
import type { Caller } from './caller.ts';
import { openGuestStream } from './guest-stream.ts';
import type { OwnedStream } from './guest-stream.ts';
import { answersOf, countersOf, memslotsOf, resizeOf, runsOf } from './facts.ts';
import type { AnswerPlaces } from './facts.ts';
import {
  beginHcalls,
  beginLife,
  changeState,
  endHcalls,
  executesHcalls,
  holdStill,
  notYet,
  openLife,
} from './life.ts';
import type { Life, Stop } from './life.ts';
import type { KeptGuest } from '../state/state.ts';
import type { RecordedGuest } from './recording/recorded-guest.ts';
import { openRecordings, type RecordingBudget } from './recording/recordings.ts';
import type { OwnedRecordings } from './recording/recordings.ts';
import type { Guest, RingFill, Role, StreamEnd, StreamListener } from './types.ts';

/** Records unanswered up to which a processor is as good as idle: some microseconds of its time. */
const LITTLE_RECORDS = 64;
/** Between looks at who waits for an answer for too long. */
const WAIT_LOOK_MILLIS = 500;

export interface GuestSite {
  readonly name: string;
  /** The guest's number in the daemon. */
  readonly number: number;
  readonly config: GuestConfig;
  readonly createdAt: Date;
  readonly memory: WebAssembly.Memory;
  readonly map: Engine['map'];
  /** The main thread's, with which the guest was laid out. */
  readonly engine: Engine;
  readonly pool: Pool;
  readonly answerPlaces: AnswerPlaces;
  readonly recordingBudget: RecordingBudget;
}

/** What the registry may do with a guest beside the transports. */
export interface OwnedGuest extends Guest {
  readonly watched: WatchedGuest;
  /** Ends its creation: from now on it takes streams and calls. */
  begin(state: 'running' | 'paused'): void;
  /** Answers what is in flight for at most `graceMillis`, ends every stream, lets go of the processors. */
  finish(end: StreamEnd, graceMillis: number): Promise<void>;
  /** Ends every stream at once; the guest stays, for people to see, until it is deleted. */
  fail(reason: string): void;
  isOn(processor: Processor): boolean;
  readonly recordings: OwnedRecordings;
  /** As the state of the daemon keeps it. */
  readonly kept: KeptGuest;
}

interface State {
  readonly site: GuestSite;
  readonly words: Int32Array<SharedArrayBuffer>;
  /** By slot. */
  readonly streams: (OwnedStream | undefined)[];
  readonly processors: Set<Processor>;
  readonly callers: Map<Processor, Caller>;
  readonly life: Life;
  readonly recorded: RecordedGuest;
  /** Why the guest takes nothing more. */
  end: StreamEnd | undefined;
  /** The main thread as a processor of the guest, since REST first had something for it. */
  here: Here | undefined;
}

export function openGuest(site: GuestSite): OwnedGuest {
  const words = new Int32Array(site.memory.buffer, 0, site.map.STREAMS >> 2);
  const state: State = {
    site,
    words,
    streams: [],
    processors: new Set(),
    callers: new Map(),
    life: openLife({
      name: site.name,
      end: () => state.end,
      storePaused: (stop) =>
        void Atomics.store(words, site.map.PAUSED >> 2, pausedWord(site, stop)),
      allPassed: () => allPassed(state),
      wakeStreams() {
        for (const stream of openStreams(state)) stream.wake();
      },
    }),
    recorded: recordedGuest(site, () => state),
    end: undefined,
    here: undefined,
  };
  // The main thread is one too.
  const processors = site.pool.processors.length + 1;
  const recordings = openRecordings(state.recorded, site.recordingBudget);
  const fail = (reason: string): void => {
    state.end = { kind: 'failed', reason };
    recordings.endAll();
    for (const stream of openStreams(state)) stream.cutOff(state.end);
  };
  return {
    name: site.name,
    config: site.config,
    createdAt: site.createdAt,
    watched: { name: site.name, memory: site.memory, map: site.map, seen: new Map() },
    status: () => statusOf(state),
    recordings,
    memslots: () => memslotsOf(site.memory, site.map),
    counters: () => countersOf(site.memory, site.map, processors),
    answers: () => answersOf(site.memory, site.map, site.answerPlaces, processors),
    runs: () => runsOf(site.memory, site.map, processors),
    ringFill: () => ringFillOf(state),
    resize: () => resizeOf(site.memory, site.map),
    allPassed: () => allPassed(state),
    begin: (first) => beginLife(state.life, first),
    changeState: (to) => changeState(state.life, to),
    openStream: (role, listener) => openStream(state, processorForClient(state), role, listener),
    checkStream: () => void processorForClient(state),
    run: (records) => run(state, records),
    runOne: (record) => runOne(state, record, fail),
    async finish(end, graceMillis) {
      await finish(state, end, graceMillis);
      recordings.dropAll();
    },
    fail,
    isOn: (processor) => state.processors.has(processor),
    kept: keptGuest(state),
  };
}

function keptGuest(state: State): KeptGuest {
  const { name, config, createdAt, memory, map, pool } = state.site;
  const processors = pool.processors.length;
  return {
    name,
    memory,
    map,
    header: { config, createdAt: createdAt.toISOString() },
    facts() {
      if (state.end?.kind === 'failed') return undefined;
      const now = state.life.state === 'creating' ? config.state : state.life.state;
      return {
        takenAt: new Date().toISOString(),
        // A copy to another daemon does not survive this one.
        state: now === 'paused' ? 'paused' : 'running',
        order: orderOf(state),
      };
    },
    records: () =>
      countersOf(memory, map, processors).reduce((sum, { records }) => sum + records, 0),
    hold: (work) => holdStill(state.life, 'all', work),
  };
}

function pausedWord({ map }: GuestSite, stop: Stop): number {
  if (stop === 'nothing') return 0;
  return stop === 'all' ? map.PAUSED_ALL : map.PAUSED_HCALLS;
}

function statusOf(state: State): ReturnType<OwnedGuest['status']> {
  const { end, life, callers } = state;
  const ended = end?.kind === 'failed' ? 'failed' : 'ending';
  return {
    order: orderOf(state),
    streams: openStreams(state).length - callers.size,
    state: end === undefined ? life.state : ended,
  };
}

/** `of` gives the state, which is still being put together. */
function recordedGuest(
  { name, config, memory, map, pool }: GuestSite,
  of: () => State,
): RecordedGuest {
  return {
    name,
    config,
    memory,
    map,
    processors: pool.processors.length,
    onStream: undefined,
    status: () => statusOf(of()),
    memslots: () => memslotsOf(memory, map),
    streams: () => openStreams(of()),
    hold: (work) => holdStill(of().life, 'hcalls', work),
    allPassed: () => allPassed(of()),
    withOwnStream: (work) => withOwnStream(of(), work),
  };
}

async function allPassed({ site, processors }: State): Promise<void> {
  await Promise.all([...processors].map((one) => passed(site.pool, one)));
}

async function withOwnStream<T>(state: State, work: (caller: Caller) => Promise<T>): Promise<T> {
  const processor = processorForClient(state);
  const caller = openCaller((listener) => openStream(state, processor, 'host', listener), {
    wantsMore: () => true,
    onEnd: () => {},
  });
  try {
    return await work(caller);
  } finally {
    caller.stream.close();
  }
}

function ringFillOf(state: State): RingFill {
  let [submittedBytes, answerBytes] = [0, 0];
  for (const stream of openStreams(state)) {
    const fill = stream.fill();
    submittedBytes += fill.submittedBytes;
    answerBytes += fill.answerBytes;
  }
  return { submittedBytes, answerBytes };
}

function orderOf({ words, site: { map } }: State): number {
  return Atomics.load(words, map.MODE >> 2) === 0 ? 0 : Atomics.load(words, map.TABLE_ORDER >> 2);
}

function openStreams(state: State): OwnedStream[] {
  return state.streams.filter((stream) => stream !== undefined);
}

/** Where a client's next stream goes. Throws a problem when it cannot have one. */
function processorForClient(state: State): Processor {
  if (state.end !== undefined) throw endProblem(state.end);
  if (state.life.state === 'creating') throw notYet(state.site.name);
  const { pool } = state.site;
  // One stream a processor is kept for REST, and one for the main thread, so that a guest full of clients can still be
  // looked at.
  const limit = STREAMS_PER_GUEST_MAX - pool.processors.length - 1;
  if (openStreams(state).length - state.callers.size >= limit) {
    throw problem('stream-limit', `the guest has ${limit} streams open`);
  }
  const processor = leastLoaded(pool);
  if (processor === undefined)
    throw problem('processor-busy', 'no processor of the daemon is alive');
  return processor;
}

function openStream(
  state: State,
  processor: Processor,
  role: Role,
  listener: StreamListener,
): OwnedStream {
  const { pool, map, number, memory } = state.site;
  if (!state.processors.has(processor)) {
    state.processors.add(processor);
    attachGuest(processor, number, memory, map);
  }
  const slot = freeSlot(state);
  const rings = streamMemory(memory.buffer, map, slot);
  resetStream(rings, role === 'host');
  const onReleased = (): void => {
    state.streams[slot] = undefined;
  };
  const stream = openGuestStream(
    { pool, processor, map, guest: number, slot, memory: rings, onReleased },
    listener,
  );
  state.streams[slot] = stream;
  state.recorded.onStream?.(stream);
  return stream;
}

function freeSlot({ streams }: State): number {
  const hole = streams.indexOf(undefined);
  return hole === -1 ? streams.length : hole;
}

function runOne(
  state: State,
  record: RequestRecord,
  fail: (reason: string) => void,
): AnswerRecord | Promise<AnswerRecord> {
  try {
    const answer = executeHere(state, record);
    if (answer !== undefined) return answer;
  } catch (error) {
    fail(`the engine broke in the main thread: ${(error as Error).message}`);
    throw error;
  }
  return run(state, [record]).then(([answer]) => answer!);
}

/** Undefined: not executed. A processor has to, or to say why not. */
function executeHere(state: State, record: RequestRecord): AnswerRecord | undefined {
  const { end, life, callers, site } = state;
  if (end !== undefined || !executesHcalls(life)) return undefined;
  // What came before is executed before.
  for (const caller of callers.values()) if (caller.unanswered() > 0) return undefined;
  const { engine, memory, pool } = site;
  state.here ??= openHere(engine, memory, pool.processors.length, STREAMS_PER_GUEST_MAX - 1);
  return state.here.execute(record);
}

function run(state: State, records: readonly RequestRecord[]): Promise<AnswerRecord[]> {
  if (state.end !== undefined) return Promise.reject(endProblem(state.end));
  const caller = callerFor(state);
  if (caller === undefined)
    return Promise.reject(problem('processor-busy', 'no processor of the daemon is alive'));
  if (caller.unanswered() >= REST_IN_FLIGHT_MAX) return Promise.reject(tooMany());
  return records.every(isControl) ? caller.call(records) : callHcalls(state, caller, records);
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
  { life }: State,
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
function callerFor(state: State): Caller | undefined {
  let best: Caller | undefined;
  for (const caller of state.callers.values()) {
    const unanswered = caller.unanswered();
    if (unanswered < LITTLE_RECORDS) return caller;
    if (best === undefined || unanswered < best.unanswered()) best = caller;
  }
  const processor = state.site.pool.processors.find((one) => one.alive && !state.callers.has(one));
  return processor === undefined ? best : openCallerOn(state, processor);
}

function openCallerOn(state: State, processor: Processor): Caller {
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

async function finish(state: State, end: StreamEnd, graceMillis: number): Promise<void> {
  state.end ??= end;
  for (const caller of state.callers.values()) caller.submit();
  const streams = openStreams(state);
  const timer = setTimeout(() => {
    for (const stream of streams) stream.cutOff(end);
  }, graceMillis);
  await Promise.all(streams.map((stream) => stream.finish(end)));
  clearTimeout(timer);
  const { pool, number } = state.site;
  await Promise.all([...state.processors].map((processor) => detachGuest(pool, processor, number)));
  state.processors.clear();
}
