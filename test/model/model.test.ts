/**
 * The reference model against the recorded answers of real hypervisors, then what no recording
 * holds.
 *
 * HPTD_REPLAY_WHOLE=1 replays the large recordings to their end.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { OPERATIONS } from '../../schemas/operations.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { type Model, type ModelConfig, createModel } from './model.ts';
import { replay, wholeTableHash } from './replay.ts';

const SHARED = join(import.meta.dirname, '../../../shared');
const PREFIX_EVENTS = 60_000;
/** Recordings of which a prefix is enough, unless asked for the whole. */
const LARGE = new Set(['08-pressure-p8-4k.jsonl.gz']);

const MIB = 1024 * 1024;
const EXACT = 1n << 39n;
const ALL_ONES = (1n << 64n) - 1n;
const V = 0x01n;
const BOLTED = 0x10n;

function small(changes: Partial<ModelConfig> = {}): Model {
  return createModel({
    order: 18,
    ramBytes: 64 * MIB,
    hostPageBytes: 65536,
    backingPageBytes: 2 ** 24,
    isa300: false,
    memory: 'backed',
    ...changes,
  });
}

function enter(model: Model, ptex: bigint, pteh: bigint, ptel: bigint): bigint {
  const { status, out } = model.call('H_ENTER', [EXACT, ptex, pteh, ptel]);
  assert.equal(status, 0);
  return out[0] ?? ALL_ONES;
}

/** Every VALID entry is in one chain, and nothing else is. */
function checkChains(model: Model): void {
  const chained = [...model.chains().values()].flat();
  const valid: number[] = [];
  for (let ptex = 0; ptex < model.entryCount(); ptex++) {
    if ((model.entry(ptex).dword0 & V) !== 0n) valid.push(ptex);
  }
  assert.deepEqual(
    chained.sort((a, b) => a - b),
    valid,
  );
}

describe('recorded conversations', () => {
  if (!existsSync(SHARED)) {
    it('are not here', { skip: `no folder ${SHARED}: the recordings are not replayed` });
    return;
  }
  for (const folder of ['vectors', 'traces']) {
    const files = readdirSync(join(SHARED, folder)).filter((name) => name.endsWith('.gz'));
    for (const name of files.sort()) {
      const whole = !LARGE.has(name) || process.env.HPTD_REPLAY_WHOLE === '1';
      it(`${folder}/${name}${whole ? '' : `, first ${PREFIX_EVENTS} events`}`, async () => {
        const limit = whole ? Number.POSITIVE_INFINITY : PREFIX_EVENTS;
        const { events, mismatches, details, model } = await replay(
          join(SHARED, folder, name),
          limit,
        );
        assert.equal(mismatches, 0, details.join('\n'));
        assert.ok(events > 0 && model !== undefined);
        checkChains(model);
      });
    }
  }
});

it('knows every operation of the table', () => {
  for (const { name, wordsMin, kind } of OPERATIONS) {
    const { status, out } = small().call(
      name,
      Array.from({ length: wordsMin }, () => 0n),
    );
    assert.ok(Object.values(STATUSES).includes(status as 0), name);
    if (kind === 'control' && status !== 0) assert.deepEqual(out, [], name);
  }
});

