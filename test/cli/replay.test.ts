/**
 * Replays over a real socket. The daemon is a fake whose answers come from a function or from the reference model, so
 * that every rule for comparing is seen to hold and every wrong answer to be found.
 */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { after, test } from 'node:test';
import { guestConfig } from '../../schemas/guests.ts';
import { operationByName, operationByOpcode } from '../../schemas/operations.ts';
import { loadPlan, planWarnings, replayPlan } from '../../src/cli/replay/files.ts';
import type { ReplayResult } from '../../src/cli/replay/run.ts';
import { type FakeOptions, type FakeRequest, startFakeDaemon } from '../client/fake-daemon.ts';
import { createModel, type Model } from '../model/model.ts';
import { recorded, traceFolder, type TraceLine, traceText } from './traces.ts';

const folder = traceFolder();
after(() => folder.remove());

type Answer = { status: number; words: bigint[] };

interface Replayed extends ReplayResult {
  readonly sent: (FakeRequest & { op: string })[];
}

async function replayFile(
  path: string,
  answer: (request: FakeRequest, op: string) => Answer,
  options: FakeOptions = {},
): Promise<Replayed> {
  const plan = await loadPlan(path);
  const sent: Replayed['sent'] = [];
  const daemon = await startFakeDaemon({
    ...options,
    answer: (request) => {
      const op = operationByOpcode(request.opcode)!.name;
      sent.push({ ...request, op });
      return answer(request, op);
    },
  });
  try {
    const result = await replayPlan(daemon, plan);
    assert.deepEqual(daemon.faults, []);
    assert.equal(daemon.requests.at(-1)!.split(' ')[0], 'DELETE');
    return { ...result, sent };
  } finally {
    await daemon.close();
  }
}

function replayEvents(
  events: readonly TraceLine[],
  answers: Record<string, Answer | Answer[]>,
  header: TraceLine = {},
): Promise<Replayed> {
  const path = folder.write('trace.jsonl.gz', traceText(events, header));
  return replayFile(path, (_request, op) => {
    const given = answers[op];
    return (Array.isArray(given) ? given.shift() : given) ?? { status: 0, words: [0n] };
  });
}

const ok = (...words: bigint[]): Answer => ({ status: 0, words });

const READ_4 = { op: 'H_READ', args: ['0x2000000000', '0x8'], ret: 0 };
const QEMU = { quirks: { vSoftwareBit: '0x40', bulkRemoveRcShift: 43, noClearRefMod: true } };

test('equal answers match; a wrong status, a wrong word and a missing word do not', async () => {
  const enter = { op: 'H_ENTER', args: ['0x0', '0x8', '0x1', '0x190'], ret: 0, out: ['0x9'] };
  const events = [enter, enter, enter, enter];
  const answers = [ok(9n), { status: -6, words: [] }, ok(8n), ok()];
  const { mismatches, first, tableMatches } = await replayEvents(events, { H_ENTER: answers });
  assert.equal(mismatches, 3);
  assert.equal(tableMatches, null);
  assert.deepEqual(
    first.map(({ line }) => line),
    [3, 4, 5],
  );
  assert.deepEqual(first[0], {
    line: 3,
    op: 'H_ENTER',
    args: [0n, 8n, 1n, 0x190n],
    expected: { status: 0, words: [9n] },
    actual: { status: -6, words: [] },
  });
});

test('rule 1: the software bit of recorded dword 0 is cleared in H_READ and H_REMOVE', async () => {
  const out = ['0x41', '0x190', '0x40', '0x7', '0x81', '0x0', '0x0', null];
  const read = { ...READ_4, out };
  const remove = { op: 'H_REMOVE', args: ['0x0', '0x8', '0x0'], ret: 0, out: ['0x45', '0x40'] };
  const answers = { H_READ: ok(1n, 0x190n, 0n, 99n, 0x81n, 0n, 0n, 5n), H_REMOVE: ok(5n, 0x40n) };
  assert.equal((await replayEvents([read, remove], answers, QEMU)).mismatches, 0);
  assert.equal((await replayEvents([read, remove], answers)).mismatches, 2);
  // hptd itself must not show the bit.
  assert.equal((await replayEvents([remove], { H_REMOVE: ok(0x45n, 0x40n) }, QEMU)).mismatches, 1);
});

