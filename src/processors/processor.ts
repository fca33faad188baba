/**
 * A processor: a worker thread that runs the streams pinned to it, and nothing else.
 *
 * It never returns to its event loop before it is told to stop: it runs streams that have work, one after the other;
 * then slices of background work (preparing tables for a resize); then it sleeps on its bell.
 *
 * Invariants: a stream is in `ready` at most once. A stalled stream is in `stalled` and not in `ready`: it waits
 * until the main thread has taken answers. An exception is a bug: it ends the thread, and a successor goes on.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openEngine } from '../rings/engine.ts';
import type { Engine } from '../rings/engine.ts';
import { releaseDeadMemory } from '../rings/release.ts';
import { streamIndexes } from '../rings/stream-memory.ts';
import {
  countStalled,
  mailOf,
  newPatience,
  ringFor,
  ringsOf,
  sleepUntilRing,
  takeNews,
} from '../rings/wakeups.ts';
import { noteRun, openRunCounts } from './run-counts.ts';
import type { RunCounts } from './run-counts.ts';
import { endTurn, openTurn, takeTurn } from './turn.ts';
import type { Turn } from './turn.ts';
import type { FromProcessor, ProcessorBirth, ToProcessor } from './messages.ts';

/** Records run before looking at the bell again: alone, and when other streams wait. */
const QUANTUM_ALONE = 2048;
const QUANTUM_SHARED = 256;
/** Of what a run answers: how many records it executed. */
const EXECUTED = 0xff_ffff;

interface AttachedGuest {
  readonly number: number;
  readonly engine: Engine;
  readonly buffer: SharedArrayBuffer;
  readonly turn: Turn;
  readonly runs: RunCounts;
  background: boolean;
}

interface AttachedStream {
  readonly number: number;
  readonly slot: number;
  readonly guest: AttachedGuest;
  readonly block: Int32Array<SharedArrayBuffer>;
  readonly completionHead: number;
  readonly completionTail: number;
  queued: boolean;
  /** COMPLETION_HEAD when the last run began: a stalled stream may go on once it has moved. */
  headSeen: number;
  stalled: boolean;
  leaving: boolean;
}

if (parentPort === null) throw new Error('processor.ts runs as a worker thread');
const port = parentPort;
const { index, module, bell, mainBell, inheritance } = workerData as ProcessorBirth;

const guests = new Map<number, AttachedGuest>();
const streams = new Map<number, AttachedStream>();
/** Streams that have work, in the order in which they get their turn. */
let ready: AttachedStream[] = [];
let nextReady: AttachedStream[] = [];
const stalled = new Set<AttachedStream>();
const patience = newPatience();
const life = {
  mailSeen: 0,
  /** A guest was detached: its memory is given back when there is nothing better to do. */
  releaseSoon: false,
  stopped: false,
};

work();

function work(): void {
  inherit();
  tell({ kind: 'ready' });
  let seen = -1;
  while (!life.stopped) {
    const rings = ringsOf(bell);
    if (rings !== seen) {
      seen = rings;
      readMail();
      takeNews(bell, hasNews);
      for (const stream of stalled) resumeIfRoom(stream);
    }
    if (!runReady() && !runBackground() && !life.stopped) idle(seen);
  }
}

/** Goes on where a dead predecessor stopped: its guests are put right first, then its streams are run. */
function inherit(): void {
  for (const { guest, memory } of inheritance.guests) attachGuest(guest, memory);
  for (const { stream, guest, slot } of inheritance.streams) attachStream(stream, guest, slot);
  // A record that the predecessor was in the middle of, before any other record of that guest.
  for (const stream of streams.values()) {
    if (stream.guest.engine.calls.interruptedStream() === stream.slot + 1) runStream(stream, 1);
  }
  for (const { stream, leaving } of inheritance.streams) {
    if (leaving !== 'no') detachStream(stream, leaving === 'at-once');
  }
  for (const guest of inheritance.leavingGuests) detachGuest(guest);
}

function idle(seen: number): void {
  if (life.releaseSoon) {
    life.releaseSoon = false;
    releaseDeadMemory();
  } else {
    sleepUntilRing(bell, seen, patience);
  }
}

function tell(message: FromProcessor): void {
  port.postMessage(message);
}

function hasNews(number: number): void {
  const stream = streams.get(number);
  // News of a stream that left, or of one whose mail is still to be read: attaching queues it anyway.
  if (stream !== undefined && !stream.stalled) queue(stream);
}

function queue(stream: AttachedStream): void {
  if (stream.queued) return;
  stream.queued = true;
  ready.push(stream);
}

