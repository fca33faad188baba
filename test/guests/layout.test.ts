/** What a guest cannot be: each refusal names the member at fault. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { pino } from 'pino';
import { BACKED_RAM_BYTES_MAX } from '../../schemas/limits.ts';
import { ProblemError } from '../../schemas/problems.ts';
import { openGuests } from '../../src/guests/registry.ts';
import { config } from './configs.ts';

const guests = await openGuests({ processors: 1, log: pino({ level: 'silent' }) });
after(() => guests.close());

const GIB = 2 ** 30;
const slot = (base: number, bytes: number, kind: 'ram' | 'ci' = 'ram') => ({ base, bytes, kind });

const REFUSED: readonly [string, Parameters<typeof config>[0], string][] = [
  ['slots that overlap', { memslots: [slot(GIB, GIB), slot(0, GIB + 65536)] }, 'memslots[0]'],
  ['the same slot twice', { memslots: [slot(0, GIB), slot(0, GIB)] }, 'memslots[1]'],
  ['a slot that starts inside a host page', { memslots: [slot(4096, GIB)] }, 'memslots[0]'],
  [
    'a slot that ends inside a host page',
    { memslots: [slot(0, GIB), slot(GIB, 4096)] },
    'memslots[1]',
  ],
  ['RAM that ends inside a host page', { ramBytes: GIB + 4096 }, 'ramBytes'],
  [
    'a slot beyond the last address',
    { memslots: [slot(2 ** 44 - 65536, 2 * 65536)] },
    'memslots[0]',
  ],
  ['backing pages smaller than host pages', { backingPageBytes: 4096 }, 'backingPageBytes'],
  [
    'more backed memory than there may be',
    { memory: 'backed', ramBytes: BACKED_RAM_BYTES_MAX + 65536 },
    'memory',
  ],
  [
    'slots whose frames need more than there is',
    { hostPageBytes: 4096, ramBytes: 2 ** 43 },
    'ramBytes',
  ],
  [
    'a table that does not fit beside its slots',
    { order: 30, hostPageBytes: 4096, ramBytes: 2 ** 40 },
    'order',
  ],
];

for (const [name, changes, path] of REFUSED) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(guests.create('g', config(changes)), (error) => {
      assert.ok(error instanceof ProblemError, String(error));
      assert.equal(error.code, 'guest-config-invalid');
      assert.deepEqual(
        error.errors?.map((part) => part.path),
        [path],
      );
      return true;
    });
    assert.equal(guests.get('g'), undefined);
  });
}

const TAKEN: readonly [string, Parameters<typeof config>[0], number][] = [
  [
    'slots side by side',
    { memslots: [slot(GIB, GIB), slot(0, GIB), slot(2 * GIB, 65536, 'ci')] },
    18,
  ],
  ['no slots: everything is MMIO', { ramBytes: undefined }, 18],
  ['no slots, with a bound for the table', { memslots: [] }, 18],
  ['the greatest table', { order: 30, ramBytes: 128 * GIB }, 30],
  ['no table', { order: 0 }, 0],
  [
    'as much backed memory as there may be',
    { order: 26, memory: 'backed', ramBytes: BACKED_RAM_BYTES_MAX },
    26,
  ],
  ['host pages of 4 KiB', { hostPageBytes: 4096, backingPageBytes: 4096, ramBytes: 4096 }, 18],
];

for (const [name, changes, order] of TAKEN) {
  test(`taken: ${name}`, async () => {
    const guest = await guests.create('g', config(changes));
    assert.deepEqual(guest.status(), { order, streams: 0, state: 'running' });
    await guests.remove('g');
  });
}