test('rule 2: R and C of H_BULK_REMOVE move up in responses of success, and nowhere else', async () => {
  const args = ['0x4200000000001fe8', '0x7', '0x4200000000000001', '0x0', '0xc000000000000000'];
  const out = [
    '0x820c000000001fe8',
    '0x000c000000000007',
    '0x920c000000000001',
    '0x0',
    '0xc00c000000000000',
  ];
  const right = ok(
    0x8e00000000001fe8n,
    0x000c000000000007n,
    0x920c000000000001n,
    0n,
    0xc00c000000000000n,
  );
  const event = { op: 'H_BULK_REMOVE', args, ret: 0, out };
  const { mismatches, sent } = await replayEvents([event], { H_BULK_REMOVE: right }, QEMU);
  assert.equal(mismatches, 0);
  assert.deepEqual(sent[0]!.words, args.map(BigInt));
  assert.equal((await replayEvents([event], { H_BULK_REMOVE: right })).mismatches, 1);
});

test('rule 3: dword 1 of an entry that is not valid is not compared; dword 0 is', async () => {
  const read = {
    ...READ_4,
    out: ['0x1', '0x190', '0x4000000000000000', '0x7', '0x0', '0x0', '0x0', '0x0'],
  };
  const answers = [
    ok(1n, 0x190n, 1n << 62n, 1n, 0n, 2n, 0n, 3n),
    ok(1n, 0x191n, 1n << 62n, 7n, 0n, 0n, 0n, 0n),
    ok(1n, 0x190n, 0n, 7n, 0n, 0n, 0n, 0n),
  ];
  const { mismatches, first } = await replayEvents([read, read, read], { H_READ: answers });
  assert.equal(mismatches, 2);
  assert.deepEqual(
    first.map(({ line }) => line),
    [3, 4],
  );
  assert.deepEqual(first[0]!.expected.words, [1n, 0x190n, 1n << 62n, null, 0n, null, 0n, null]);
});

test('null is not compared, wherever it stands', async () => {
  const enter = { op: 'H_ENTER', args: ['0x0', '0x8', '0x1', '0x190'], ret: 0, out: [null] };
  assert.equal((await replayEvents([enter], { H_ENTER: ok(77n) })).mismatches, 0);
  assert.equal((await replayEvents([enter], { H_ENTER: ok() })).mismatches, 1);
});

test('rule 4: busy answers of PREPARE are repeated until another comes; only that one is compared', async () => {
  const prepare = (ret: number) => ({
    op: 'H_RESIZE_HPT_PREPARE',
    args: ['0x0', '0x17'],
    ret,
    out: [],
  });
  const busy: Answer = { status: 9902, words: [] };
  const done = ok();
  const recordedPolls = [prepare(9902), prepare(9902), prepare(0)];
  const slow = await replayEvents(recordedPolls, {
    H_RESIZE_HPT_PREPARE: [busy, busy, busy, busy, done],
  });
  assert.deepEqual([slow.mismatches, slow.sent.length], [0, 5]);
  const quick = await replayEvents(recordedPolls, { H_RESIZE_HPT_PREPARE: [done, done, done] });
  assert.deepEqual([quick.mismatches, quick.sent.length], [0, 3]);
  const none: Answer = { status: -16, words: [] };
  assert.equal(
    (await replayEvents([prepare(-16)], { H_RESIZE_HPT_PREPARE: [busy, none] })).mismatches,
    0,
  );
  const refused = await replayEvents([prepare(9902), prepare(0)], {
    H_RESIZE_HPT_PREPARE: [none, none],
  });
  assert.deepEqual([refused.mismatches, refused.first[1]!.actual.status], [2, -16]);
});