describe('the table walk', () => {
  const VSID = 0x123456n;
  const EA = 0x0ab3_4567n;
  const SLBV = VSID << 12n;
  const GPA = 0x40_0000n;
  const avpn = (((VSID << 28n) | EA) >> 23n) << 7n;
  const primary = (VSID ^ (EA >> 12n)) & 0x7ffn;
  const walk = (model: Model, access = 0n, slbv = SLBV, amr = 0n): bigint[] =>
    model.call('WALK', [EA, slbv, access, amr]).out;

  it('finds an entry in its primary group and sets R, then C', () => {
    const model = small();
    const ptex = enter(model, primary * 8n + 3n, avpn | V, GPA | 0x12n);
    assert.deepEqual(walk(model), [0n, ptex, GPA | 0x567n, 12n, 0x10n, 0n]);
    assert.equal(model.entry(Number(ptex)).ptel & 0x180n, 0x100n);
    walk(model, 1n);
    assert.equal(model.entry(Number(ptex)).ptel & 0x180n, 0x180n);
  });

  it('finds a secondary entry in the complemented group', () => {
    const model = small();
    const ptex = enter(model, (primary ^ 0x7ffn) * 8n, avpn | 0x2n | V, GPA | 0x12n);
    assert.equal(walk(model)[1], ptex);
  });

  it('finds a large page in a 1 TB segment, and no entry of another page size', () => {
    const model = small();
    const vsid = 0x5555n;
    const hash = vsid ^ (vsid << 25n) ^ (EA >> 24n);
    const large = ((((vsid << 40n) | EA) >> 23n) & ~1n) << 7n;
    enter(model, (hash & 0x7ffn) * 8n, (1n << 62n) | large | 0x5n, 0x0100_0012n);
    const slbv = (1n << 62n) | (vsid << 24n) | 0x100n;
    assert.deepEqual(walk(model, 0n, slbv).slice(2, 4), [0x01b3_4567n, 24n]);
    assert.equal(walk(model, 0n, slbv | 0x10n)[0], 1n);
  });

  it('reports what is not there: nothing, an absent page, MMIO', () => {
    const model = small();
    assert.deepEqual(walk(model, 1n), [1n, ALL_ONES, 0n, 0n, 0n, 0x42000000n]);
    const ptex = enter(model, primary * 8n, avpn | V, GPA | 0x12n);
    model.call('HOST_UNMAP', [GPA]);
    assert.deepEqual(
      walk(model).filter((_, i) => i < 2),
      [5n, ptex],
    );
    model.call('H_REMOVE', [0n, ptex, 0n]);
    enter(model, ptex, avpn | V, 0x8000_0000n | 0x2an);
    assert.deepEqual(
      walk(model).filter((_, i) => i < 2),
      [6n, ptex],
    );
  });

  it('reports no-execute before the storage key, and the key before protection', () => {
    const model = small();
    const key = 3n;
    const r = GPA | 0x10n | (key << 9n) | 0x4n | 0x3n;
    enter(model, primary * 8n, avpn | V, r);
    const amr = 3n << (62n - 2n * key);
    assert.deepEqual([walk(model, 2n)[0], walk(model, 2n)[5]], [4n, 0x10000000n]);
    assert.deepEqual(
      [walk(model, 1n, SLBV, amr)[0], walk(model, 1n, SLBV, amr)[5]],
      [3n, 0x02200000n],
    );
    assert.deepEqual([walk(model, 1n)[0], walk(model, 1n)[5]], [2n, 0x0a000000n]);
    assert.equal(walk(model, 0n, SLBV, 1n << (62n - 2n * key))[0], 3n);
    assert.equal(walk(model, 0n, SLBV, 2n << (62n - 2n * key))[0], 0n);
  });

  it('takes the segment key of the processor state', () => {
    const model = small();
    enter(model, primary * 8n, avpn | V, GPA | 0x10n);
    assert.equal(walk(model, 4n, SLBV | 0x400n)[0], 2n);
    assert.equal(walk(model, 0n, SLBV | 0x400n)[0], 0n);
    assert.equal(walk(model, 0n, SLBV | 0x800n)[0], 2n);
  });

  it('treats a page that the host holds read-only as protected until it is paged in again', () => {
    const model = small();
    model.call('HOST_SET_PTE', [GPA, 1n]);
    const ptex = enter(model, primary * 8n, avpn | V, GPA | 0x12n);
    assert.equal(walk(model, 1n)[0], 2n);
    assert.equal(model.entry(Number(ptex)).ptel & 3n, 2n);
    model.call('HOST_SET_PTE', [GPA, 3n]);
    model.call('HOST_PAGE_FAULT', [ptex, 1n]);
    assert.equal(walk(model, 1n)[0], 0n);
  });
});

