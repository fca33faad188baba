/** Memory slots, host events, the walk and a resize as resources of a whole daemon. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serve, type Daemon } from '../../src/main.ts';

let daemon: Daemon;

before(async () => {
  daemon = await serve({ listen: '127.0.0.1:0', processors: 2, logLevel: 'silent' });
});
after(() => daemon.close());

type Json = Record<string, unknown>;

async function send(method: string, path: string, body?: unknown) {
  const answer = await fetch(`${daemon.url}/v1/guests/${path}`, {
    method,
    signal: AbortSignal.timeout(20_000),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await answer.text();
  return { status: answer.status, json: (text === '' ? {} : JSON.parse(text)) as Json };
}

const MIB = 2 ** 20;
/** Page 0 of VSID 1, in its own group. */
const ENTER = { ptex: '0x8', pteh: '0x1001', ptel: '0x10192' };
const WALK = { ea: 0, slbv: '0x1000' };

async function refusal(method: string, path: string, body?: unknown): Promise<unknown[]> {
  const { status, json } = await send(method, path, body);
  return [status, json.code];
}

test('memory slots are listed, added and removed while the guest runs', async () => {
  await send('PUT', 's', { order: 18, ramBytes: 64 * MIB });
  const born = { number: 0, base: '0x0', bytes: 64 * MIB, kind: 'ram' };
  assert.deepEqual((await send('GET', 's/memslots')).json.memslots, [born]);
  const added = await send('PUT', 's/memslots/5', {
    base: '0x10000000',
    bytes: 2 * MIB,
    kind: 'ci',
  });
  const slot = { number: 5, base: '0x10000000', bytes: 2 * MIB, kind: 'ci' };
  assert.deepEqual([added.status, added.json], [201, slot]);
  assert.deepEqual((await send('GET', 's')).json.memslots, [born, slot]);
  assert.deepEqual((await send('GET', 's/memslots/5')).json, slot);

  const free = { base: '0x20000000', bytes: MIB };
  for (const [number, body, code] of [
    ['5', free, [409, 'memslot-taken']],
    ['6', { base: '0x101f0000', bytes: MIB }, [409, 'memslot-taken']],
    ['6', { ...free, bytes: 2 ** 43 }, [409, 'memslot-taken']],
    ['6', { ...free, base: '0x20000800' }, [422, 'argument-invalid']],
    ['6', { ...free, bytes: MIB + 1 }, [422, 'argument-invalid']],
    ['6', { ...free, kind: 'rom' }, [422, 'argument-invalid']],
    ['6', { ...free, size: 1 }, [422, 'field-unknown']],
    ['32', free, [404, 'memslot-not-found']],
    ['-1', free, [404, 'memslot-not-found']],
  ] as const)
    assert.deepEqual(
      await refusal('PUT', `s/memslots/${number}`, body),
      code,
      JSON.stringify(body),
    );

  await send('POST', 's/hcalls/H_ENTER', ENTER);
  assert.equal((await send('POST', 's/hpt/walk', WALK)).json.outcome, 'translated');
  assert.equal((await send('DELETE', 's/memslots/0')).status, 204);
  assert.equal((await send('POST', 's/hpt/walk', WALK)).json.outcome, 'entry-absent');
  assert.equal((await send('POST', 's/host/page-fault', { ptex: 8 })).json.outcome, 'mmio');
  assert.deepEqual(await refusal('DELETE', 's/memslots/0'), [404, 'memslot-not-found']);
  await send('PUT', 's/memslots/0', { base: 0, bytes: MIB });
  assert.equal((await send('POST', 's/host/page-fault', { ptex: 8 })).json.outcome, 'valid-now');
  assert.equal((await send('POST', 's/hpt/walk', WALK)).json.outcome, 'translated');

  await send('PATCH', 's', { state: 'migrating' });
  assert.deepEqual(await refusal('DELETE', 's/memslots/0'), [409, 'guest-state']);
  assert.deepEqual(await refusal('PUT', 's/memslots/7', free), [409, 'guest-state']);
  assert.deepEqual(await refusal('POST', 's/hpt/resize', { order: 18 }), [409, 'guest-state']);
  await send('DELETE', 's');
});

test('a slot of 64 GiB is removed in pieces', async () => {
  await send('PUT', 'large', { order: 18, ramBytes: 2 ** 36, hostPageBytes: 4096 });
  await send('POST', 'large/hcalls/H_ENTER', ENTER);
  assert.equal((await send('DELETE', 'large/memslots/0')).status, 204);
  assert.equal((await send('POST', 'large/hpt/walk', WALK)).json.outcome, 'entry-absent');
  // What it left behind is room for another.
  assert.equal((await send('PUT', 'large/memslots/3', { base: 0, bytes: 2 ** 36 })).status, 201);
  await send('DELETE', 'large');
});

