import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSchedule, scheduleText } from './schedule-text.ts';

test('a trace becomes runs, and runs become deviations', () => {
  const trace = Uint8Array.from([0, 0, 1, 0].flatMap((thread) => [thread, 3, 19]));
  const text = scheduleText('a/b: c', 0, trace, 4);
  assert.equal(text, 'a/b: c: 0*2.1.0');
  assert.deepEqual(parseSchedule(text), {
    program: 'a/b: c',
    failures: 0,
    deviations: [0, 0, 2, 1, 3, 0],
  });
});

test('the seed of lock failures goes with it', () => {
  const text = scheduleText('random 17', 5, Uint8Array.from([2, 7, 19]), 1);
  assert.equal(text, 'random 17: !5 2');
  assert.equal(parseSchedule(text).failures, 5);
});

test('what is no schedule is refused', () => {
  assert.throws(() => parseSchedule('enter/remove'), /no schedule/);
});
