/**
 * A recording of several guest processors, made ready to be replayed with a stream for each of them at the same time.
 *
 * **Which answers do not depend on the interleaving?** Each stream keeps its own order; between streams there is
 * none. What an entry's hcall answers depends on its arguments, on what a guest's memory is, and on the entries of the one
 * group its ptex lies in (H_BULK_REMOVE: of up to four groups); on nothing else in the table. So:
 *
 * - A group that only one processor uses holds what it held in the recording whenever that processor asks. Answers about
 *   such **closed** groups are compared whole. A group that two processors use is **open**: the one may come before or
 *   after the other, and from then on nobody knows what it holds, until the table is new (HPT_RESET, HPT_FREE).
 * - Answers that are given by the arguments alone are compared whole, whatever the group: H_PARAMETER and H_FUNCTION,
 *   and H_PAGE_INIT, which does not look at the table. H_READ always succeeds; of an open group it shows anything.
 * - Of every other answer about an open group its form is checked (shapes.ts): H_ENTER finds a slot of the group asked for
 *   or says that it is full; a removal finds the entry or says H_NOT_FOUND; and no other status.
 * - Everything that is not about an entry by its ptex (resets, resizes, what the host does) goes **alone**: all streams
 *   are waited for, before and after it, so it stands between the same calls as in the recording. Its answer is
 *   compared if no group is open, or if it does not depend on entries. A rehash under open groups opens the whole table.
 *
 * At the end the whole table is compared if no group is open; else its invariants are checked (concurrent.ts).
 */
import { FLAGS } from '../../schemas/flags.ts';
import { operationByOpcode } from '../../schemas/operations.ts';
import { HEADER_BYTES } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import type { TraceHeader } from '../../schemas/trace.ts';
import { type Encoder, openEncoder } from '../../src/cli/replay/encode.ts';
import { readTrace } from '../../src/cli/replay/lines.ts';
import type { Plan, Run, Step } from '../../src/cli/replay/plan.ts';

/** A record of one stream, by where it is in the plan. */
export interface Call {
  readonly requestAt: number;
  readonly expectedAt: number;
  readonly op: string;
  /** Its whole answer is that of the recording. */
  readonly whole: boolean;
}

export type Phase =
  /** By processor: what it calls, without regard to the others. */
  | { readonly kind: 'together'; readonly calls: Call[][] }
  /** Steps of the plan with nobody beside them. */
  | { readonly kind: 'alone'; readonly steps: Step[]; readonly compared: boolean };

export interface SmpPlan {
  readonly plan: Plan;
  readonly streams: number;
  readonly phases: readonly Phase[];
  readonly hcalls: number;
  /** hcalls whose answers are compared whole. */
  readonly compared: number;
  /** Groups are open at the end; undefined: none is, so the whole table can be compared. */
  readonly openAtEnd: boolean;
  /** The table was replaced with entries in it: it cannot be told what it holds. */
  readonly rehashed: boolean;
}

interface Opening {
  readonly open: Set<number>;
  everything: boolean;
}

const ABOUT_ENTRIES = new Set(
  'H_ENTER H_REMOVE H_PROTECT H_READ H_CLEAR_REF H_CLEAR_MOD H_BULK_REMOVE SET_RC'.split(' '),
);
const WITHOUT_ENTRIES = new Set(['HPT_RESET', 'HPT_FREE', 'H_PAGE_INIT']);
const COUNT_MASK = 0xfff;
const GROUP_SHIFT = 3n;
/** H_BULK_REMOVE: what a request begins with (its type is in the two highest bits), and the ptex in it. */
const BULK_REQUEST = 1n;
const BULK_PTEX = (1n << 56n) - 1n;

export async function loadSmpPlan(path: string): Promise<SmpPlan> {
  let encoder: Encoder | undefined;
  let vcpus = 1;
  const cpus: number[] = [];
  await readTrace(path, {
    header: (header: TraceHeader) => {
      encoder = openEncoder(header);
      vcpus = header.vcpus;
    },
    event: (event, line) => {
      cpus[line] = Number(event['cpu'] ?? 0);
      encoder!.event(event, line);
    },
  });
  return planFor(encoder!.finish(), vcpus, cpus);
}

/** `cpus`: by line, who made the call. */
export function planFor(plan: Plan, vcpus: number, cpus: readonly number[]): SmpPlan {
  const drafts = draftPhases(plan, vcpus, cpus);
  const opening: Opening = { open: new Set(), everything: false };
  let rehashed = false;
  const phases = drafts.map((draft): Phase => {
    if (draft.kind === 'together') {
      openShared(plan, draft.calls, opening);
      return { kind: 'together', calls: draft.calls.map((calls) => judge(plan, calls, opening)) };
    }
    const ops = draft.steps.map((step) => opOf(plan, step));
    const closed = opening.open.size === 0 && !opening.everything;
    const compared = closed || ops.every((op) => WITHOUT_ENTRIES.has(op));
    if (ops.includes('HPT_RESET') || ops.includes('HPT_FREE')) {
      opening.open.clear();
      opening.everything = false;
      rehashed = false;
    } else if (ops.includes('H_RESIZE_HPT_COMMIT') || ops.includes('HPT_RESIZE')) {
      rehashed = true;
      opening.everything = !closed;
    }
    return { ...draft, compared };
  });
  const all = phases.flatMap((phase) => (phase.kind === 'together' ? phase.calls.flat() : []));
  const apart = all.filter(({ op, whole }) => op !== 'SET_RC' && !whole).length;
  const alone = phases.filter((phase) => phase.kind === 'alone' && !phase.compared).length;
  return {
    plan,
    streams: vcpus,
    phases,
    hcalls: plan.hcalls,
    compared: plan.hcalls - plan.skipped - apart - alone,
    openAtEnd: opening.open.size > 0 || opening.everything,
    rehashed,
  };
}

