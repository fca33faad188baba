/** What schemas/limits.ts and the engine's memory map both say must be the same. */
import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as limits from '../../schemas/limits.ts';
import { EXPLAIN_WORDS, HEADER_BYTES } from '../../schemas/records.ts';
import { compileEngine, guestMemory, openEngine } from '../../src/rings/engine.ts';

const { map } = openEngine(await compileEngine(), guestMemory());

test('the engine keeps the limits that the schemas promise', () => {
  assert.equal(map.SUBMISSION_RING_BYTES, limits.SUBMISSION_RING_BYTES);
  assert.equal(map.COMPLETION_RING_BYTES, limits.COMPLETION_RING_BYTES);
  assert.equal(map.STREAMS_MAX, limits.STREAMS_PER_GUEST_MAX);
  // The main thread is one too.
  assert.equal(map.PROCESSORS_MAX, limits.PROCESSORS_MAX + 1);
  assert.equal(map.MEMSLOTS_MAX, limits.MEMSLOTS_MAX);
  assert.equal(map.READERS_MAX, limits.HTAB_READERS_MAX);
  assert.equal(map.ITEM_HEADER_BYTES, limits.FRAME_OVERHEAD_BYTES);
});

test('a submission ring has room for every frame within the credits', () => {
  const longestSkip = limits.FRAME_BYTES_MAX + map.ITEM_HEADER_BYTES;
  assert.ok(limits.CREDIT_BYTES + longestSkip <= map.SUBMISSION_RING_BYTES);
});

test('an answer fits a completion ring twice, explained', () => {
  const longest = HEADER_BYTES + 8 * (limits.HTAB_READ_BYTES_MAX / 8 + 1 + EXPLAIN_WORDS);
  assert.ok(2 * longest <= map.COMPLETION_RING_BYTES);
});

test('rings are apart from each other and from what lies around them', () => {
  assert.ok(map.STREAMS + map.STREAM_BYTES * map.STREAMS_MAX <= map.RINGS);
  assert.equal(map.RING_PAIR_BYTES, map.SUBMISSION_RING_BYTES + map.COMPLETION_RING_BYTES);
  assert.equal(map.SLOT_DATA, map.RINGS + map.RING_PAIR_BYTES * map.STREAMS_MAX);
});

test('each side of a ring writes its own cache lines', () => {
  const line = (address: number): number => address >> 6;
  const processors = [map.SUBMISSION_HEAD, map.CONSUMED].map(line);
  const lines = [map.SUBMISSION_TAIL, map.COMPLETION_TAIL, map.COMPLETION_HEAD, map.ROLE_HOST].map(
    line,
  );
  assert.equal(new Set([...processors, ...lines]).size, 5);
});

interface Detail {
  readonly kind: number;
}

test('memory for guests makes nobody look through the heap', async () => {
  let looks = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as (PerformanceEntry & { detail: Detail })[])
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) looks++;
  });
  observer.observe({ entryTypes: ['gc'] });
  const memories = [guestMemory(), guestMemory(), guestMemory(), guestMemory()];
  await turn();
  await turn();
  observer.disconnect();
  assert.ok(memories.every(({ buffer }) => buffer.byteLength === 65535 * 65536));
  // One may be due for reasons of its own.
  assert.ok(looks <= 1, `${looks} looks`);
});