describe('H_BLOCK_REMOVE', () => {
  const AVA = 0x12340080n;
  const REQUEST = 1n << 62n;
  const CHECKED = 1n << 56n;

  it('removes, and answers for each entry what became of it', () => {
    const model = small();
    enter(model, 8n, AVA | V, 0x40_0000n | 0x192n);
    enter(model, 16n, AVA | BOLTED | V, 0x41_0000n | 0x12n);
    enter(model, 24n, AVA | 0x4n | V, 0x42_0000n | 0x1012n);
    const ts = [8n, 8n, 16n, 24n, 1n << 40n].map((ptex) => REQUEST | CHECKED | ptex);
    const { status, out } = model.call('H_BLOCK_REMOVE', [AVA, ...ts]);
    assert.equal(status, STATUSES.H_PARTIAL);
    assert.deepEqual(
      out.map((word) => word >> 56n),
      [0x87n, 0xa1n, 0x89n, 0x99n, 0x91n],
    );
    assert.equal(model.entry(8).pteh, 0n);
    assert.equal(model.entry(16).pteh & V, V);
  });

  it('stops at the end marker, and at a type that is no request', () => {
    const model = small();
    enter(model, 8n, AVA | V, 0x40_0000n | 0x12n);
    const end = model.call('H_BLOCK_REMOVE', [AVA, 3n << 62n, REQUEST | 8n]);
    assert.deepEqual(end, { status: 0, out: [3n << 62n, REQUEST | 8n] });
    const bad = model.call('H_BLOCK_REMOVE', [AVA, REQUEST | 8n, 8n, REQUEST | 8n]);
    assert.deepEqual(bad, {
      status: STATUSES.H_PARAMETER,
      out: [(0x80n << 56n) | 8n, 8n, REQUEST | 8n],
    });
  });

  it('refuses another block of the same AVPN, and the wrong AVPN', () => {
    const model = small();
    enter(model, 0n, AVA | V, 0x40_0000n | 0x12n);
    enter(model, 8n * 8n, AVA | V, 0x41_0000n | 0x12n);
    const { out } = model.call('H_BLOCK_REMOVE', [AVA, REQUEST | CHECKED, REQUEST | CHECKED | 64n]);
    assert.deepEqual(
      out.map((word) => word >> 57n),
      [0x40n, 0x54n],
    );
    const other = model.call('H_BLOCK_REMOVE', [AVA + 0x80n, REQUEST | CHECKED | 64n]);
    assert.equal((other.out[0] ?? 0n) >> 57n, 0x44n);
  });
});

describe('resizing', () => {
  const prepare = (model: Model, shift: bigint, flags = 0n): number =>
    model.call('H_RESIZE_HPT_PREPARE', [flags, shift]).status;
  const commit = (model: Model, shift: bigint, flags = 0n): number =>
    model.call('H_RESIZE_HPT_COMMIT', [flags, shift]).status;

  it('prepares, then commits', () => {
    const model = small();
    assert.equal(prepare(model, 19n), STATUSES.H_LONG_BUSY_ORDER_100_MSEC);
    assert.equal(prepare(model, 19n), 0);
    assert.equal(commit(model, 19n), 0);
    assert.equal(model.order(), 19);
    assert.equal(commit(model, 19n), STATUSES.H_CLOSED);
  });

  it('cancels, refuses, and forgets what was prepared when the commit fails', () => {
    const model = small();
    assert.equal(prepare(model, 0n), 0);
    assert.equal(prepare(model, 17n), STATUSES.H_PARAMETER);
    assert.equal(prepare(model, 19n, 1n), STATUSES.H_PARAMETER);
    assert.equal(prepare(model, 21n), STATUSES.H_RESOURCE);
    prepare(model, 20n);
    assert.equal(prepare(model, 0n), 0);
    assert.equal(commit(model, 20n), STATUSES.H_CLOSED);
    prepare(model, 20n);
    assert.equal(commit(model, 19n), STATUSES.H_CLOSED);
    assert.equal(commit(model, 20n), STATUSES.H_CLOSED);
  });

  it('a radix guest has no table', () => {
    const model = small();
    model.call('HPT_FREE', []);
    assert.equal(model.call('H_READ', [0n, 0n]).status, STATUSES.H_FUNCTION);
    assert.equal(prepare(model, 18n), STATUSES.H_NOT_AVAILABLE);
    assert.equal(commit(model, 18n), STATUSES.H_NOT_AVAILABLE);
    assert.equal(model.call('H_PAGE_INIT', [0x8000n, 0n, 0n]).status, 0);
    model.call('HPT_RESET', [18n]);
    assert.equal(model.call('H_READ', [0n, 0n]).status, 0);
  });
});

