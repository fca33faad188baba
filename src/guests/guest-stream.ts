/**
 * One stream of a guest on the main thread: a submission ring, a completion ring, and the stream's life.
 *
 *     open --finish, close, a malformed frame--> ending --processor let go, answers taken--> released
 *
 * While it ends, what was submitted is still executed and answered; in a paused guest it is dropped, and nothing of it
 * happened. Nothing here looks into a frame.
 */
import type { Journal, JournaledStream, StreamJournal } from './journal/journal.ts';
import type { RecordedStream, StreamTap } from './recording/recorded-guest.ts';
import type { GuestStream, RingFill, Role, StreamEnd, StreamListener } from './types.ts';
import { CREDIT_BYTES, FRAME_OVERHEAD_BYTES } from '../../schemas/limits.ts';
import { isShort } from '../processors/here.ts';
import type { Here } from '../processors/here.ts';
import type { MemoryMap } from '../rings/engine.ts';
import type { Pool, Processor } from '../processors/pool.ts';
import {
  attachStream,
  detachStream,
  hurryDetach,
  releaseStream,
  ringProcessor,
  roomMade,
} from '../processors/pool.ts';
import {
  bytesWaiting,
  completionTail,
  copyAnswer,
  dropCompletions,
  isEverythingTaken,
  openCompletionRing,
  showItems,
  takeCompletions,
} from '../rings/completion.ts';
import type { CompletionRing, Fault } from '../rings/completion.ts';
import { noteFrame } from '../rings/release.ts';
import {
  bytesInFlight,
  openSubmissionRing,
  putFrame,
  unexecutedFrames,
} from '../rings/submission.ts';
import type { SubmissionRing } from '../rings/submission.ts';
import type { StreamMemory } from '../rings/stream-memory.ts';
import { streamNumber } from '../rings/wakeups.ts';

/** Where a stream lives. */
export interface StreamSite {
  readonly pool: Pool;
  readonly processor: Processor;
  readonly map: MemoryMap;
  /** Number of its guest in the daemon, and its place in the guest's memory. */
  readonly guest: number;
  readonly slot: number;
  readonly memory: StreamMemory;
  readonly role: Role;
  /** Of the guest, if it keeps one: answers go out when they are in it. */
  readonly journal: Journal | undefined;
  /** The main thread as a processor, when it may be one. */
  readonly here: () => Here | undefined;
  /** The slot may be used again. */
  readonly onReleased: () => void;
}

/** What the guest may do with a stream beside its transport. */
export interface OwnedStream extends GuestStream, RecordedStream {
  /** Answers what is in flight, then ends the stream; resolves when it is released. */
  finish(end: StreamEnd): Promise<void>;
  /** Ends the stream at once, whatever is in flight. */
  cutOff(end: StreamEnd): void;
  fill(): RingFill;
  /** Makes the processor look at what was submitted. */
  wake(): void;
}

interface State {
  readonly site: StreamSite;
  readonly number: number;
  readonly submission: SubmissionRing;
  readonly listener: StreamListener;
  readonly completion: CompletionRing;
  /** Takes frames. */
  open: boolean;
  /** Nobody listens any more: answers are dropped, no event follows. */
  silent: boolean;
  /** The listener wants no answers now. */
  paused: boolean;
  /** The processor was asked to let go. */
  detaching: boolean;
  /** The processor let go: what the ring holds is all there will be. */
  detached: boolean;
  released: boolean;
  end: StreamEnd | undefined;
  /** A recording's ear, and how far it has heard. */
  tap: StreamTap | undefined;
  tapAt: number;
  journal: StreamJournal | undefined;
  journalAt: number;
  /** Frames that the journal has no room for. */
  readonly waiting: Uint8Array[];
  waitingBytes: number;
  /** Nothing that is left is waited for. */
  hurried: boolean;
  readonly done: PromiseWithResolvers<void>;
}

export function openGuestStream(site: StreamSite, listener: StreamListener): OwnedStream {
  const number = streamNumber(site.guest, site.slot);
  const state = newState(site, number, listener);
  const { submission } = state;
  state.journal = site.journal?.openStream(site.role, journaledStream(state));
  attachStream(site.pool, site.processor, number, site.guest, site.slot, () => {
    deliver(state);
    return !state.paused && bytesInFlight(submission) > 0;
  });
  return {
    ...recordedStream(state),
    processor: site.processor.index,
    submit(frame) {
      if (!state.open) return 'ended';
      if (state.journal?.hasRoom() === false || state.waiting.length > 0)
        return submitLater(state, frame);
      return submitNow(state, frame) ? 'accepted' : 'over-credit';
    },
    mayExecute: (frame) => isShort(frame) && isAtRest(state),
    execute: (frame) => isAtRest(state) && executeNow(state, frame),
    refuse(reason) {
      state.end ??= { kind: 'malformed', reason };
      beginEnd(state);
    },
    fill: () => ({
      submittedBytes: bytesInFlight(submission) + state.waitingBytes,
      answerBytes: bytesWaiting(state.completion),
    }),
    wake() {
      ringProcessor(site.pool, site.processor, number);
    },
    resume() {
      state.paused = false;
      deliver(state);
    },
    close() {
      state.silent = true;
      beginEnd(state);
      deliver(state);
    },
    finish(end) {
      state.end ??= end;
      beginEnd(state);
      return state.done.promise;
    },
    cutOff(end) {
      deliver(state);
      sayEnd(state, end);
      state.hurried = true;
      state.waiting.length = 0;
      beginEnd(state);
      hurryDetach(site.processor, number);
      deliver(state);
    },
  };
}

