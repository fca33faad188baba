import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wholeNumbers } from '../../load/profile.ts';
import { median, rounded, spread } from '../../load/statistics.ts';

test('median and spread', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(spread([2, 2, 2]), 0);
  assert.equal(spread([1, 2, 3]), 1);
  assert.equal(rounded(1.2345, 2), 1.23);
});

test('lists and ranges of whole numbers', () => {
  assert.deepEqual(wholeNumbers('--orders', '18,24', 18, 30), [18, 24]);
  assert.deepEqual(wholeNumbers('--processors', '1..3,8', 1, 64), [1, 2, 3, 8]);
  for (const text of ['', '17', '18,', '20..19', 'x', '18.5', '18..31']) {
    assert.throws(() => wholeNumbers('--orders', text, 18, 30), { name: 'UsageError' });
  }
});