test('what a host does to pages, and what it learns of them', async () => {
  await send('PUT', 'h', { order: 18, ramBytes: 64 * MIB, backingPageBytes: 65536 });
  await send('POST', 'h/hcalls/H_ENTER', ENTER);
  const page = { gpa: '0x10000' };
  const store = { ...WALK, store: true };
  const walked = (await send('POST', 'h/hpt/walk', store)).json;
  assert.deepEqual(walked, {
    outcome: 'translated',
    ptex: '0x8',
    gpa: '0x10000',
    pageBytes: 4096,
    wimg: '0x2',
    dsisr: null,
  });
  assert.deepEqual((await send('POST', 'h/host/age', page)).json, { ...page, referenced: true });
  assert.equal((await send('POST', 'h/host/age', page)).json.referenced, false);
  const range = { gpa: 0, bytes: 64 * MIB };
  const dirty = (await send('POST', 'h/host/dirty', range)).json;
  assert.deepEqual([dirty.pages, dirty.pageBytes, dirty.dirty], [1024, 65536, 1]);
  const bitmap = Buffer.from(String(dirty.bitmap), 'base64');
  assert.deepEqual([bitmap.length, bitmap[0]], [128, 2]);
  assert.equal((await send('POST', 'h/host/dirty', range)).json.dirty, 0);

  assert.equal((await send('POST', 'h/host/unmap', page)).json.page, 'away');
  assert.equal((await send('POST', 'h/hpt/walk', WALK)).json.outcome, 'entry-absent');
  const fault = async () => (await send('POST', 'h/host/page-fault', { ptex: '0x8' })).json.outcome;
  assert.equal(await fault(), 'host-page-absent');
  await send('POST', 'h/host/read-only', page);
  assert.equal(await fault(), 'valid-now');
  assert.equal((await send('POST', 'h/hpt/walk', store)).json.outcome, 'protection');
  await send('POST', 'h/host/present', page);
  assert.equal(await fault(), 'valid-now');
  assert.equal((await send('POST', 'h/hpt/walk', store)).json.outcome, 'translated');
  const missing = (await send('POST', 'h/hpt/walk', { ...WALK, ea: '0x5000' })).json;
  assert.deepEqual(
    [missing.outcome, missing.ptex, missing.dsisr],
    ['no-entry', null, '0x40000000'],
  );

  const outside = { gpa: '0x40000000' };
  for (const event of ['unmap', 'read-only', 'present', 'age'])
    assert.deepEqual(await refusal('POST', `h/host/${event}`, outside), [
      404,
      'memory-out-of-range',
    ]);
  assert.deepEqual(await refusal('POST', 'h/host/dirty', { gpa: 0, bytes: 65 * MIB }), [
    404,
    'memory-out-of-range',
  ]);
  assert.deepEqual(await refusal('POST', 'h/host/page-fault', { ptex: '0x4000' }), [
    404,
    'ptex-out-of-range',
  ]);
  assert.deepEqual(await refusal('POST', 'h/hpt/walk', { ea: 0, slbv: '0x10' }), [
    422,
    'argument-invalid',
  ]);
  assert.deepEqual(await refusal('POST', 'h/hpt/walk', { ea: 0 }), [422, 'argument-invalid']);
  await send('DELETE', 'h');
});

test('a resize is begun, watched, committed and cancelled', async () => {
  await send('PUT', 'r', { order: 18, ramBytes: 2 ** 33 });
  const none = { state: 'none', order: 0, zeroedBytes: 0, bytes: 0 };
  assert.deepEqual((await send('GET', 'r/hpt/resize')).json, none);
  assert.deepEqual(await refusal('POST', 'r/hpt/resize/commit'), [409, 'resize-refused']);
  await send('POST', 'r/hcalls/H_ENTER', { ...ENTER, pteh: '0x1011' });
  const begun = await send('POST', 'r/hpt/resize', { order: 24 });
  assert.deepEqual([begun.status, begun.json.order, begun.json.bytes], [202, 24, 2 ** 25]);
  let now = begun.json;
  while (now.state === 'preparing') now = (await send('GET', 'r/hpt/resize')).json;
  assert.deepEqual([now.state, now.zeroedBytes], ['ready', 2 ** 25]);
  const committed = await send('POST', 'r/hpt/resize/commit');
  assert.deepEqual([committed.status, committed.json], [200, { ...none, orderNow: 24 }]);
  const statistics = (await send('GET', 'r/hpt/statistics')).json;
  const map = statistics.map as { entriesPerBucket: number; occupied: number[] };
  assert.deepEqual(
    [statistics.bolted, statistics.groupsByEntries, statistics.entriesBySlot, map.occupied.length],
    [1, [131071, 1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], 4096],
  );
  assert.equal(
    map.occupied.reduce((sum, entries) => sum + entries),
    1,
  );
  assert.deepEqual((statistics.entriesByPageSize as Json)['4K'], 1);
  const processors = statistics.processors as { tlbies: number; records: number }[];
  // Two, and the main thread, which has executed the H_ENTER.
  assert.equal(processors.length, 3);
  assert.equal(processors[2]!.records, 1);
  assert.ok(processors.some(({ records }) => records > 4000));

  await send('POST', 'r/hpt/resize', { order: 22 });
  assert.equal((await send('DELETE', 'r/hpt/resize')).status, 204);
  assert.deepEqual((await send('GET', 'r/hpt/resize')).json, none);
  assert.deepEqual(await refusal('POST', 'r/hpt/resize', { order: 29 }), [409, 'resize-refused']);
  assert.deepEqual(await refusal('POST', 'r/hpt/resize', { order: 17 }), [422, 'argument-invalid']);
  await send('PATCH', 'r', { state: 'paused' });
  assert.deepEqual(await refusal('POST', 'r/hpt/resize', { order: 22 }), [409, 'guest-paused']);
  await send('DELETE', 'r');
});
