/**
 * Replays a recording of several guest processors with a stream for each, all at once. What is compared, and why no
 * more, is told in smp-plan.ts. At the end, where groups are open, the table's invariants:
 *
 * - it holds as many valid entries as the answers say were entered and not removed;
 * - every valid entry is one that the recording enters into that group, by its virtual page and segment (dword 0).
 */
import { randomUUID } from 'node:crypto';
import { operationByOpcode } from '../../schemas/operations.ts';
import { HEADER_BYTES } from '../../schemas/records.ts';
import { streamUrl } from '../../src/client/address.ts';
import { ProtocolError } from '../../src/client/errors.ts';
import { connectRest } from '../../src/client/rest.ts';
import { connectStream, type HcallStream } from '../../src/client/stream.ts';
import { type Mismatch, SHOWN_MISMATCHES } from '../../src/cli/replay/compare.ts';
import { guestConfigFor } from '../../src/cli/replay/files.ts';
import type { Plan, Run, Step } from '../../src/cli/replay/plan.ts';
import { runPlan } from '../../src/cli/replay/run.ts';
import { readTable } from '../../src/cli/replay/table.ts';
import type { Outcome } from './rounds.ts';
import { type Account, isRight, keepAccount } from './shapes.ts';
import { type Call, type Phase, requestsOf, type SmpPlan } from './smp-plan.ts';

interface Session {
  readonly smp: SmpPlan;
  readonly streams: readonly HcallStream[];
  readonly isUndefined: ReadonlySet<number>;
  readonly account: Account;
  mismatches: number;
  readonly first: Mismatch[];
}

/** A stream's part of a phase, encoded before the clock starts. */
interface Part {
  readonly calls: readonly Call[];
  readonly frames: readonly { readonly bytes: Uint8Array; readonly records: number }[];
}

const COUNT_MASK = 0xfff;
const FRAME_BYTES = 120 * 1024;
/** Dword 0 but for its lowest seven bits, which hold flags and the lock. */
const AVPN_MASK = ~0x7fn;

export async function replayConcurrently(smp: SmpPlan, url: string): Promise<Outcome> {
  const rest = connectRest(url);
  const guest = `smp-${randomUUID().slice(0, 8)}`;
  await rest.createGuest(guest, guestConfigFor(smp.plan.header));
  const streams: HcallStream[] = [];
  try {
    for (let cpu = 0; cpu < smp.streams; cpu++) {
      streams.push(await connectStream(streamUrl(url, guest), { role: 'host' }));
    }
    return await replayOn(smp, streams);
  } finally {
    await Promise.all(streams.map((stream) => stream.close()));
    await rest.deleteGuest(guest);
  }
}

async function replayOn(smp: SmpPlan, streams: readonly HcallStream[]): Promise<Outcome> {
  const session: Session = {
    smp,
    streams,
    isUndefined: new Set(smp.plan.undefinedAt),
    account: { entered: 0, removed: 0 },
    mismatches: 0,
    first: [],
  };
  const parts = smp.phases.map((phase) =>
    phase.kind === 'together' ? phase.calls.map((calls) => partOf(smp.plan, calls)) : [],
  );
  const start = performance.now();
  for (const [i, phase] of smp.phases.entries()) {
    if (phase.kind === 'together') {
      await Promise.all(parts[i]!.map((part, cpu) => runPart(session, streams[cpu]!, part)));
    } else await runAlone(session, phase);
  }
  const seconds = (performance.now() - start) / 1000;
  const notes = await checkEnd(session);
  return { seconds, mismatches: session.mismatches + notes.length, first: session.first, notes };
}

function partOf(plan: Plan, calls: readonly Call[]): Part {
  const requests = requestsOf(plan);
  const frames: { bytes: Uint8Array; records: number }[] = [];
  let pieces: Buffer[] = [];
  let bytes = 0;
  const cut = (): void => {
    if (pieces.length > 0) frames.push({ bytes: Buffer.concat(pieces), records: pieces.length });
    pieces = [];
    bytes = 0;
  };
  for (const { requestAt } of calls) {
    const length = HEADER_BYTES + 8 * (requests.readUInt16LE(requestAt + 2) & COUNT_MASK);
    if (bytes + length > FRAME_BYTES) cut();
    pieces.push(requests.subarray(requestAt, requestAt + length));
    bytes += length;
  }
  cut();
  return { calls, frames };
}

async function runPart(session: Session, stream: HcallStream, part: Part): Promise<void> {
  let next = 0;
  stream.onAnswers((answers) => {
    for (let at = 0; at < answers.length; next++) {
      checkAnswer(session, part.calls[next]!, answers, at);
      at += HEADER_BYTES + 8 * answers.readUInt16LE(at + 2);
    }
  });
  for (const { bytes, records } of part.frames) {
    const wait = stream.sendFrame(bytes, records);
    if (wait !== undefined) await wait;
  }
  await stream.drained();
}