/** Gives each ready stream one turn. False: none was ready. */
function runReady(): boolean {
  if (ready.length === 0) return false;
  const turn = ready;
  ready = nextReady;
  const quantum = turn.length > 1 ? QUANTUM_SHARED : QUANTUM_ALONE;
  for (const stream of turn) {
    stream.queued = false;
    if (streams.get(stream.number) === stream) runStream(stream, quantum);
  }
  turn.length = 0;
  nextReady = turn;
  return true;
}

function runStream(stream: AttachedStream, quantum: number): void {
  const { block, guest } = stream;
  const { calls, map } = guest.engine;
  stream.headSeen = Atomics.load(block, stream.completionHead);
  const tail = Atomics.load(block, stream.completionTail);
  const inTurn = takeTurn(guest.turn, index);
  const begun = performance.now();
  const outcome = calls.run(stream.slot, quantum);
  noteRun(guest.runs, outcome & EXECUTED, performance.now() - begun);
  if (inTurn) endTurn(guest.turn);
  if (Atomics.load(block, stream.completionTail) !== tail) ringFor(mainBell, stream.number);
  if ((outcome & map.RUN_BACKGROUND) !== 0) guest.background = true;
  if ((outcome & map.RUN_STALLED) !== 0) stall(stream);
  else if ((outcome & map.RUN_MORE) !== 0) queue(stream);
  else if (stream.leaving) letGo(stream);
}

/** RACE: the main thread takes answers, then looks for stalled streams; so count first, then look for room. */
function stall(stream: AttachedStream): void {
  stream.stalled = true;
  stalled.add(stream);
  countStalled(bell, 1);
  resumeIfRoom(stream);
}

function resumeIfRoom(stream: AttachedStream): void {
  if (Atomics.load(stream.block, stream.completionHead) === stream.headSeen) return;
  endStall(stream);
  queue(stream);
}

function endStall(stream: AttachedStream): void {
  if (!stream.stalled) return;
  stream.stalled = false;
  stalled.delete(stream);
  countStalled(bell, -1);
}

/** One slice of each guest's background work. False: there is none. */
function runBackground(): boolean {
  let any = false;
  for (const guest of guests.values()) {
    if (!guest.background) continue;
    guest.background = guest.engine.calls.backgroundSlice() !== 0;
    any = true;
  }
  return any;
}

function readMail(): void {
  const mail = mailOf(bell);
  if (mail === life.mailSeen) return;
  life.mailSeen = mail;
  for (
    let item = receiveMessageOnPort(port);
    item !== undefined;
    item = receiveMessageOnPort(port)
  ) {
    obey(item.message as ToProcessor);
  }
}

function obey(message: ToProcessor): void {
  switch (message.kind) {
    case 'attach-guest':
      return attachGuest(message.guest, message.memory);
    case 'detach-guest':
      return detachGuest(message.guest);
    case 'attach-stream':
      return attachStream(message.stream, message.guest, message.slot);
    case 'detach-stream':
      return detachStream(message.stream, message.drop);
    case 'pass':
      // Mail is read between two runs, so every record that was begun is finished.
      return tell({ kind: 'passed', number: message.number });
    case 'stop':
      life.stopped = true;
  }
}

function attachGuest(number: number, memory: WebAssembly.Memory): void {
  const engine = openEngine(module, memory);
  engine.calls.beProcessor(index);
  engine.calls.recover();
  const turn = openTurn(memory.buffer, engine.map);
  const runs = openRunCounts(memory.buffer, engine.map, index);
  guests.set(number, { number, engine, buffer: memory.buffer, turn, runs, background: false });
}

function detachGuest(number: number): void {
  guests.delete(number);
  tell({ kind: 'guest-detached', guest: number });
  life.releaseSoon = true;
}

function attachStream(number: number, guestNumber: number, slot: number): void {
  const guest = guests.get(guestNumber);
  if (guest === undefined)
    throw new Error(`stream ${number} of guest ${guestNumber}, which is not attached`);
  const { map } = guest.engine;
  const at = streamIndexes(map);
  const stream: AttachedStream = {
    number,
    slot,
    guest,
    block: new Int32Array(
      guest.buffer,
      map.STREAMS + map.STREAM_BYTES * slot,
      map.STREAM_BYTES >> 2,
    ),
    completionHead: at.completionHead,
    completionTail: at.completionTail,
    queued: false,
    headSeen: 0,
    stalled: false,
    leaving: false,
  };
  streams.set(number, stream);
  queue(stream);
}

function detachStream(number: number, drop: boolean): void {
  const stream = streams.get(number);
  if (stream === undefined) return;
  stream.leaving = true;
  if (drop) letGo(stream);
  else if (!stream.stalled) queue(stream);
}

function letGo(stream: AttachedStream): void {
  endStall(stream);
  streams.delete(stream.number);
  tell({ kind: 'stream-detached', stream: stream.number });
}
