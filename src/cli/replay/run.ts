/**
 * Replays a plan over a stream and compares every answer. Knows neither files nor how the daemon was started: the CLI,
 * tests and the load drivers call it.
 */
import { PIECE_ENTRIES_MAX } from '../../../schemas/limits.ts';
import { operationByName, operationByOpcode } from '../../../schemas/operations.ts';
import {
  type AnswerRecord,
  decodeAnswers,
  encodeRequests,
  type RequestRecord,
} from '../../../schemas/records.ts';
import { STATUSES } from '../../../schemas/statuses.ts';
import type { HcallStream } from '../../client/stream.ts';
import {
  type Comparer,
  compareAnswer,
  compareFrame,
  type Mismatch,
  openComparer,
} from './compare.ts';
import { cutFrames, type Frame } from './frames.ts';
import type { Plan, Run, Step } from './plan.ts';
import { isLongBusy } from './quirks.ts';
import { readTable } from './table.ts';

export interface ReplayResult {
  readonly mismatches: number;
  /** The first mismatches, decoded. */
  readonly first: readonly Mismatch[];
  /** null: the trace says nothing about the whole table. */
  readonly tableMatches: boolean | null;
  /** What is wrong with the table at END, for people. */
  readonly tableNotes: readonly string[];
  /** From the first record sent to the last answer compared, without reading the table at END. */
  readonly seconds: number;
}

export interface RunOptions {
  /** Called once with a function that tells how much of the replay is done, 0 to 1. */
  readonly onStart?: (done: () => number) => void;
}

/** What a replay needs of a stream. */
export type ReplayStream = Pick<HcallStream, 'hello' | 'sendFrame' | 'onAnswers' | 'drained'>;

interface Session {
  readonly plan: Plan;
  readonly stream: ReplayStream;
  readonly comparer: Comparer;
  readonly frames: ReadonlyMap<Step, readonly Frame[]>;
  readonly tableNotes: string[];
  /** The open table reader, from HTAB_OPEN. */
  reader: bigint;
  sawTable: boolean;
  /** Time that does not count. */
  pausedMillis: number;
}

type Asked = Extract<Step, { kind: 'prepare' | 'open' }>;
type HashStep = Extract<Step, { kind: 'hash' }>;
type EndStep = Extract<Step, { kind: 'end' }>;

const POLL_MILLIS = 2;
const FNV_OFFSET_BASIS = 0xcbf29ce484222325n;

/** `stream` must have the role host; nothing may be unanswered. Rejects only when the stream ends. */
export async function runPlan(
  plan: Plan,
  stream: ReplayStream,
  options: RunOptions = {},
): Promise<ReplayResult> {
  const session: Session = {
    plan,
    stream,
    comparer: openComparer(plan),
    frames: allFrames(plan, stream),
    tableNotes: [],
    reader: 0n,
    sawTable: plan.hashLines.size > 0,
    pausedMillis: 0,
  };
  options.onStart?.(() => session.comparer.position / Math.max(1, plan.expected.length));
  const start = performance.now();
  listen(session);
  for (const step of plan.steps) await runStep(session, step);
  await stream.drained();
  const seconds = (performance.now() - start - session.pausedMillis) / 1000;
  const { mismatches, first, tableDiffers } = session.comparer;
  const tableMatches = session.sawTable ? !tableDiffers : null;
  return { mismatches, first, tableMatches, tableNotes: session.tableNotes, seconds };
}

function allFrames(plan: Plan, stream: ReplayStream): Map<Step, Frame[]> {
  const frames = new Map<Step, Frame[]>();
  for (const step of plan.steps) {
    if (step.kind === 'run') frames.set(step, cutFrames(plan, step, stream.hello.limits));
  }
  return frames;
}

function listen(session: Session): void {
  session.stream.onAnswers((answers) => compareFrame(session.comparer, answers));
}

function runStep(session: Session, step: Step): Promise<void> {
  switch (step.kind) {
    case 'run':
      return sendRun(session, step);
    case 'prepare':
      return prepare(session, step);
    case 'open':
      return openReader(session, step);
    case 'hash':
      return hashTable(session, step);
    default:
      return compareTable(session, step);
  }
}

