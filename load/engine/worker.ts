/**
 * A worker thread of the engine profile: an engine of its own on the shared memory, with the rings of one stream.
 *
 * It plays both sides of the rings: puts a frame in as the main thread of the daemon would, calls `run` as a
 * processor would, throws the answers away. Only `run` is on the clock.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { decodeAnswers } from '../../schemas/records.ts';
import {
  dropCompletions,
  openCompletionRing,
  takeCompletions,
} from '../../src/rings/completion.ts';
import { openEngine } from '../../src/rings/engine.ts';
import { streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { passBall } from './cache-line.ts';
import { FOUND_OR_NOT, openFrame, takeFrame, type Frame } from './frames.ts';
import type { Figures, ToWorker, WorkerStart } from './messages.ts';
import {
  CONTENDED_GROUPS,
  MIXES,
  SLOTS,
  fillResidents,
  removeResidents,
  type Mix,
  type Scene,
} from './mixes.ts';
import { openRandom } from './random.ts';

/** Records made up front: enough that the groups they touch fill every cache when the table does not fit one. */
const POOL_HCALLS_MAX = 1 << 20;
/** So many for each group of a table that is small: what is copied should not push the table out of the cache. */
const POOL_HCALLS_PER_GROUP = 16;
/** Filling more would take longer than measuring. */
const RESIDENTS_MAX = 1 << 19;
/** Frames whose answers are looked at before and after the clock ran. */
const CHECKED_FRAMES = 16;
/** A guest with 64 times the table, in 64K pages. */
const FRAMES_PER_ORDER_SHIFT = 10;
const QUANTUM = 0xffffff;

const { module, memory, order, worker, workers, ball } = workerData as WorkerStart;
const engine = openEngine(module, memory);
const rings = streamMemory(memory.buffer, engine.map, worker);
const submission = openSubmissionRing(rings);
const completion = openCompletionRing(rings);
engine.calls.beProcessor(worker);

let scene: Scene | undefined;
let frames: Frame[] = [];
/** The frame to begin with, so that rounds go on where the one before stopped. */
let nextFrame = 0;

function makeScene(mix: Mix, contended: boolean, batch: number): Scene {
  const tableGroups = 2 ** (order - 7);
  const residents = mix.residents(contended ? workers : 0);
  const mine = contended ? CONTENDED_GROUPS : Math.floor(tableGroups / workers);
  const groups = residents === 0 ? mine : Math.min(mine, Math.floor(RESIDENTS_MAX / residents));
  return {
    writer: openFrame(batch),
    random: openRandom(worker),
    worker,
    workers,
    contended,
    firstGroup: contended ? 0 : worker,
    groupStep: contended ? 1 : workers * Math.floor(mine / groups),
    groups,
    frames: 2 ** (order - FRAMES_PER_ORDER_SHIFT),
    lowSlots: SLOTS - residents,
  };
}

/** Frames of about `batch` records each; a unit is never cut in two. */
function makeFrames(mix: Mix, from: Scene, batch: number): Frame[] {
  const enough = Math.min(POOL_HCALLS_MAX, POOL_HCALLS_PER_GROUP * from.groups + 8 * batch);
  const made: Frame[] = [];
  for (let hcalls = 0; hcalls < enough; hcalls += made.at(-1)!.hcalls) {
    let unit = 0;
    do {
      const before = from.writer.hcalls;
      mix.unit(from);
      unit = Math.max(unit, from.writer.hcalls - before);
    } while (from.writer.hcalls + unit <= batch);
    made.push(takeFrame(from.writer));
  }
  return made;
}

/** Writes records with `write` and executes them in frames of `batch`. */
function executeAll(batch: number, write: (scene: Scene, nextRecord: () => void) => void): void {
  const { writer } = scene!;
  write(scene!, () => {
    if (writer.hcalls === batch) executeChecked(takeFrame(writer));
  });
  if (writer.hcalls > 0) executeChecked(takeFrame(writer));
}

/** Throws if an answer is not the one that its tag promises. */
function executeChecked(frame: Frame): void {
  putFrame(submission, frame.bytes);
  engine.calls.run(worker, QUANTUM);
  let answered = 0;
  for (
    let bytes = takeCompletions(completion);
    bytes !== undefined;
    bytes = takeCompletions(completion)
  ) {
    if (!(bytes instanceof Uint8Array))
      throw new Error(`fault ${bytes.fault} at byte ${bytes.offset}`);
    for (const { tag, status } of decodeAnswers(bytes)) {
      answered++;
      if (tag === FOUND_OR_NOT ? status === 0 || status === -7 : status === (tag | 0)) continue;
      throw new Error(`worker ${worker}: answered ${status} where ${tag | 0} was right`);
    }
  }
  if (answered !== frame.hcalls) throw new Error(`${answered} answers to ${frame.hcalls} hcalls`);
}

function prepare(name: string, contended: boolean, batch: number, fill: boolean): void {
  const mix = MIXES.find((row) => row.name === name)!;
  scene = makeScene(mix, contended, batch);
  if (fill) executeAll(batch, fillResidents);
  frames = makeFrames(mix, scene, batch);
  nextFrame = 0;
}

function check(): void {
  for (let i = 0; i < CHECKED_FRAMES; i++) executeChecked(frames[i % frames.length]!);
}

function touch(): void {
  for (const { bytes } of frames) {
    putFrame(submission, bytes);
    engine.calls.run(worker, QUANTUM);
    dropCompletions(completion);
  }
}

function measure(from: number, to: number): Figures {
  const start = from - performance.timeOrigin;
  const end = to - performance.timeOrigin;
  let hcalls = 0;
  let runMillis = 0;
  let copyMillis = 0;
  let now = performance.now();
  while (now < start) now = performance.now();
  // At least one, however late this thread got its core.
  do {
    const frame = frames[nextFrame]!;
    const before = performance.now();
    putFrame(submission, frame.bytes);
    const between = performance.now();
    engine.calls.run(worker, QUANTUM);
    now = performance.now();
    dropCompletions(completion);
    copyMillis += between - before;
    runMillis += now - between;
    hcalls += frame.hcalls;
    nextFrame = (nextFrame + 1) % frames.length;
  } while (now < end);
  return { hcalls, runNanos: runMillis * 1e6, copyNanos: copyMillis * 1e6 };
}

parentPort!.on('message', (message: ToWorker) => {
  let figures: Figures | undefined;
  let lineNs: number | undefined;
  if (message.kind === 'prepare') {
    prepare(message.mix, message.contended, message.batch, message.fill);
  } else if (message.kind === 'go') figures = measure(message.from, message.to);
  else if (message.kind === 'touch') touch();
  else if (message.kind === 'play') lineNs = passBall(ball, worker);
  else if (message.kind === 'check') check();
  else executeAll(frames[0]!.hcalls, removeResidents);
  parentPort!.postMessage({ kind: 'done', figures, lineNs });
});
