/**
 * A guest: its memory, its streams, the processors that know it, and its end. Main thread only.
 *
 * A processor learns of a guest when the first stream is pinned to it there, so the death of a processor takes
 * no guest along that it never worked for.
 */
import { detachGuest, passed } from '../processors/pool.ts';
import type { Processor } from '../processors/pool.ts';
import type { WatchedGuest } from '../processors/stuck.ts';
import type { KeptGuest } from '../state/kept-guest.ts';
import { answersOf, countersOf, memslotsOf, resizeOf, runsOf } from './facts.ts';
import { run, runOne, runPlain } from './guest-calls.ts';
import { openStreams, orderOf, processorsOf } from './guest-state.ts';
import type { GuestSite, GuestState } from './guest-state.ts';
import { openStream, processorForClient, ringFillOf, withOwnStream } from './guest-streams.ts';
import type { Journal } from './journal/journal.ts';
import { keptGuest } from './kept.ts';
import { beginLife, changeState, holdStill, openLife } from './life.ts';
import type { Life, Stop } from './life.ts';
import type { RecordedGuest } from './recording/recorded-guest.ts';
import { openRecordings } from './recording/recordings.ts';
import type { OwnedRecordings } from './recording/recordings.ts';
import type { Guest, StreamEnd } from './types.ts';

/** What the registry may do with a guest beside the transports. */
export interface OwnedGuest extends Guest {
  readonly watched: WatchedGuest;
  /** Ends its creation: from now on it takes streams and calls. With a journal answers wait until they are in it. */
  begin(state: 'running' | 'paused', journal?: Journal): void;
  /** Answers what is in flight for at most `graceMillis`, ends every stream, lets go of the processors. */
  finish(end: StreamEnd, graceMillis: number): Promise<void>;
  /** Ends every stream at once; the guest stays, for people to see, until it is deleted. */
  fail(reason: string): void;
  isOn(processor: Processor): boolean;
  /** Its thread is gone, and the order of what it did may be. */
  noteDeath(processor: Processor): void;
  readonly recordings: OwnedRecordings;
  /** As the state of the daemon keeps it. */
  readonly kept: KeptGuest;
}

export function openGuest(site: GuestSite): OwnedGuest {
  const words = new Int32Array(site.memory.buffer, 0, site.map.STREAMS >> 2);
  const state: GuestState = {
    site,
    words,
    streams: [],
    processors: new Set(),
    callers: new Map(),
    life: lifeOf(site, words, () => state),
    recorded: recordedGuest(site, () => state),
    end: undefined,
    here: undefined,
    fail(reason) {
      recordings.endAll();
      fail(state, reason);
    },
    journal: undefined,
  };
  const processors = processorsOf(site.pool);
  const recordings = openRecordings(state.recorded, site.recordingBudget);
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
    journal: () => state.journal?.facts(),
    resize: () => resizeOf(site.memory, site.map),
    allPassed: () => allPassed(state),
    begin: (first, journal) => begin(state, first, journal),
    async changeState(to) {
      await changeState(state.life, to);
      await site.keepState?.();
    },
    openStream: (role, listener) => openStream(state, processorForClient(state), role, listener),
    checkStream: () => void processorForClient(state),
    run: (records) => run(state, records),
    runOne: (record) => runOne(state, record),
    runPlain: (opcode, words, count) => runPlain(state, opcode, words, count),
    async finish(end, graceMillis) {
      await finish(state, end, graceMillis);
      recordings.dropAll();
    },
    fail: state.fail,
    isOn: (processor) => state.processors.has(processor),
    noteDeath(processor) {
      recordings.noteDeath(processor.index);
      if (state.processors.has(processor)) state.journal?.loseOrder();
    },
    kept: keptGuest(site, state, () => orderOf(state)),
  };
}

/** `of` gives the state, which is still being put together. */
function lifeOf(site: GuestSite, words: Int32Array, of: () => GuestState): Life {
  return openLife({
    name: site.name,
    end: () => of().end,
    storePaused: (stop) => void Atomics.store(words, site.map.PAUSED >> 2, pausedWord(site, stop)),
    allPassed: () => allPassed(of()),
    wakeStreams() {
      for (const stream of openStreams(of())) stream.wake();
    },
  });
}

function begin(state: GuestState, first: 'running' | 'paused', journal: Journal | undefined): void {
  const { words, life, site } = state;
  state.journal = journal;
  // Its stamps are the order in which the journal says what happened.
  if (journal !== undefined)
    Atomics.store(words, site.map.RECORDING >> 2, site.map.RECORDING_IN_TURN);
  beginLife(life, first);
}

function pausedWord({ map }: GuestSite, stop: Stop): number {
  if (stop === 'nothing') return 0;
  return stop === 'all' ? map.PAUSED_ALL : map.PAUSED_HCALLS;
}

function statusOf(state: GuestState): ReturnType<OwnedGuest['status']> {
  const { end, life, callers } = state;
  const ended = end?.kind === 'failed' ? 'failed' : 'ending';
  return {
    order: orderOf(state),
    streams: openStreams(state).length - callers.size,
    state: end === undefined ? life.state : ended,
  };
}

/** `of`: as in lifeOf. */
function recordedGuest(
  { name, config, memory, map, pool }: GuestSite,
  of: () => GuestState,
): RecordedGuest {
  return {
    name,
    config,
    memory,
    map,
    processors: pool.processors.length,
    alwaysInTurn: () => of().journal !== undefined,
    onStream: undefined,
    status: () => statusOf(of()),
    memslots: () => memslotsOf(memory, map),
    streams: () => openStreams(of()),
    hold: (work) => holdStill(of().life, 'hcalls', work),
    allPassed: () => allPassed(of()),
    withOwnStream: (work) => withOwnStream(of(), work),
  };
}

async function allPassed({ site, processors }: GuestState): Promise<void> {
  await Promise.all([...processors].map((one) => passed(site.pool, one)));
}

async function finish(state: GuestState, end: StreamEnd, graceMillis: number): Promise<void> {
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
  if (end.kind === 'deleted') await state.journal?.abandon();
}

function fail(state: GuestState, reason: string): void {
  state.end = { kind: 'failed', reason };
  void state.journal?.abandon();
  for (const stream of openStreams(state)) stream.cutOff(state.end);
}