test('host events are control records; their ret is the first result', async () => {
  const events = [
    { op: 'SET_R', ptex: 5 },
    { op: 'SET_C', ptex: 6, seen: '0x1' },
    { op: 'SET_RC', args: ['0x7', '0x180'], ret: 1, out: [] },
    { op: 'HOST_UNMAP', args: ['0x10000'], ret: 0, out: [] },
    { op: 'HOST_SET_PTE', args: ['0x10000', '0x3'], ret: 0, out: [] },
    { op: 'HOST_AGE', args: ['0x10000'], ret: 1, out: [] },
    { op: 'HOST_PAGE_FAULT', args: ['0x8', '0x1'], ret: 3, out: [] },
    { op: 'HPT_RESIZE', args: ['0x14'], ret: -28, out: [] },
    { op: 'HPT_RESET', order: 20 },
    { op: 'HPT_FREE' },
  ];
  const answers = {
    SET_RC: [ok(1n), ok(0n), ok(1n)],
    HOST_AGE: ok(1n),
    HOST_PAGE_FAULT: ok(3n),
    HPT_RESIZE: ok((1n << 64n) - 28n),
    HPT_RESET: ok(4n),
  };
  const { mismatches, sent } = await replayEvents(events, answers);
  assert.equal(mismatches, 0);
  assert.deepEqual(
    sent.map(({ op, words, tag }) => [op, words, tag]),
    [
      ['SET_RC', [5n, 0x100n, 1n], 2],
      ['SET_RC', [6n, 0x80n, 1n], 3],
      ['SET_RC', [7n, 0x180n, 0n], 4],
      ['HOST_UNMAP', [0x10000n], 5],
      ['HOST_SET_PTE', [0x10000n, 3n], 6],
      ['HOST_AGE', [0x10000n], 7],
      ['HOST_PAGE_FAULT', [8n, 1n], 8],
      ['HPT_RESIZE', [20n], 9],
      ['HPT_RESET', [20n], 10],
      ['HPT_FREE', [], 11],
    ],
  );
  assert.equal((await replayEvents(events.slice(5, 6), { HOST_AGE: ok(0n) })).mismatches, 1);
  assert.equal(
    (await replayEvents(events.slice(0, 1), { SET_RC: { status: -4, words: [] } })).mismatches,
    1,
  );
});

test('table streams are read by the reader that was opened', async () => {
  const data = '00000000010077044000a2bff90a4fd1';
  const events = [
    { op: 'HTAB_OPEN', args: ['0x0', '0x0'], ret: 0, out: [] },
    { op: 'HTAB_READ', args: ['0x40'], ret: 13, out: [data.slice(0, 26)] },
    { op: 'HTAB_READ', args: ['0x40'], ret: 0, out: [] },
    { op: 'HTAB_CLOSE', args: [], ret: 0, out: [] },
    { op: 'HTAB_OPEN', args: ['0x0', '0x1'], ret: 0, out: [] },
    { op: 'HTAB_READ', args: ['0x40'], ret: 16, out: [data] },
  ];
  const bytes = Buffer.from(data, 'hex');
  const read = (length: number): Answer => {
    const padded = Buffer.alloc(16);
    bytes.copy(padded, 0, 0, length);
    return ok(BigInt(length), padded.readBigUInt64LE(0), padded.readBigUInt64LE(8));
  };
  const answers = { HTAB_OPEN: [ok(3n), ok(4n)], HTAB_READ: [read(13), ok(0n), read(16)] };
  const { mismatches, sent } = await replayEvents(events, answers);
  assert.equal(mismatches, 0);
  assert.deepEqual(
    sent.map(({ words }) => words),
    [[0n, 0n], [3n, 0x40n], [3n, 0x40n], [3n], [0n, 1n], [4n, 0x40n]],
  );
  assert.equal((await replayEvents(events.slice(0, 2), { HTAB_READ: read(12) })).mismatches, 1);
});

test('TABLE_HASH goes piece by piece over large tables, and tells whether the table matches', async () => {
  const hash = { op: 'TABLE_HASH', args: [], ret: 0, out: ['0x77', '0x2'] };
  const small = await replayEvents([hash], { TABLE_HASH: ok(0x77n, 2n, 0x4000n) });
  assert.deepEqual([small.mismatches, small.tableMatches, small.sent.length], [0, true, 1]);
  assert.deepEqual(small.sent[0]!.words, [0n, 0x4000n, 0xcbf29ce484222325n, 0n]);
  const wrong = await replayEvents([hash], { TABLE_HASH: ok(0x77n, 3n, 0x4000n) });
  assert.deepEqual([wrong.mismatches, wrong.tableMatches], [1, false]);

  const pieces = [ok(1n, 1n, 0x10000n), ok(0x77n, 2n, 0x20000n)];
  const large = await replayEvents([{ op: 'HPT_RESET', order: 21 }, hash], {
    TABLE_HASH: [...pieces],
  });
  assert.deepEqual([large.mismatches, large.tableMatches], [0, true]);
  assert.deepEqual(
    large.sent.slice(1).map(({ words }) => words),
    [
      [0n, 0x10000n, 0xcbf29ce484222325n, 0n],
      [0x10000n, 0x10000n, 1n, 1n],
    ],
  );
  const differs = await replayEvents(
    [hash],
    { TABLE_HASH: [ok(1n, 1n, 0x10000n), ok(0x76n, 2n, 0x20000n)] },
    { htabOrder: 21 },
  );
  assert.deepEqual([differs.mismatches, differs.tableMatches], [1, false]);
});