function newState(site: StreamSite, number: number, listener: StreamListener): State {
  return {
    site,
    number,
    listener,
    submission: openSubmissionRing(site.memory),
    completion: openCompletionRing(site.memory),
    open: true,
    silent: false,
    paused: false,
    detaching: false,
    detached: false,
    released: false,
    end: undefined,
    tap: undefined,
    tapAt: 0,
    journal: undefined,
    journalAt: 0,
    waiting: [],
    waitingBytes: 0,
    hurried: false,
    done: Promise.withResolvers(),
  };
}

/** Takes frames, has none that is not answered, and its listener wants answers. */
function isAtRest({ open, paused, submission, completion }: State): boolean {
  return open && !paused && bytesInFlight(submission) === 0 && isEverythingTaken(completion);
}

/** The stream is at rest, so nothing of it comes before this frame, and its answer is the next. */
function executeNow(state: State, frame: Uint8Array): boolean {
  let answer: Uint8Array | undefined;
  try {
    answer = state.site.here()?.executeFrame(frame);
  } catch {
    // The guest has failed, and this stream was told.
    return true;
  }
  if (answer === undefined) return false;
  noteFrame(frame.byteLength + answer.byteLength);
  state.paused = !state.listener.onAnswers(copyAnswer(state.completion, answer));
  return true;
}

/** False: the credits do not allow it. */
function submitNow(state: State, frame: Uint8Array): boolean {
  const { site, number, submission } = state;
  if (!putFrame(submission, frame)) return false;
  ringProcessor(site.pool, site.processor, number);
  noteFrame(frame.byteLength);
  state.journal?.noteFrame(frame);
  state.tap?.onFrame(frame);
  return true;
}

/** The frame waits, within the stream's credits, until the journal has room. */
function submitLater(state: State, frame: Uint8Array): 'accepted' | 'over-credit' {
  const cost = frame.byteLength + FRAME_OVERHEAD_BYTES;
  if (bytesInFlight(state.submission) + state.waitingBytes + cost > CREDIT_BYTES)
    return 'over-credit';
  state.waiting.push(Uint8Array.from(frame));
  state.waitingBytes += cost;
  return 'accepted';
}

function submitWaiting(state: State): void {
  while (state.waiting.length > 0 && state.journal!.hasRoom()) {
    const frame = state.waiting.shift()!;
    state.waitingBytes -= frame.byteLength + FRAME_OVERHEAD_BYTES;
    submitNow(state, frame);
  }
  if (!state.open && state.waiting.length === 0) detach(state);
}

/** What the journal may do with it. */
function journaledStream(state: State): JournaledStream {
  return {
    deliver: () => deliver(state),
    goOn: () => submitWaiting(state),
    show: () => show(state),
    answeredTo: () => completionTail(state.completion),
    unexecuted: () => unexecutedFrames(state.submission),
  };
}

/** What a recording may do with it. */
function recordedStream(state: State): RecordedStream {
  return {
    tap(tap) {
      state.tap = tap;
      state.tapAt = state.completion.head;
    },
    show: () => show(state),
    unexecuted: () => unexecutedFrames(state.submission),
  };
}

/** Hands waiting answers to the listener, as long as it takes them. */
function deliver(state: State): void {
  if (state.released) return;
  show(state);
  const limit = state.journal?.durableTo;
  while (!state.paused && !state.silent) {
    const taken = takeCompletions(state.completion, limit);
    if (taken === undefined) break;
    if (taken instanceof Uint8Array) {
      noteFrame(taken.byteLength);
      state.paused = !state.listener.onAnswers(taken);
    } else refused(state, taken);
  }
  if (state.silent) dropCompletions(state.completion, limit);
  roomMade(state.site.processor);
  const isEmpty = state.hurried || bytesWaiting(state.completion) === 0;
  if (state.detached && (state.silent || !state.paused) && isEmpty) release(state);
}

/** ORDER: before anything is taken, because what was taken is soon overwritten. */
function show(state: State): void {
  const { tap, journal, completion } = state;
  if (journal !== undefined)
    state.journalAt = showItems(completion.memory, state.journalAt, (stamp, answers, end) =>
      journal.noteItem(stamp, answers, end),
    );
  if (tap === undefined) return;
  state.tapAt = showItems(completion.memory, state.tapAt, (stamp, answers) =>
    tap.onItem(stamp, answers),
  );
}

/** The engine refused a frame and runs nothing that came after it. */
function refused(state: State, { fault, offset }: Fault): void {
  sayEnd(state, {
    kind: 'malformed',
    reason: `byte ${offset}: ${faultText(state.site.map, fault)}`,
  });
  beginEnd(state);
}

function faultText(map: MemoryMap, fault: number): string {
  if (fault === map.FAULT_VERSION) return 'the record version is not 1';
  if (fault === map.FAULT_COUNT) return 'the opcode does not take this number of words';
  return 'the frame ends inside a record, or is empty';
}

/** The last event of a stream. */
function sayEnd(state: State, end: StreamEnd): void {
  if (state.silent) return;
  state.silent = true;
  state.listener.onEnd(end);
}

/** Takes no more frames, and asks the processor to let go once it has run those it has. */
function beginEnd(state: State): void {
  if (!state.open) return;
  state.open = false;
  if (state.waiting.length === 0) detach(state);
}

function detach(state: State): void {
  if (state.detaching) return;
  state.detaching = true;
  const { pool, processor } = state.site;
  void detachStream(pool, processor, state.number).then(() => {
    state.detached = true;
    deliver(state);
  });
}

function release(state: State): void {
  if (state.released) return;
  state.released = true;
  state.journal?.close();
  const { pool, processor, onReleased } = state.site;
  releaseStream(pool, processor, state.number);
  onReleased();
  if (state.end !== undefined) sayEnd(state, state.end);
  state.done.resolve();
}