describe('the table stream', () => {
  it('loads into another guest as the same table', () => {
    const from = small();
    const to = small();
    for (const ptex of [0n, 1n, 9n, 70n, 0x3fffn])
      enter(from, ptex, 0x8000n | V, (ptex << 12n) | 0x12n);
    enter(to, 5n, 0x8000n | V, 0x12n);
    const {
      out: [reader = 0n],
    } = from.call('HTAB_OPEN', [0n, 0n]);
    for (let turns = 0; turns < 2; turns++) {
      const {
        out: [bytes = 0n, ...data],
      } = from.call('HTAB_READ', [reader, 65536n]);
      assert.deepEqual(to.call('HTAB_WRITE', [bytes, ...data]), { status: 0, out: [bytes] });
      assert.deepEqual(wholeTableHash(to), wholeTableHash(from));
      from.call('H_REMOVE', [0n, 9n, 0n]);
    }
    assert.deepEqual(from.call('HTAB_READ', [reader, 65536n]).out, [0n]);
  });

  it('refuses what is no entry, and slots beyond the table', () => {
    const model = small();
    const record = (index: bigint, v: bigint): bigint[] => [
      24n,
      index | (1n << 32n),
      BigInt.asUintN(64, v << 56n),
      0n,
    ];
    assert.equal(model.call('HTAB_WRITE', record(0n, 0n)).status, STATUSES.H_PARAMETER);
    assert.equal(model.call('HTAB_WRITE', record(0x4000n, 1n)).status, STATUSES.H_PARAMETER);
    assert.equal(model.call('HTAB_WRITE', record(0x3fffn, 1n)).status, 0);
  });
});

describe('the host', () => {
  it('harvests dirty pages from entries, removals and H_PAGE_INIT, once', () => {
    const model = small();
    const dirty = (): bigint[] => model.call('HOST_DIRTY', [0n, 1024n]).out;
    const ptex = enter(model, 0n, 0x4n | V, 0x0100_0012n);
    enter(model, 1n, V, 0x2_0012n);
    model.call('SET_RC', [ptex, 0x80n, 0n]);
    model.call('H_PAGE_INIT', [0x8000n, 0x1_1000n, 0n]);
    const first = dirty();
    assert.equal(first[0], 257n);
    assert.equal(first[1], 2n);
    assert.deepEqual(first.slice(5, 9), [ALL_ONES, ALL_ONES, ALL_ONES, ALL_ONES]);
    assert.equal(model.entry(Number(ptex)).ptel & 0x80n, 0x80n);
    assert.equal(dirty()[0], 0n);
    model.call('SET_RC', [1n, 0x80n, 0n]);
    model.call('H_REMOVE', [0n, 1n, 0n]);
    assert.deepEqual(dirty().slice(0, 2), [1n, 4n]);
  });

  it('chains valid entries by frame, in order of arrival', () => {
    const model = small();
    for (const ptex of [3n, 1n, 2n]) enter(model, ptex, V, 0x5_0012n);
    assert.deepEqual(model.chain(5n), [3, 1, 2]);
    assert.deepEqual(model.call('ENTRY_INSPECT', [3n]).out.slice(3, 5), [1n, 2n]);
    model.call('H_REMOVE', [0n, 3n, 0n]);
    assert.deepEqual(model.chain(5n), [1, 2]);
  });
});

it('H_CLEAR_HPT leaves the virtual real mode area', () => {
  const model = small();
  enter(model, 0n, 0x4001ffffff000000n | BOLTED | V, 0x12n);
  enter(model, 1n, 0x8000n | BOLTED | V, 0x12n);
  assert.equal(model.call('H_CLEAR_HPT', []).status, 0);
  assert.deepEqual(model.call('TABLE_COUNT', [0n, 16384n]).out, [
    16384n,
    1n,
    0n,
    1n,
    0n,
    0n,
    0n,
    0n,
    2047n,
  ]);
});

it('guest memory is zeroed and copied by H_PAGE_INIT', () => {
  const model = small();
  assert.equal(model.call('MEMORY_WRITE', [0x1008n, 7n, 8n]).status, 0);
  model.call('H_PAGE_INIT', [0x4000n, 0x3000n, 0x1000n]);
  assert.deepEqual(model.call('MEMORY_READ', [0x3000n, 3n]).out, [0n, 7n, 8n]);
  model.call('H_PAGE_INIT', [0x8000n, 0x1000n, 0n]);
  assert.deepEqual(model.call('MEMORY_READ', [0x1008n, 1n]).out, [0n]);
  assert.equal(model.call('MEMORY_READ', [0x1001n, 1n]).status, STATUSES.H_PARAMETER);
  assert.equal(model.call('MEMORY_READ', [BigInt(64 * MIB), 1n]).status, STATUSES.H_PARAMETER);
});
