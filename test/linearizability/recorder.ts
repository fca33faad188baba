/** Records histories: threads with an engine each on one guest's memory, all beginning a round at the same time. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { guestConfig } from '../../schemas/guests.ts';
import { operationByName } from '../../schemas/operations.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { resetStream, streamMemory } from '../../src/rings/stream-memory.ts';
import { openTestGuest } from '../engine/harness.ts';
import type { TestGuest } from '../engine/harness.ts';
import { checkTable } from '../engine/invariants.ts';
import { historyOf, joined } from './history.ts';
import type { History, Request } from './history.ts';
import { CLOCK, ROUND } from './messages.ts';
import type { PerformerStart, Recording, Task } from './messages.ts';
import { openRandom } from './random.ts';
import { FRAMES } from './slot-states.ts';
import { makeProgram } from './worlds.ts';
import type { World } from './worlds.ts';

const FRAME_CALLS = 1500;
/** Far more than a round takes: they wait for each other for ever. */
const HANG_MILLIS = 60_000;
const PRESENT_AND_WRITABLE = 3n;

const release = await compileEngine();
const yielding = await WebAssembly.compile(
  await readFile(new URL('../../build/engine-yield.wasm', import.meta.url)),
);

export interface Recorder {
  readonly world: World;
  readonly guest: TestGuest;
  readonly clock: Int32Array<SharedArrayBuffer>;
  readonly performers: readonly Worker[];
  /** The world's requests as records. */
  readonly encoded: readonly Uint8Array<ArrayBuffer>[];
  rounds: number;
}

export function openRecorder(world: World, seed: number): Recorder {
  const { threads, stumbling } = world;
  const { order, ramBytes, isa300 } = world.config;
  const guest = openTestGuest(
    guestConfig.parse({ order, ramBytes, isa300, hostPageBytes: 65536, backingPageBytes: 65536 }),
  );
  const clock = new Int32Array(new SharedArrayBuffer(8));
  const { map } = guest.engine;
  const performers = Array.from({ length: threads }, (_, i) => {
    // Stream and processor 0 are the test's own.
    const thread = i + 1;
    resetStream(streamMemory(guest.memory.buffer, map, thread), true);
    const module = stumbling ? yielding : release;
    const workerData: PerformerStart = {
      module,
      memory: guest.memory,
      map,
      clock,
      thread,
      stumbling,
      seed: seed + thread,
    };
    return new Worker(new URL('./performer.ts', import.meta.url), { workerData });
  });
  const encoded = world.requests.map(({ name, args }) =>
    encodeRequests([{ opcode: operationByName(name)!.opcode, tag: 0, words: args }]),
  );
  return { world, guest, clock, performers, encoded, rounds: 0 };
}

export async function closeRecorder({ performers }: Recorder): Promise<void> {
  await Promise.all(performers.map((performer) => performer.terminate()));
}

/**
 * One round: every thread performs a program of so many calls on an empty table; at the end everything is read. Once it
 * has begun it needs nothing of the caller, who gets what waits for its end.
 */
export async function record(
  recorder: Recorder,
  seed: number,
  length: number,
): Promise<() => Promise<History>> {
  const { world, guest, clock, performers } = recorder;
  makeNew(recorder);
  const round = ++recorder.rounds;
  const programs = performers.map((_, i) => makeProgram(world, openRandom(seed + i), i, length));
  const answers = performers.map((performer) => answersOf(performer));
  for (const [i, performer] of performers.entries()) {
    performer.postMessage(taskOf(recorder, programs[i]!, round));
  }
  await Promise.all(answers.map(({ ready }) => ready));
  Atomics.store(clock, ROUND, round);
  return async () => {
    const recordings = await withinTime(Promise.all(answers.map(({ recording }) => recording)));
    checkTable(guest);
    return historyFrom(recorder, programs, recordings);
  };
}

function makeNew({ guest, clock, world }: Recorder): void {
  guest.call('HPT_RESET', [BigInt(world.config.order)]);
  for (const gpa of FRAMES) {
    guest.call('HOST_SET_PTE', [gpa, PRESENT_AND_WRITABLE]);
    guest.call('HOST_DIRTY', [gpa, 1n]);
  }
  Atomics.store(clock, CLOCK, 0);
}

function answersOf(performer: Worker): { ready: Promise<unknown>; recording: Promise<Recording> } {
  const ready = once(performer, 'message');
  const recording = ready.then(async () => {
    const [message] = (await once(performer, 'message')) as [Recording];
    return message;
  });
  return { ready, recording };
}

function taskOf({ encoded }: Recorder, program: Uint16Array, round: number): Task {
  const frames: Uint8Array<ArrayBuffer>[] = [];
  const calls: number[] = [];
  for (let from = 0; from < program.length; from += FRAME_CALLS) {
    const records = [...program.subarray(from, from + FRAME_CALLS)].map(
      (request) => encoded[request]!,
    );
    const frame = new Uint8Array(records.reduce((sum, { byteLength }) => sum + byteLength, 0));
    let at = 0;
    for (const bytes of records) {
      frame.set(bytes, at);
      at += bytes.byteLength;
    }
    frames.push(frame);
    calls.push(records.length);
  }
  return { round, frames, calls };
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`threads that do not end within ${HANG_MILLIS} ms: a deadlock`)),
    HANG_MILLIS,
  );
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Joins the threads' recordings, and reads of every slot at the end. */
function historyFrom(
  { world, guest, clock }: Recorder,
  programs: readonly Uint16Array[],
  recordings: readonly Recording[],
): History {
  const reads = world.universe.ptexes.map(
    (ptex): Request => ({ name: 'H_READ', args: [0n, BigInt(ptex)] }),
  );
  const requests = [...world.requests, ...reads];
  let stamp = Atomics.load(clock, CLOCK);
  const last = historyOf(
    requests,
    reads.map(({ name, args }, i) => {
      const { status, out } = guest.call(name, args);
      const [invoked, responded] = [stamp++, stamp++];
      return { thread: 0, request: world.requests.length + i, invoked, responded, status, out };
    }),
  );
  const recorded = recordings.map(({ invoked, responded, stumbles, answers: bytes }, i) => {
    const answers = new Uint32Array(bytes.buffer);
    const request = Int32Array.from(programs[i]!);
    return {
      request,
      invoked,
      responded,
      stumbles,
      answers,
      answerAt: placesIn(answers, request.length),
    };
  });
  return joined(requests, [...recorded, last]);
}

/** Where each answer begins. */
function placesIn(answers: Uint32Array, count: number): Int32Array {
  const places = new Int32Array(count);
  for (let at = 0, call = 0; call < count; call++) {
    places[call] = at;
    at += 2 + 2 * (answers[at]! >>> 16);
  }
  return places;
}
