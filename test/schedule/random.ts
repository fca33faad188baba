/**
 * Schedules drawn at random, for programs too large to enumerate: so many preemptions at most, at steps drawn evenly over
 * the length of the last schedule. Everything follows from the seed.
 */
import { perform } from './explorer.ts';
import type { Exploration, Report } from './explorer.ts';
import { scheduleText } from './schedule-text.ts';
import { STEPS } from './stage.ts';

export interface RandomTask {
  readonly seed: number;
  readonly schedules: number;
  readonly preemptions: number;
  /** Lock attempts fail at random too, 1 in 64. */
  readonly failures: boolean;
}

/** A generator of 32-bit numbers: small, and the same everywhere. */
export function numbersFrom(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  };
}

export function exploreAtRandom(exploration: Exploration, task: RandomTask): Report {
  const { stage, program } = exploration;
  const next = numbersFrom(task.seed);
  const start = performance.now();
  const report: Report = {
    schedules: [0],
    all: false,
    steps: 60,
    outcomes: 0,
    seconds: 0,
    stepsBack: 0,
  };
  for (let i = 0; i < task.schedules && report.failure === undefined; i++) {
    const failures = task.failures ? (next() | 1) >> 1 : 0;
    const steps = Array.from(
      { length: next() % (task.preemptions + 1) },
      () => next() % report.steps,
    );
    const first = [0, next() % program.threads.length];
    const deviations = [...new Set(steps)]
      .filter((step) => step > 0)
      .sort((a, b) => a - b)
      .flatMap((step) => [step, next() % program.threads.length]);
    const how = { strict: false, failures, whole: i % 64 === 0 };
    const reason = perform(exploration, [...first, ...deviations], how);
    report.schedules[0]!++;
    const length = stage.words[STEPS]!;
    report.steps = Math.max(report.steps, length);
    if (reason !== undefined)
      report.failure = {
        schedule: scheduleText(program.name, failures, stage.trace, length),
        reason,
      };
  }
  report.outcomes = exploration.known.size;
  report.seconds = (performance.now() - start) / 1000;
  return report;
}