type Draft =
  | { readonly kind: 'together'; readonly calls: Call[][] }
  | { readonly kind: 'alone'; readonly steps: Step[] };

function draftPhases(plan: Plan, vcpus: number, cpus: readonly number[]): Draft[] {
  const drafts: Draft[] = [];
  for (const step of plan.steps) {
    if (step.kind === 'end') continue;
    if (step.kind !== 'run') drafts.push({ kind: 'alone', steps: [step] });
    else for (const call of callsOf(plan, step)) addCall(plan, drafts, call, step, vcpus, cpus);
  }
  return drafts;
}

function addCall(
  plan: Plan,
  drafts: Draft[],
  call: Call & { readonly end: number; readonly expectedEnd: number },
  run: Run,
  vcpus: number,
  cpus: readonly number[],
): void {
  if (!ABOUT_ENTRIES.has(call.op) && call.op !== 'H_PAGE_INIT') {
    const step: Run = {
      kind: 'run',
      requestStart: call.requestAt,
      requestEnd: call.end,
      expectedStart: call.expectedAt,
      expectedEnd: call.expectedEnd,
      readerAt: run.readerAt.filter((at) => at >= call.requestAt && at < call.end),
    };
    drafts.push({ kind: 'alone', steps: [step] });
    return;
  }
  let last = drafts.at(-1);
  if (last?.kind !== 'together') {
    last = { kind: 'together', calls: Array.from({ length: vcpus }, () => []) };
    drafts.push(last);
  }
  const line = plan.expected.readUInt32LE(call.expectedAt + 4);
  last.calls[(cpus[line] ?? 0) % vcpus]!.push(call);
}

function* callsOf(plan: Plan, run: Run) {
  const requests = requestsOf(plan);
  let [at, expectedAt] = [run.requestStart, run.expectedStart];
  while (at < run.requestEnd) {
    const end = at + HEADER_BYTES + 8 * (requests.readUInt16LE(at + 2) & COUNT_MASK);
    const expectedEnd = expectedAt + HEADER_BYTES + 8 * plan.expected.readUInt16LE(expectedAt + 2);
    const op = operationByOpcode(requests.readUInt16LE(at))!.name;
    yield { requestAt: at, end, expectedAt, expectedEnd, op, whole: true };
    [at, expectedAt] = [end, expectedEnd];
  }
}

export function requestsOf(plan: Plan): Buffer {
  const { buffer, byteOffset, byteLength } = plan.requests;
  return Buffer.from(buffer, byteOffset, byteLength);
}

function opOf(plan: Plan, step: Step): string {
  if (step.kind === 'run') {
    return operationByOpcode(requestsOf(plan).readUInt16LE(step.requestStart))!.name;
  }
  return step.kind === 'hash' || step.kind === 'end'
    ? 'TABLE_HASH'
    : operationByOpcode(step.record.opcode)!.name;
}

/** Opens the groups that more than one processor uses in a phase. */
function openShared(plan: Plan, calls: readonly (readonly Call[])[], opening: Opening): void {
  const users = new Map<number, number>();
  for (const [cpu, list] of calls.entries()) {
    for (const call of list) {
      for (const group of groupsOf(plan, call)) {
        const user = users.get(group);
        if (user === undefined) users.set(group, cpu);
        else if (user !== cpu) opening.open.add(group);
      }
    }
  }
}

/** The groups whose entries the answer depends on, or which the call may change. */
export function groupsOf(plan: Plan, { op, requestAt }: Call): number[] {
  if (op === 'H_PAGE_INIT') return [];
  const requests = requestsOf(plan);
  const words = requests.readUInt16LE(requestAt + 2) & COUNT_MASK;
  const word = (i: number): bigint => requests.readBigUInt64LE(requestAt + HEADER_BYTES + 8 * i);
  if (op === 'SET_RC') return [Number(word(0) >> GROUP_SHIFT)];
  if (op !== 'H_BULK_REMOVE') return [Number(word(1) >> GROUP_SHIFT)];
  const groups: number[] = [];
  for (let i = 0; i < words; i += 2) {
    if (word(i) >> 62n === BULK_REQUEST) groups.push(Number((word(i) & BULK_PTEX) >> GROUP_SHIFT));
  }
  return groups;
}

function judge(plan: Plan, calls: readonly Call[], { open, everything }: Opening): Call[] {
  return calls.map((call) => {
    const status = plan.expected.readInt16LE(call.expectedAt);
    const givenByArguments =
      !everything &&
      (call.op === 'H_PAGE_INIT' ||
        (call.op !== 'H_BULK_REMOVE' &&
          (status === STATUSES.H_PARAMETER || status === STATUSES.H_FUNCTION)));
    const closed = !everything && groupsOf(plan, call).every((group) => !open.has(group));
    return { ...call, whole: closed || givenByArguments };
  });
}

/** Is a slot of the group good enough, or only the one named? */
export function wantsExactly(flags: bigint): boolean {
  return (flags & FLAGS.H_EXACT) !== 0n;
}
