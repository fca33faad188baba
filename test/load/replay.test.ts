/**
 * The replay profile on small recordings that the reference model makes: what it prints, that a wrong answer fails it, and
 * with a stream for each guest processor which answers are compared and what else is found.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { replayConcurrently } from '../../load/replay/concurrent.ts';
import { type Call, loadSmpPlan, type SmpPlan } from '../../load/replay/smp-plan.ts';
import { guestConfig } from '../../schemas/guests.ts';
import { operationByOpcode } from '../../schemas/operations.ts';
import { traceFolder, type TraceLine, traceText } from '../cli/traces.ts';
import { startFakeDaemon } from '../client/fake-daemon.ts';
import { createModel, type Model } from '../model/model.ts';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));
const RAM_BYTES = 2 ** 24;
const ORDER = 18;
/** Groups that a processor has for itself, and one that both use. */
const OWN_GROUPS = 20;
const SHARED_GROUP = 100;
const COLUMNS = [
  'file',
  'streams',
  'hcalls',
  'compared',
  'mismatches',
  'firstSeconds',
  'seconds',
  'hcallsPerSecond',
  'ratioToGuest',
  'ratioToEngine',
  'spread',
];

const folder = traceFolder();
after(() => folder.remove());

function newModel(): Model {
  const { memory: _memory, ...config } = guestConfig.parse({ order: ORDER, ramBytes: RAM_BYTES });
  return createModel(config);
}

function hex(word: bigint): string {
  return `0x${word.toString(16)}`;
}

/** Two processors in turn, in their own groups and in one that they share; as the model answers. */
function twoProcessors(rounds: number): TraceLine[] {
  const model = newModel();
  const events: TraceLine[] = [{ op: 'HPT_RESET', order: ORDER }];
  model.call('HPT_RESET', [BigInt(ORDER)]);
  const call = (cpu: number, op: string, ...args: bigint[]): void => {
    const { status, out } = model.call(op, args);
    events.push({ cpu, op, args: args.map(hex), ret: status, out: out.map(hex) });
  };
  for (let i = 0; i < rounds; i++) {
    for (const cpu of [0, 1]) {
      const ptex = BigInt((cpu * OWN_GROUPS + (i % OWN_GROUPS)) * 8);
      const shared = BigInt(SHARED_GROUP * 8 + (i % 8));
      const pteh = (BigInt(i * 2 + cpu) << 12n) | 1n;
      call(cpu, 'H_ENTER', 0n, ptex, pteh, 0x12n);
      call(cpu, 'H_READ', 0n, ptex);
      call(cpu, 'H_ENTER', 0n, shared, pteh, 0x10012n);
      call(cpu, 'H_PROTECT', 1n, shared, 0n);
      call(cpu, 'H_REMOVE', 0n, shared, 0n);
      if (i % 3 === 0) call(cpu, 'H_BULK_REMOVE', (1n << 62n) | ptex, 0n, 3n << 62n, 0n);
      call(cpu, 'H_ENTER', 0n, 1n << 40n, pteh, 0x12n);
    }
  }
  const ptexes = Array.from({ length: model.entryCount() }, (_, ptex) => ptex);
  const validEntries = ptexes.filter((ptex) => (model.entry(ptex).pteh & 1n) !== 0n).length;
  return [...events, { op: 'END', order: ORDER, validEntries }];
}

function write(name: string, events: readonly TraceLine[]): string {
  const header = { vcpus: 2, ramBytes: RAM_BYTES, htabOrder: ORDER, hcallSpanSeconds: 1 };
  return folder.write(name, traceText(events, header));
}

