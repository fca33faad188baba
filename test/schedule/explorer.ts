/**
 * Enumerates the schedules of one program, in a thread of its own (it waits, and it is thread 0 of every schedule).
 *
 * Breadth first over preemptions: first the schedules that need none, then those with one, and so on, so that the first
 * one that fails is among the shortest. A schedule is a list of deviations from the default; each one that is performed
 * begets those with one deviation more behind its last, so every schedule comes up exactly once.
 *
 * What is left out, and why that loses nothing: a preemption just before a step that touches only the thread's own words
 * (its answer, its ring). The same preemption behind that step leads to the same states and is not left out.
 */
import { judge } from './linear.ts';
import { openPerformer, performSchedule } from './performer.ts';
import type { Part, Performer } from './performer.ts';
import { NAMES, describeStanding } from './points.ts';
import type { Program } from './programs.ts';
import { parseSchedule, scheduleText } from './schedule-text.ts';
import type { Scene } from './scene.ts';
import {
  COMPLETE,
  CRASHED,
  DEADLOCK,
  DEVIATIONS_MAX,
  DIVERGED,
  ENDLESS,
  FREED_TOO_SOON,
  OUTCOME,
  STEPS,
  STEPS_BACK,
  TRACE_BYTES,
  openStage,
} from './stage.ts';
import type { Stage } from './stage.ts';

export interface Report {
  /** Schedules performed, by their number of preemptions. */
  readonly schedules: number[];
  /** There are no others: every schedule there is was performed. */
  all: boolean;
  /** Steps of the longest. */
  steps: number;
  /** Different outcomes: answers, order of calls and memory. */
  outcomes: number;
  seconds: number;
  /** Calls that a thread that never waits has taken back. */
  stepsBack: number;
  /** The schedule that failed first, as a text to replay, and what is wrong with it. */
  failure?: { readonly schedule: string; readonly reason: string };
  /** With a replay: each step's thread and point. */
  trace?: string[];
}

export interface Exploration {
  readonly program: Program;
  readonly scene: Scene;
  readonly performer: Performer;
  readonly stage: Stage;
  /** Outcomes that were found right. */
  readonly known: Set<string>;
  performed: number;
}

/** A whole look at the table, however familiar what is watched: every so many schedules. */
const WHOLE_EVERY = 512;
const PREEMPTIONS_AT_LEAST = 2;

export function openExploration(program: Program, scene: Scene, part: Part): Exploration {
  const stage = openStage(part.stage);
  const performer = openPerformer(part, stage);
  return { program, scene, performer, stage, known: new Set(), performed: 0 };
}