test('what hptd does not know is skipped and counted, surplus and missing registers are made right', async () => {
  const path = folder.write(
    'odd.jsonl.gz',
    traceText(
      [
        { op: 'H_REGISTER_PROC_TBL', args: ['0x1'], ret: 0 },
        { op: 'H_CEDE', args: [], ret: 0, out: [] },
        { op: 'MADE_UP' },
        { op: 'H_READ', args: ['0x0', '0x1', '0x2', '0x3'], ret: -4, out: [] },
        { op: 'H_PROTECT', args: ['0x0'], ret: -4, out: [] },
      ],
      { events: 7 },
    ),
  );
  const plan = await loadPlan(path);
  assert.deepEqual([plan.events, plan.hcalls, plan.skipped], [5, 4, 3]);
  assert.deepEqual(
    [...plan.unknown],
    [
      ['H_CEDE', 1],
      ['MADE_UP', 1],
    ],
  );
  assert.equal(planWarnings(plan).length, 3);
  const { sent, mismatches } = await replayFile(path, () => ({ status: -4, words: [] }));
  assert.equal(mismatches, 0);
  assert.deepEqual(
    sent.map(({ words }) => words),
    [
      [0n, 1n],
      [0n, 0n, 0n],
    ],
  );
});

function modelDaemon(spoil: (request: FakeRequest, answer: Answer) => Answer) {
  let model: Model | undefined;
  const options: FakeOptions = {
    rest: (method, _path, body) => {
      if (method !== 'PUT') return undefined;
      const { memory: _memory, ...config } = guestConfig.parse(body);
      model = createModel(config);
      return { status: 201, body: {} };
    },
  };
  const answer = (request: FakeRequest, op: string): Answer => {
    const { status, out } = model!.call(op, request.words);
    return spoil(request, { status, words: [...out] });
  };
  return { options, answer };
}

const SAMPLES = [
  ...recorded('vectors').filter((path) => /kvm-(00|11|13|15|16|17|18)-/.test(path)),
  ...recorded('traces').filter((path) => /\/(01|14)-/.test(path)),
];

for (const path of SAMPLES) {
  test(`${basename(path)}: the reference model answers as recorded, and one wrong bit is found`, async () => {
    const { options, answer } = modelDaemon((_request, right) => right);
    const clean = await replayFile(path, answer, options);
    assert.deepEqual(clean.first, []);
    assert.deepEqual([clean.mismatches, clean.tableMatches, clean.tableNotes], [0, true, []]);

    const lines = clean.sent
      .filter(({ op }) => op === 'H_ENTER' || op === 'H_PAGE_INIT')
      .map(({ tag }) => tag);
    const line = lines[Math.floor(lines.length / 2)]!;
    const spoilt = modelDaemon(({ tag, opcode }, right) =>
      tag === line && opcode !== operationByName('H_READ')!.opcode
        ? { ...right, status: right.status ^ 1 }
        : right,
    );
    const found = await replayFile(path, spoilt.answer, spoilt.options);
    assert.deepEqual([found.mismatches, found.first[0]!.line], [1, line]);
  });
}

test('a table that differs at END is told, though every answer was right', {
  skip: SAMPLES.length === 0,
}, async () => {
  const path = SAMPLES.find((sample) => sample.includes('/01-'))!;
  const spoilt = modelDaemon(({ opcode }, right) =>
    opcode === operationByName('H_READ')!.opcode && right.words[1] === 0x1190n
      ? { ...right, words: [right.words[0]!, 0x1191n, ...right.words.slice(2)] }
      : right,
  );
  const { mismatches, tableMatches, tableNotes } = await replayFile(
    path,
    spoilt.answer,
    spoilt.options,
  );
  assert.deepEqual([mismatches, tableMatches, tableNotes.length], [0, false, 1]);
  assert.match(tableNotes[0]!, /^line 5002: the table's SHA-256 is/);
});
