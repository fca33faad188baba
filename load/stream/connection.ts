/**
 * One connection under load: sends the frames of a cycle, checks every byte of the answers, and notes how long each
 * frame took from when it should have been sent.
 *
 * Closed loop: a window of frames is in flight, and a frame should be sent when an earlier one is answered. Open loop:
 * a frame should be sent when the schedule says so, whether the connection can or not (it lacks credits, say), and its
 * latency counts from there.
 */
import type { RecordableHistogram } from 'node:perf_hooks';
import type { HcallStream } from '../../src/client/index.ts';
import { UNIT, cycleOf, type Cycle, type Traffic } from './traffic.ts';

/** What is in flight at once is less: the credits of frames with one record. */
const SENT_AT_SLOTS = 1 << 14;

export interface Connection {
  readonly stream: HcallStream;
  readonly traffic: Traffic;
  run: Run | undefined;
}

export interface Pace {
  /** When the first frame should be sent, and how long after it the next, on the clock of performance.now. */
  readonly firstAt: number;
  readonly everyMillis: number;
}

/** What a connection is to do. `window`: frames in flight in closed loop; infinite with a pace. */
export interface Plan {
  readonly batch: number;
  readonly window: number;
  readonly pace?: Pace;
  readonly latencyNanos?: RecordableHistogram;
}

interface Run {
  readonly plan: Plan;
  readonly cycle: Cycle;
  readonly frameBytesMax: number;
  readonly sentAt: Float64Array;
  readonly done: PromiseWithResolvers<void>;
  /** Frames and hcalls sent; hcalls and frames answered, and of the oldest unanswered frame. */
  framesSent: number;
  framesAnswered: number;
  answered: number;
  inFlight: number;
  answeredOfFrame: number;
  /** The frame to send, the frame whose answers come, and the byte of the cycle's answers that comes next. */
  next: number;
  oldest: number;
  answerAt: number;
  stopping: boolean;
}

export function openConnection(stream: HcallStream, traffic: Traffic): Connection {
  const connection: Connection = { stream, traffic, run: undefined };
  stream.onAnswers((bytes, records) => receive(connection, bytes, records));
  void stream.ended.then((end) => connection.run?.done.reject(end));
  return connection;
}

/** Prepares a run; `pump` sends. The promise of `finish` rejects if an answer is wrong or the stream ends. */
export function begin(connection: Connection, plan: Plan): void {
  const cycle = cycleOf(connection.traffic, plan.batch);
  connection.run = {
    plan,
    cycle,
    frameBytesMax: Math.max(...cycle.frames.slice(0, 2).map(({ bytes }) => bytes.byteLength)),
    sentAt: new Float64Array(SENT_AT_SLOTS),
    done: Promise.withResolvers(),
    framesSent: 0,
    framesAnswered: 0,
    answered: 0,
    inFlight: 0,
    answeredOfFrame: 0,
    next: 0,
    oldest: 0,
    answerAt: 0,
    stopping: false,
  };
  connection.run.done.promise.catch(() => {});
}

/** hcalls answered so far. */
export function answeredBy(connection: Connection): number {
  return connection.run!.answered;
}

/** When the connection's next frame should be sent. */
export function nextAt(connection: Connection): number {
  return nextOf(connection.run!);
}

function nextOf({ plan: { pace }, framesSent }: Run): number {
  return pace === undefined ? 0 : pace.firstAt + framesSent * pace.everyMillis;
}

/** Sends what should be sent by now and may be. */
export function pump(connection: Connection, now: number): void {
  const { stream, run } = connection;
  if (run === undefined || run.stopping) return;
  const { plan } = run;
  while (run.framesSent - run.framesAnswered < plan.window) {
    const at = plan.pace === undefined ? now : nextOf(run);
    if (at > now || !sendNext(stream, run, at)) return;
  }
}

