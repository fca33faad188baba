/**
 * A record at which one processor after the other dies is given up: it answers H_HARDWARE, nothing of it has happened,
 * and its stream goes on with the next record.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTable } from '../engine/invariants.ts';
import { openMortalGuest } from './mortal.ts';
import type { Call } from './mortal.ts';

const V = 0x1234_5600_0001n;
const ENTER: Call = { name: 'H_ENTER', args: [1n << 39n, 40n, V, 0x10192n] };
const REMOVE: Call = { name: 'H_REMOVE', args: [0n, 40n, 0n] };
const READ: Call = { name: 'H_READ', args: [0n, 40n] };
const H_HARDWARE = -1;

/** What H_REMOVE and the H_READ behind it answered, whether the entry is there, and the yield points of the last life. */
function lives(deaths: readonly number[]) {
  const mortal = openMortalGuest({ order: 18, ramBytes: 2 ** 24, backingPageBytes: 65536 });
  mortal.guest.call(ENTER.name, ENTER.args);
  const { answers, yields } = mortal.perform([REMOVE, READ], deaths);
  checkTable(mortal.guest);
  const statuses = answers.map(({ status }) => status);
  const there = (mortal.guest.call(READ.name, READ.args).out[0]! & 1n) === 1n;
  return { statuses, there, yields };
}

test('a record that ends three lives answers H_HARDWARE, undone, and the stream goes on', (context) => {
  const points = lives([]).yields;
  let givenUp = 0;
  for (let first = 0; first < points; first++) {
    const again = lives([first]).yields;
    for (let next = 0; next < again; next++) {
      const { statuses, there } = lives([first, next, next]);
      const where = `deaths after ${first}, ${next}, ${next} yield points: ${statuses.join(' ')}`;
      assert.equal(statuses.length, 2, where);
      assert.ok(
        statuses.every((status) => status === 0 || status === H_HARDWARE),
        where,
      );
      assert.equal(there, statuses[0] === H_HARDWARE, where);
      // One record at most is given up: the three deaths are used up then.
      assert.ok(statuses.includes(0), where);
      if (!statuses.includes(H_HARDWARE)) continue;
      givenUp++;
      assert.deepEqual(lives([first, next]).statuses, [0, 0], `${where}, but only two`);
    }
  }
  context.diagnostic(`${points} points, given up ${givenUp} times`);
  assert.ok(givenUp > 0, 'no record was given up');
});