/** One schedule. Gives what is wrong with it. */
export function perform(
  { program, scene, performer, stage, known }: Exploration,
  deviations: readonly number[],
  how: { strict: boolean; failures: number; whole?: boolean },
): string | undefined {
  if (deviations.length > 2 * DEVIATIONS_MAX) throw new Error('more deviations than fit the stage');
  scene.reset(stage, how.failures, deviations, how.strict);
  performSchedule(performer);
  const outcome = stage.words[OUTCOME]!;
  if (outcome !== COMPLETE) return complaint(outcome, stage, scene);
  const key = scene.key(stage);
  if (known.has(key) && how.whole !== true) return undefined;
  try {
    const { order, seen } = judge(program, scene, stage);
    if (order === undefined) return `no order of the calls explains what was seen:\n${seen}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  known.add(key);
  return undefined;
}

function complaint(outcome: number, stage: Stage, scene: Scene): string {
  const where = describeStanding(stage, scene.guest);
  switch (outcome) {
    case DEADLOCK:
      return `deadlock: every thread waits\n${where}`;
    case ENDLESS:
      return `no end in sight\n${where}`;
    case FREED_TOO_SOON:
      return `a slot was given up before its translation was invalidated\n${where}`;
    case DIVERGED:
      return `the schedule does not fit: a thread that it names cannot run\n${where}`;
    case CRASHED:
      return `crash: ${Buffer.from(stage.message).toString().replaceAll('\0', '')}\n${where}`;
    default:
      return `outcome ${outcome}`;
  }
}

/**
 * Every schedule with two preemptions and fewer, then with three, four... as long as the next number of them keeps to the
 * budget of schedules; until one fails. What comes depends on the numbers alone, not on the machine.
 */
export function explore(exploration: Exploration, budget: number): Report {
  const report: Report = {
    schedules: [],
    all: false,
    steps: 0,
    outcomes: 0,
    seconds: 0,
    stepsBack: 0,
  };
  const start = performance.now();
  let level: number[][] = [[]];
  while (level.length > 0) {
    const depth = report.schedules.length;
    if (depth > PREEMPTIONS_AT_LEAST && exploration.performed + level.length > budget) break;
    report.schedules.push(0);
    level = performLevel(exploration, report, level);
    if (report.failure !== undefined) break;
  }
  report.all = level.length === 0 && report.failure === undefined;
  return finish(exploration, report, start);
}

/** Performs the schedules of one number of preemptions; gives those with one more. */
function performLevel(exploration: Exploration, report: Report, level: number[][]): number[][] {
  const { stage, program } = exploration;
  const next: number[][] = [];
  // They beget others of the same number: where the running thread cannot go on, the choice is free.
  for (let deviations = level.pop(); deviations !== undefined; deviations = level.pop()) {
    const whole = exploration.performed++ % WHOLE_EVERY === 0;
    const reason = perform(exploration, deviations, { strict: true, failures: 0, whole });
    report.schedules[report.schedules.length - 1]!++;
    const steps = stage.words[STEPS]!;
    report.steps = Math.max(report.steps, steps);
    report.stepsBack += stage.words[STEPS_BACK]!;
    if (reason !== undefined) {
      report.failure = { schedule: scheduleText(program.name, 0, stage.trace, steps), reason };
      return next;
    }
    beget(exploration, deviations, level, next);
  }
  return next;
}

/** One schedule, given as a text, with what each step was. */
export function replay(exploration: Exploration, text: string): Report {
  const { stage, program } = exploration;
  const start = performance.now();
  const { deviations, failures } = parseSchedule(text);
  const reason = perform(exploration, deviations, { strict: true, failures, whole: true });
  const steps = stage.words[STEPS]!;
  const trace: string[] = [];
  for (let at = 0; at < steps * TRACE_BYTES; at += TRACE_BYTES) {
    trace.push(`${trace.length}: thread ${stage.trace[at]}, ${NAMES[stage.trace[at + 2]!]}`);
  }
  const report: Report = {
    schedules: [1],
    all: false,
    steps,
    outcomes: 0,
    seconds: 0,
    stepsBack: 0,
    trace,
  };
  if (reason !== undefined)
    report.failure = { schedule: scheduleText(program.name, failures, stage.trace, steps), reason };
  return finish(exploration, report, start);
}

function finish({ known }: Exploration, report: Report, start: number): Report {
  report.outcomes = known.size;
  report.seconds = (performance.now() - start) / 1000;
  return report;
}

/** Schedules that differ from the one just performed in one choice behind its last deviation. */
function beget(
  { stage, program }: Exploration,
  deviations: readonly number[],
  free: number[][],
  preempting: number[][],
): void {
  const { trace, words } = stage;
  const from = (deviations.at(-2) ?? -1) + 1;
  const passed = program.threads.map(() => NAMES.map(() => 0));
  let before = -1;
  for (let step = 0; step < words[STEPS]!; step++) {
    const thread = trace[step * TRACE_BYTES]!;
    const mask = trace[step * TRACE_BYTES + 1]!;
    const point = trace[step * TRACE_BYTES + 2]!;
    const own = touchesOnlyItsOwn(program, point, passed[thread]![point]!++);
    const goesOn = before >= 0 && (mask & (1 << before)) !== 0;
    const list = goesOn ? preempting : free;
    before = thread;
    if (step < from || (goesOn && own)) continue;
    for (let other = 0; other < program.threads.length; other++) {
      if (other !== thread && (mask & (1 << other)) !== 0) list.push([...deviations, step, other]);
    }
  }
}

/**
 * Does the step that follows touch nothing that another thread looks at? `passed`: how often the thread has stood at such
 * a point. Of a call's four AT_ANSWER the first is followed by the call itself, the last by a look at the gate; the first
 * AT_FRAME by the thread's leaving the gate. Gate and ACTIVE words matter only where somebody closes the gate.
 */
function touchesOnlyItsOwn(program: Program, point: number, passed: number): boolean {
  const gateMatters = program.replaces === true || program.closesGate === true;
  switch (NAMES[point]) {
    case 'AT_ANSWER':
      // A call that is taken back stands there once, and so all that follow are counted wrong.
      if (program.neverWaits !== undefined) return false;
      return (passed & 3) !== 0 && ((passed & 3) !== 3 || !gateMatters);
    case 'AT_FRAME':
      return passed > 0 || !gateMatters;
    case 'NOT_BEGUN':
    case 'AT_GATE':
      return !gateMatters;
    default:
      return false;
  }
}