function checkAnswer(session: Session, call: Call, answers: Buffer, at: number): void {
  const { plan } = session.smp;
  const line = plan.expected.readUInt32LE(call.expectedAt + 4);
  if (answers.readUInt32LE(at + 4) !== line)
    throw new ProtocolError(`the answer to line ${line} carries another tag`);
  keepAccount(session.account, call.op, answers, at);
  if (isRight(plan, session.isUndefined, call, answers, at)) return;
  session.mismatches++;
  if (session.first.length >= SHOWN_MISMATCHES) return;
  const requests = requestsOf(plan);
  const { requestAt, expectedAt, op } = call;
  const words = (bytes: Buffer, from: number, count: number): bigint[] =>
    Array.from({ length: count }, (_, i) => bytes.readBigUInt64LE(from + HEADER_BYTES + 8 * i));
  const expected = words(plan.expected, expectedAt, plan.expected.readUInt16LE(expectedAt + 2));
  session.first.push({
    line,
    op,
    args: words(requests, requestAt, requests.readUInt16LE(requestAt + 2) & COUNT_MASK),
    expected: { status: plan.expected.readInt16LE(expectedAt), words: expected },
    actual: {
      status: answers.readInt16LE(at),
      words: words(answers, at, answers.readUInt16LE(at + 2)),
    },
  });
}

/** Steps that stand alone go over the first stream as in a replay with one. */
async function runAlone(session: Session, phase: Extract<Phase, { kind: 'alone' }>): Promise<void> {
  const { smp, streams, account } = session;
  const result = await runPlan(planOf(smp.plan, phase.steps), streams[0]!);
  if (phase.steps.some((step) => isNewTable(smp.plan, step))) {
    account.entered = 0;
    account.removed = 0;
  }
  if (!phase.compared) return;
  session.mismatches += result.mismatches;
  session.first.push(...result.first.slice(0, SHOWN_MISMATCHES - session.first.length));
}

function isNewTable(plan: Plan, step: Step): boolean {
  if (step.kind !== 'run') return false;
  const { name } = operationByOpcode(requestsOf(plan).readUInt16LE(step.requestStart))!;
  return name === 'HPT_RESET' || name === 'HPT_FREE';
}

/** The plan as if it held these steps only; each run is a record of its own. */
function planOf(plan: Plan, steps: readonly Step[]): Plan {
  const run = steps.find((step): step is Run => step.kind === 'run');
  const [from, to] = run === undefined ? [0, 0] : [run.expectedStart, run.expectedEnd];
  return {
    ...plan,
    steps,
    expected: plan.expected.subarray(from, to),
    undefinedAt: plan.undefinedAt.filter((at) => at >= from && at < to).map((at) => at - from),
  };
}

/** What is wrong with the table. */
async function checkEnd(session: Session): Promise<string[]> {
  const { smp, streams, account } = session;
  const end = smp.plan.steps.find((step) => step.kind === 'end');
  if (end === undefined) return [];
  if (!smp.openAtEnd) {
    const { tableNotes } = await runPlan(planOf(smp.plan, [end]), streams[0]!);
    return [...tableNotes];
  }
  if (smp.rehashed) return [];
  const known = enteredKeys(smp);
  let strangers = 0;
  const { validEntries } = await readTable(streams[0]!, end.order, (ptex, dword0) => {
    if (!known.has(keyOf(BigInt(ptex), dword0))) strangers++;
  });
  const notes: string[] = [];
  const left = account.entered - account.removed;
  if (validEntries !== left)
    notes.push(`the table holds ${validEntries} valid entries; by the answers it must be ${left}`);
  if (strangers > 0)
    notes.push(`${strangers} valid entries are none that anybody entered into their group`);
  return notes;
}

function enteredKeys({ plan, phases }: SmpPlan): Set<string> {
  const requests = requestsOf(plan);
  const keys = new Set<string>();
  for (const phase of phases) {
    for (const { op, requestAt } of phase.kind === 'together' ? phase.calls.flat() : []) {
      if (op !== 'H_ENTER') continue;
      const ptex = requests.readBigUInt64LE(requestAt + HEADER_BYTES + 8);
      keys.add(keyOf(ptex, requests.readBigUInt64LE(requestAt + HEADER_BYTES + 16)));
    }
  }
  return keys;
}

function keyOf(ptex: bigint, dword0: bigint): string {
  return `${ptex >> 3n}/${dword0 & AVPN_MASK}`;
}