function replay(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'replay', ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const events = twoProcessors(60);

/** A copy in which the answer to the first such call is another one. */
function spoilt(isIt: (event: TraceLine) => boolean, change: TraceLine): TraceLine[] {
  const at = events.findIndex(isIt);
  assert.notEqual(at, -1);
  return events.with(at, { ...events[at], ...change });
}

const inGroup = (first: number, groups: number) => (event: TraceLine) => {
  const ptex = Number((event['args'] as string[] | undefined)?.[1] ?? -1);
  return event['op'] === 'H_ENTER' && ptex >= first * 8 && ptex < (first + groups) * 8;
};

test('--json: a line for one stream and one for a stream a processor, nothing wrong', async () => {
  const { code, out, err } = await replay(write('smp.jsonl.gz', events), '--rounds', '2', '--json');
  assert.equal(code, 0, err);
  const report = JSON.parse(out);
  assert.equal(report.profile, 'replay');
  assert.equal(report.machine.node, process.version);
  const [one, two] = report.results;
  for (const row of [one, two]) {
    assert.deepEqual(Object.keys(row), COLUMNS);
    assert.ok(row.hcallsPerSecond > 0 && row.ratioToGuest > 0 && row.ratioToEngine > 0);
    assert.deepEqual([row.hcalls, row.mismatches], [760, 0]);
  }
  assert.deepEqual([one.streams, one.compared], [1, 760]);
  // The three calls of a round in the shared group are not compared whole.
  assert.deepEqual([two.streams, two.compared], [2, 760 - 3 * 120]);
});

test('a wrong answer in the recording: exit 1, where it is, and a table for people', async () => {
  const file = write('wrong.jsonl.gz', spoilt(inGroup(OWN_GROUPS, OWN_GROUPS), { out: ['0x7'] }));
  const { code, out, err } = await replay(file, '--rounds', '1');
  assert.equal(code, 1);
  assert.match(err, /wrong\.jsonl\.gz line \d+: H_ENTER/);
  assert.match(out, /^file +streams +hcalls/m);
  assert.match(out, /^wrong\.jsonl\.gz +1 +760 +760 +1 /m);
  assert.match(out, /^wrong\.jsonl\.gz +2 +760 +400 +1 /m);
});

for (const words of [['--rounds', '0'], ['--processors', 'x'], ['--fast']]) {
  test(`${words.join(' ')}: exit 64`, async () => {
    assert.equal((await replay(...words)).code, 64);
  });
}

function callsOf(smp: SmpPlan): Call[] {
  return smp.phases.flatMap((phase) => (phase.kind === 'together' ? phase.calls.flat() : []));
}

test('groups of one processor are compared whole; of the others only what arguments decide', async () => {
  const smp = await loadSmpPlan(write('plan.jsonl.gz', events));
  assert.deepEqual(
    smp.phases.map(({ kind }) => kind),
    ['alone', 'together'],
  );
  assert.deepEqual([smp.openAtEnd, smp.rehashed], [true, false]);
  for (const { requestAt, expectedAt, op, whole } of callsOf(smp)) {
    const at = requestAt + 8 + (op === 'H_BULK_REMOVE' ? 0 : 8);
    const ptex = new DataView(smp.plan.requests.buffer).getBigUint64(at, true) & 0xffffffffn;
    const refused = smp.plan.expected.readInt16LE(expectedAt) === -4;
    assert.equal(whole, refused || ptex < 8 * SHARED_GROUP, `${op} ${ptex}`);
  }
});

test('a new table closes what was open; without open groups the whole table is compared', async () => {
  const reset: TraceLine = { op: 'HPT_RESET', order: ORDER };
  const own = { cpu: 1, op: 'H_READ', args: ['0x0', hex(BigInt(SHARED_GROUP * 8))], ret: 0 };
  const smp = await loadSmpPlan(
    write('reset.jsonl.gz', [
      ...events.slice(0, -1),
      reset,
      { ...own, out: ['0x0', '0x0'] },
      { op: 'END', order: ORDER, validEntries: 0 },
    ]),
  );
  assert.equal(smp.openAtEnd, false);
  assert.equal(callsOf(smp).at(-1)!.whole, true);
});

test('a rehash under open groups opens the whole table', async () => {
  const commit = { op: 'H_RESIZE_HPT_COMMIT', args: ['0x0', '0x12'], ret: -7, out: [] };
  const more = events.slice(1, -1).filter(inGroup(0, OWN_GROUPS)).slice(0, 1);
  const smp = await loadSmpPlan(
    write('commit.jsonl.gz', [...events.slice(0, -1), commit, ...more]),
  );
  assert.deepEqual([smp.openAtEnd, smp.rehashed, callsOf(smp).at(-1)!.whole], [true, true, false]);
});

/** Replays concurrently against the model behind a fake daemon, which may spoil answers. */
async function againstModel(
  spoil: (
    op: string,
    words: readonly bigint[],
    model: Model,
  ) => { status: number; words: bigint[] } | undefined,
) {
  const smp = await loadSmpPlan(write('fake.jsonl.gz', events));
  const model = newModel();
  const daemon = await startFakeDaemon({
    answer: ({ opcode, words }) => {
      const { name } = operationByOpcode(opcode)!;
      const other = spoil(name, words, model);
      if (other !== undefined) return other;
      const { status, out } = model.call(name, words);
      return { status, words: [...out] };
    },
  });
  try {
    return await replayConcurrently(smp, daemon.url);
  } finally {
    await daemon.close();
  }
}

const isShared = (ptex: bigint | undefined): boolean => Number((ptex ?? 0n) >> 3n) === SHARED_GROUP;

test('the model behind many streams: nothing is wrong', async () => {
  const { mismatches, notes } = await againstModel(() => undefined);
  assert.deepEqual([mismatches, notes], [0, []]);
});

test('in an open group: an entry in another group, or a status that cannot be, is found', async () => {
  const wrongGroup = await againstModel((op, words) =>
    op === 'H_ENTER' && isShared(words[1]) ? { status: 0, words: [8n] } : undefined,
  );
  assert.ok(wrongGroup.mismatches >= 120);
  const wrongStatus = await againstModel((op, words) =>
    op === 'H_PROTECT' && isShared(words[1]) ? { status: -4, words: [] } : undefined,
  );
  assert.equal(wrongStatus.mismatches, 120);
});

test('a removal that was answered and not done, and an entry that nobody entered, are found at the end', async () => {
  let lies = 0;
  const kept = await againstModel((op, words) =>
    op === 'H_REMOVE' && isShared(words[1]) && lies++ === 5
      ? { status: 0, words: [1n, 0n] }
      : undefined,
  );
  assert.match(kept.notes.join(), /valid entries; by the answers it must be/);
  let entered = false;
  const stranger = await againstModel((op, words, model) => {
    if (op === 'H_REMOVE' && isShared(words[1]) && !entered) {
      entered = true;
      model.call('H_ENTER', [0n, 500n * 8n, (0xabcdefn << 12n) | 1n, 0x12n]);
    }
    return undefined;
  });
  assert.match(stranger.notes.join(), /1 valid entries are none that anybody entered/);
});