/** False: the credits do not allow it. */
function sendNext(stream: HcallStream, run: Run, at: number): boolean {
  if (stream.creditsLeft() < run.frameBytesMax + stream.hello.limits.frameOverheadBytes)
    return false;
  const { frames } = run.cycle;
  const frame = frames[run.next]!;
  run.sentAt[run.framesSent & (SENT_AT_SLOTS - 1)] = at;
  run.framesSent++;
  run.inFlight += frame.hcalls;
  run.next = run.next + 1 === frames.length ? 0 : run.next + 1;
  void stream.sendFrame(frame.bytes, frame.hcalls);
  return true;
}

function receive(connection: Connection, bytes: Buffer, records: number): void {
  const run = connection.run;
  if (run === undefined) throw new Error('an answer came that nothing was asked for');
  try {
    check(run, bytes);
  } catch (error) {
    run.done.reject(error);
    throw error;
  }
  run.answered += records;
  run.inFlight -= records;
  noteFrames(run, records);
  if (run.stopping) settleStop(connection, run);
  else pump(connection, performance.now());
}

/** The answers must be, to the byte, those of the cycle from where the last ones ended. */
function check(run: Run, bytes: Buffer): void {
  const { answers } = run.cycle;
  for (let at = 0; at < bytes.byteLength; ) {
    const length = Math.min(bytes.byteLength - at, answers.byteLength - run.answerAt);
    if (answers.compare(bytes, at, at + length, run.answerAt, run.answerAt + length) !== 0)
      throw new Error(wrongAnswer(run, bytes, at, length));
    at += length;
    run.answerAt = run.answerAt + length === answers.byteLength ? 0 : run.answerAt + length;
  }
}

function wrongAnswer(run: Run, bytes: Buffer, at: number, length: number): string {
  let byte = 0;
  while (byte < length && bytes[at + byte] === run.cycle.answers[run.answerAt + byte]) byte++;
  return `a wrong answer: byte ${run.answerAt + byte} of the answers foreseen is ${run.cycle.answers[run.answerAt + byte]}, not ${bytes[at + byte]}`;
}

/** Notes which frames are complete by these answers. */
function noteFrames(run: Run, records: number): void {
  const { frames } = run.cycle;
  const { latencyNanos } = run.plan;
  const now = latencyNanos === undefined ? 0 : performance.now();
  run.answeredOfFrame += records;
  while (run.framesAnswered < run.framesSent) {
    const { hcalls } = frames[run.oldest]!;
    if (run.answeredOfFrame < hcalls) return;
    run.answeredOfFrame -= hcalls;
    const sentAt = run.sentAt[run.framesAnswered & (SENT_AT_SLOTS - 1)]!;
    latencyNanos?.record(Math.max(1, Math.round((now - sentAt) * 1e6)));
    run.framesAnswered++;
    run.oldest = run.oldest + 1 === frames.length ? 0 : run.oldest + 1;
  }
}

/**
 * Stops behind a pair of records, and resolves when all is answered. Frames of a pace that should have been sent by
 * `now` and were not count with what they have waited so far.
 */
export async function finish(connection: Connection, now: number): Promise<void> {
  const run = connection.run!;
  run.stopping = true;
  if (run.plan.pace !== undefined) {
    for (let at = nextOf(run), unsent = 0; at <= now; at += run.plan.pace.everyMillis, unsent++) {
      run.plan.latencyNanos?.record(Math.max(1, Math.round((now - at) * 1e6)));
      if (unsent > SENT_AT_SLOTS) break;
    }
  }
  settleStop(connection, run);
  await run.done.promise;
  connection.run = undefined;
}

/** With a batch of an odd number the last frame may have left an entry in the table: one frame more removes it. */
function settleStop({ stream }: Connection, run: Run): void {
  if ((run.answered + run.inFlight) % UNIT !== 0) {
    if (!sendNext(stream, run, performance.now())) return;
  }
  if (run.inFlight === 0) run.done.resolve();
}
