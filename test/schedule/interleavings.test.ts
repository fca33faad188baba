/**
 * Two processors, small programs, every order of their steps with up to so many preemptions: the answers must be those of
 * some order of the calls, the table what that order leaves, no lock left, no slot free before its invalidation.
 *
 * HPTD_SCHEDULES=all leaves no schedule out (hours); a number is the budget of schedules for each program.
 * HPTD_SCHEDULE='enter/remove: 0*7.1*12' performs that schedule alone and prints its steps.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Report } from './explorer.ts';
import { PROGRAMS } from './programs.ts';
import { parseSchedule } from './schedule-text.ts';
import { startExplorer } from './task.ts';

const wanted = process.env.HPTD_SCHEDULES ?? '2000';
const budget = wanted === 'all' ? Infinity : Number(wanted);
const one = process.env.HPTD_SCHEDULE;
const explorer = startExplorer();
after(() => explorer.close());

function failureText({ failure }: Report): string {
  return `HPTD_SCHEDULE='${failure?.schedule}' fails: ${failure?.reason}`;
}

function numbers({ schedules, all, steps, outcomes, seconds, stepsBack }: Report): string {
  const sum = schedules.reduce((total, count) => total + count, 0);
  const bound = all ? 'all there are' : `up to ${schedules.length - 1} preemptions`;
  const rate = Math.round(sum / seconds);
  return `${sum} schedules (${bound}: ${schedules.join(' + ')}), ${steps} steps, ${outcomes} outcomes, ${stepsBack} steps back, ${rate}/s`;
}

for (const program of one === undefined ? PROGRAMS : []) {
  test(program.name, { timeout: wanted === 'all' ? 24 * 3_600_000 : 120_000 }, async (context) => {
    const report = await explorer.perform({ program, budget });
    assert.equal(report.failure, undefined, failureText(report));
    if (program.neverWaits !== undefined)
      assert.notEqual(report.stepsBack, 0, 'nothing was taken back');
    context.diagnostic(numbers(report));
  });
}

if (one !== undefined) {
  const program = PROGRAMS.find(({ name }) => name === parseSchedule(one).program);
  // Schedules of random programs are for random.test.ts.
  test(one, { skip: parseSchedule(one).program.startsWith('random ') }, async (context) => {
    assert.ok(program, 'there is no such program');
    const report = await explorer.perform({ program, replay: one });
    for (const step of report.trace ?? []) context.diagnostic(step);
    assert.equal(report.failure, undefined, failureText(report));
  });
}

test('the older ways to look for a slot fail, and the schedule that fails can be replayed', {
  skip: one !== undefined,
}, async (context) => {
  const find = (name: string) => PROGRAMS.find((program) => program.name === name)!;
  for (const [slotSearch, name] of [
    ['one-pass', 'enter exact/remove that finds nothing'],
    ['one-pass', 'enter/remove that finds nothing'],
    ['two-pass', 'enter/an entry that hops behind the scan'],
  ] as const) {
    const program = find(name);
    const { failure } = await explorer.perform({ program, budget, slotSearch });
    assert.ok(failure, `${name}: nothing fails`);
    const again = await explorer.perform({ program, slotSearch, replay: failure.schedule });
    assert.deepEqual(again.failure, failure);
    const here = await explorer.perform({ program, replay: failure.schedule });
    assert.doesNotMatch(here.failure?.reason ?? '', /no order/);
    context.diagnostic(`${slotSearch}: ${failure.schedule}`);
  }
});
