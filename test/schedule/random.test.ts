/**
 * Larger programs on three processors, drawn at random, under schedules drawn at random; half of them with lock
 * attempts that fail 1 in 64. The seed is printed; HPTD_SEED gives it back, HPTD_RUNS asks for more programs.
 *
 * HPTD_SCHEDULE='random 17: !5 0*7.1*12' performs that schedule alone and prints its steps.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { randomProgram } from './random-programs.ts';
import { PROGRAMS } from './programs.ts';
import { parseSchedule } from './schedule-text.ts';
import { startExplorer } from './task.ts';

const SCHEDULES = 100;
const PREEMPTIONS = 6;
const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(process.env.HPTD_RUNS ?? 40);
const one = process.env.HPTD_SCHEDULE;
const explorer = startExplorer();
after(() => explorer.close());

if (one !== undefined) {
  const number = /^random (\d+)$/.exec(parseSchedule(one).program)?.[1];
  test(one, { skip: number === undefined }, async (context) => {
    const program = randomProgram(Number(number));
    for (const [thread, calls] of [program.before, ...program.threads].entries())
      for (const { name, args } of calls)
        context.diagnostic(
          `${thread === 0 ? 'before' : `thread ${thread - 1}`}: ${name} ${args.map((word) => word.toString(16)).join(' ')}`,
        );
    const report = await explorer.perform({ program, replay: one });
    for (const step of report.trace ?? []) context.diagnostic(step);
    assert.equal(report.failure, undefined, report.failure?.reason ?? '');
  });
}

test('random programs under random schedules', {
  skip: one !== undefined,
  timeout: runs * 30_000,
}, async (context) => {
  context.diagnostic(`HPTD_SEED=${seed} HPTD_RUNS=${runs}`);
  let outcomes = 0;
  for (let i = 0; i < runs; i++) {
    const program = randomProgram((seed + i) % 2 ** 31);
    const report = await explorer.perform({
      program,
      random: {
        seed: seed + i,
        schedules: SCHEDULES,
        preemptions: PREEMPTIONS,
        failures: i % 2 === 1,
      },
    });
    const { failure } = report;
    assert.equal(
      failure,
      undefined,
      `HPTD_SCHEDULE='${failure?.schedule}' fails: ${failure?.reason}`,
    );
    outcomes += report.outcomes;
  }
  context.diagnostic(`${runs * SCHEDULES} schedules, ${outcomes} outcomes`);
});

test('lock attempts that fail at random change no outcome of the small programs', {
  skip: one !== undefined,
  timeout: 240_000,
}, async (context) => {
  let schedules = 0;
  for (const program of PROGRAMS) {
    const { failure } = await explorer.perform({
      program,
      random: { seed, schedules: SCHEDULES, preemptions: 3, failures: true },
    });
    assert.equal(
      failure,
      undefined,
      `HPTD_SCHEDULE='${failure?.schedule}' fails: ${failure?.reason}`,
    );
    schedules += SCHEDULES;
  }
  context.diagnostic(`${schedules} schedules with failures, HPTD_SEED=${seed}`);
});
