/**
 * A worker thread of the oversubscription profile: a processor with the rings of one stream, and an engine for each way
 * of waiting, of which one runs at a time.
 *
 * A unit is an H_ENTER into one of four groups and two H_REMOVEs of any slots of it. So about half of the slots are taken,
 * whoever else is there, and every status that comes is right: H_ENTER finds a slot or the group full, H_REMOVE an entry
 * or none.
 */
import { createHistogram } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests, type RequestRecord } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import {
  dropCompletions,
  openCompletionRing,
  takeCompletions,
} from '../../src/rings/completion.ts';
import { openEngine } from '../../src/rings/engine.ts';
import { streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { below, next, openRandom } from '../engine/random.ts';
import type { Figures, Go, Groups, WorkerStart } from './messages.ts';

const UNITS = 40;
const UNIT_HCALLS = 3;
const BATCH_HCALLS = UNITS * UNIT_HCALLS;
const BATCHES = 64;
const SLOTS = 8;
const FOUR = 4;
/** Few, so that chains are fought for too. */
const FRAMES = 8;
const VALID = 1n;
/** Memory coherent, PP 2. */
const DWORD1_LOW = 0x12n;
const ENTER_TAG = 0;
const REMOVE_TAG = 1;
const QUANTUM = 0xffffff;

const { modules, memory, worker } = workerData as WorkerStart;
const engines = {
  'spin-then-yield': openEngine(modules['spin-then-yield'], memory),
  'spin-only': openEngine(modules['spin-only'], memory),
};
for (const { calls } of Object.values(engines)) calls.beProcessor(worker);
const { map } = engines['spin-then-yield'];
const rings = streamMemory(memory.buffer, map, worker);
const submission = openSubmissionRing(rings);
const completion = openCompletionRing(rings);
const random = openRandom(worker);
const batches: Record<Groups, Uint8Array[]> = {
  four: makeBatches(0),
  own: makeBatches(FOUR * (worker + 1)),
};

function makeBatches(firstGroup: number): Uint8Array[] {
  const firstFrame = (firstGroup / FOUR) * FRAMES;
  return Array.from({ length: BATCHES }, () =>
    encodeRequests(Array.from({ length: UNITS }, () => unit(firstGroup, firstFrame)).flat()),
  );
}

function unit(firstGroup: number, firstFrame: number): RequestRecord[] {
  const ptex = (firstGroup + below(random, FOUR)) * SLOTS;
  const slot = () => BigInt(ptex + below(random, SLOTS));
  const dword0 = (BigInt(next(random)) << 12n) | VALID;
  const dword1 = (BigInt(firstFrame + below(random, FRAMES)) << 16n) | DWORD1_LOW;
  const record = (name: string, tag: number, words: bigint[]): RequestRecord => ({
    opcode: operationByName(name)!.opcode,
    tag,
    words,
  });
  return [
    record('H_ENTER', ENTER_TAG, [0n, slot(), dword0, dword1]),
    record('H_REMOVE', REMOVE_TAG, [0n, slot(), 0n]),
    record('H_REMOVE', REMOVE_TAG, [0n, slot(), 0n]),
  ];
}

const RIGHT: readonly (readonly number[])[] = [
  [STATUSES.H_SUCCESS, STATUSES.H_PTEG_FULL],
  [STATUSES.H_SUCCESS, STATUSES.H_NOT_FOUND],
];

/** Executes one batch and looks at its answers. */
function check({ waiting, groups }: Go): void {
  putFrame(submission, batches[groups][0]!);
  engines[waiting].calls.run(worker, QUANTUM);
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
      if (!RIGHT[tag]!.includes(status)) throw new Error(`worker ${worker}: answered ${status}`);
    }
  }
  if (answered !== BATCH_HCALLS) throw new Error(`${answered} answers to ${BATCH_HCALLS} hcalls`);
}

function counter(at: number): number {
  const address = map.PROCESSORS + map.PROCESSOR_BYTES * worker + at;
  return Number(new BigUint64Array(memory.buffer, address, 1)[0]!);
}

function measure(go: Go): Figures {
  const { calls } = engines[go.waiting];
  const frames = batches[go.groups];
  const from = go.from - performance.timeOrigin;
  const to = go.to - performance.timeOrigin;
  const batchNanos = createHistogram();
  let hcalls = 0;
  let [lockWaits, chainWaits] = [counter(map.COUNT_LOCK_WAITS), counter(map.COUNT_CHAIN_WAITS)];
  let now = performance.now();
  // At least one counts, however late this thread got its core.
  for (let i = 0; now < to || hcalls === 0; i = (i + 1) % BATCHES) {
    putFrame(submission, frames[i]!);
    const before = performance.now();
    calls.run(worker, QUANTUM);
    now = performance.now();
    dropCompletions(completion);
    if (before < from) continue;
    hcalls += BATCH_HCALLS;
    batchNanos.record(Math.max(1, Math.round((now - before) * 1e6)));
  }
  lockWaits = counter(map.COUNT_LOCK_WAITS) - lockWaits;
  chainWaits = counter(map.COUNT_CHAIN_WAITS) - chainWaits;
  return { hcalls, end: now + performance.timeOrigin, lockWaits, chainWaits, batchNanos };
}

parentPort!.on('message', (go: Go) => {
  check(go);
  const figures = measure(go);
  check(go);
  parentPort!.postMessage(figures);
});