async function sendRun(session: Session, run: Run): Promise<void> {
  const view = new DataView(session.plan.requests.buffer, session.plan.requests.byteOffset);
  for (const at of run.readerAt) view.setBigUint64(at, session.reader, true);
  for (const frame of session.frames.get(run)!) {
    const wait = session.stream.sendFrame(frame.bytes, frame.records);
    if (wait !== undefined) await wait;
  }
}

/**
 * Rule 4: the number of "not ready yet" answers is timing. Where the recording was not ready one question stands for
 * it and may be answered either way; where it was, the question is repeated until the answer is another one.
 */
async function prepare(session: Session, step: Asked): Promise<void> {
  let answer = await ask(session, step.record);
  if (isLongBusy(step.status)) {
    if (!isLongBusy(answer.status) && answer.status !== STATUSES.H_SUCCESS)
      compareAsked(session, step, answer, 0);
    return;
  }
  while (isLongBusy(answer.status)) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
    answer = await ask(session, step.record);
  }
  compareAsked(session, step, answer, 0);
}

async function openReader(session: Session, step: Asked): Promise<void> {
  const answer = await ask(session, step.record);
  session.reader = answer.words[0] ?? 0n;
  compareAsked(session, step, answer, step.status === STATUSES.H_SUCCESS ? 1 : 0);
}

/** Compares the status, and of the words only their number. */
function compareAsked(session: Session, step: Asked, answer: AnswerRecord, words: number): void {
  const { tag, opcode, words: args } = step.record;
  const asked = { line: tag, op: operationByOpcode(opcode)!.name, args };
  compareAnswer(
    session.comparer,
    asked,
    { status: step.status, words: Array<null>(words).fill(null) },
    answer,
  );
}

async function hashTable(session: Session, step: HashStep): Promise<void> {
  const { opcode } = operationByName('TABLE_HASH')!;
  let [hash, valid] = [FNV_OFFSET_BASIS, 0n];
  let answer: AnswerRecord | undefined;
  for (let ptex = 0; ptex < step.entries; ) {
    const count = Math.min(PIECE_ENTRIES_MAX, step.entries - ptex);
    answer = await ask(session, {
      opcode,
      tag: step.line,
      words: [ptex, count].map(BigInt).concat(hash, valid),
    });
    const next = Number(answer.words[2] ?? 0n);
    if (answer.status !== STATUSES.H_SUCCESS || next <= ptex) break;
    [hash, valid, ptex] = [answer.words[0]!, answer.words[1]!, next];
  }
  const asked = { line: step.line, op: 'TABLE_HASH', args: [] };
  compareAnswer(
    session.comparer,
    asked,
    { status: 0, words: [step.hash, step.valid, null] },
    answer!,
  );
}

/** Sends one record when all before it are answered, and waits for its answer. */
async function ask(session: Session, record: RequestRecord): Promise<AnswerRecord> {
  const { stream } = session;
  await stream.drained();
  let answer: AnswerRecord | undefined;
  stream.onAnswers((answers) => {
    answer = decodeAnswers(answers)[0];
  });
  await stream.sendFrame(encodeRequests([record]), 1);
  await stream.drained();
  listen(session);
  return answer!;
}

async function compareTable(session: Session, step: EndStep): Promise<void> {
  await session.stream.drained();
  if (step.tableSha256 === undefined && step.validEntries === undefined) return;
  const start = performance.now();
  session.sawTable = true;
  const found = await readTable(session.stream, step.order);
  listen(session);
  const notes = tableNotes(step, found);
  if (notes.length > 0) session.comparer.tableDiffers = true;
  session.tableNotes.push(...notes);
  session.pausedMillis += performance.now() - start;
}

function tableNotes(step: EndStep, found: Awaited<ReturnType<typeof readTable>>): string[] {
  const notes: string[] = [];
  if (found.refused) notes.push(`line ${step.line}: the table is smaller than order ${step.order}`);
  if (step.validEntries !== undefined && step.validEntries !== found.validEntries) {
    notes.push(
      `line ${step.line}: the table holds ${found.validEntries} valid entries instead of ${step.validEntries}`,
    );
  }
  if (step.tableSha256 !== undefined && step.tableSha256 !== found.sha256) {
    notes.push(
      `line ${step.line}: the table's SHA-256 is ${found.sha256} instead of ${step.tableSha256}`,
    );
  }
  return notes;
}
