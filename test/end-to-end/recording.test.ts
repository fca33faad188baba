/** The loop is closed: what a daemon recorded of a guest replays without a mismatch, hash of the table included. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { guestConfigFor, loadPlan, replayPlan } from '../../src/cli/replay/files.ts';
import { runPlan } from '../../src/cli/replay/run.ts';
import type { ReplayResult } from '../../src/cli/replay/run.ts';
import { streamUrl } from '../../src/client/address.ts';
import { connectRest } from '../../src/client/rest.ts';
import type { Json } from '../../src/client/rest.ts';
import { connectStream } from '../../src/client/stream.ts';
import { serve } from '../../src/main.ts';
import { encodeRequests } from '../../schemas/records.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { ROOT } from './fresh-tree.ts';

const SAMPLE = join(ROOT, 'samples/boot-p8-64k.jsonl.gz');

async function openDaemon(context: TestContext, processors = 2) {
  const daemon = await serve({ listen: '127.0.0.1:0', processors, logLevel: 'silent' });
  context.after(() => daemon.close());
  const folder = mkdtempSync(join(tmpdir(), 'hptd-recording-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const rest = connectRest(daemon.url);
  return {
    url: daemon.url,
    rest,
    start: async (guest: string, body: Json = {}) =>
      (await rest.send('POST', `/v1/guests/${guest}/recordings`, body)) as Json & { id: string },
    /** Ends it, downloads it, and replays it in a guest of its own. */
    async endAndReplay(guest: string, id: string) {
      const path = `/v1/guests/${guest}/recordings/${id}`;
      const facts = (await rest.send('PATCH', path, { state: 'ended' })) as Json;
      const answer = await fetch(`${daemon.url}${path}`);
      assert.equal(answer.status, 200);
      const bytes = Buffer.from(await answer.arrayBuffer());
      const file = join(folder, `${guest}-${id}.jsonl.gz`);
      writeFileSync(file, bytes);
      const lines = gunzipSync(bytes)
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Json);
      const result = await replayPlan({ url: daemon.url }, await loadPlan(file));
      return { facts, lines, result };
    },
  };
}

function assertReplays(result: ReplayResult): void {
  assert.deepEqual(result.first, []);
  assert.equal(result.mismatches, 0);
  assert.equal(result.tableMatches, true);
  assert.deepEqual(result.tableNotes, []);
}

test("a recording of a boot's replay replays without a mismatch", async (context) => {
  const daemon = await openDaemon(context);
  const plan = await loadPlan(SAMPLE);
  await daemon.rest.createGuest('boot', guestConfigFor(plan.header));
  const { id, ordered } = await daemon.start('boot');
  assert.equal(ordered, true);
  const stream = await connectStream(streamUrl(daemon.url, 'boot'), { role: 'host' });
  context.after(() => stream.close());
  assertReplays(await runPlan(plan, stream));
  const { facts, lines, result } = await daemon.endAndReplay('boot', id);
  assertReplays(result);
  assert.equal(facts['tableHash'], true);
  assert.equal(facts['lost'], 0);
  // The header, the events, TABLE_HASH among them, and END.
  assert.equal(lines.length, Number(facts['events']) + 2);
  assert.ok(Number(facts['events']) >= 78_797, String(facts['events']));
});

test('a recording that starts in the middle begins with the table that is there', async (context) => {
  const daemon = await openDaemon(context);
  const plan = await loadPlan(SAMPLE);
  await daemon.rest.createGuest('late', guestConfigFor(plan.header));
  const stream = await connectStream(streamUrl(daemon.url, 'late'), { role: 'host' });
  context.after(() => stream.close());
  let done = (): number => 0;
  const replay = runPlan(plan, stream, {
    onStart: (tell) => {
      done = tell;
    },
  });
  while (done() < 0.2) await new Promise((resolve) => setImmediate(resolve));
  const { id } = await daemon.start('late');
  const startedAt = done();
  assert.ok(startedAt < 1, 'the replay was over before the recording began');
  assertReplays(await replay);
  const { facts, lines, result } = await daemon.endAndReplay('late', id);
  assertReplays(result);
  assert.equal(facts['tableHash'], true);
  assert.equal(lines[0]!['ordered'], true);
});

/** H_ENTER, H_PROTECT and H_REMOVE of few groups, by many streams at once: answers depend on the order. */
function quarrel(stream: number, round: number): RequestRecord[] {
  const ptex = BigInt(8 * ((7 * round + stream) % 5));
  const page = BigInt(stream * 64 + (round % 64));
  const v = (page << 12n) | 0x4000_0000_0000_0001n;
  const slot = ptex + BigInt(round % 8);
  return [
    { opcode: 0x08, tag: 1, words: [0n, ptex, v, 0x190n | (page << 12n)] },
    { opcode: 0x18, tag: 2, words: [0n, slot, 0n] },
    { opcode: 0x0c, tag: 3, words: [0n, slot] },
    { opcode: 0x04, tag: 4, words: [0n, slot, 0n] },
    { opcode: 0x08, tag: 5, words: [0n, ptex, v, 0x190n | (page << 12n)] },
  ];
}

test('not ordered: the guest runs on all its processors, and each stream is in its own order', async (context) => {
  const daemon = await openDaemon(context, 3);
  await daemon.rest.createGuest('loose', { order: 18, ramBytes: 2 ** 28 });
  const streams = await Promise.all(
    [0, 1, 2].map(() => connectStream(streamUrl(daemon.url, 'loose'))),
  );
  context.after(() => Promise.all(streams.map((stream) => stream.close())));
  const { id, ordered, notes } = await daemon.start('loose', { ordered: false });
  assert.equal(ordered, false);
  assert.match(String(notes), /may not stand in the order/);
  assert.doesNotMatch(String(notes), /in turns/);
  const ROUNDS = 500;
  await Promise.all(
    streams.map(async (stream, i) => {
      stream.onAnswers(() => {});
      for (let round = 0; round < ROUNDS; round++) {
        // The slot tells which call of which stream it was; nobody else touches it.
        const slot = BigInt(i * ROUNDS + round);
        const v = (slot << 12n) | 1n;
        const records = [{ opcode: 0x08, tag: 1, words: [1n << 39n, slot, v, 0x190n] }];
        await stream.sendFrame(encodeRequests(records), records.length);
      }
      await stream.drained();
    }),
  );
  const { facts, lines, result } = await daemon.endAndReplay('loose', id);
  assert.equal(lines[0]!['ordered'], false);
  assert.equal(facts['lost'], 0);
  const enters = lines.filter(({ op }) => op === 'H_ENTER');
  assert.equal(enters.length, streams.length * ROUNDS);
  const cpus = [...new Set(enters.map(({ cpu }) => cpu))];
  assert.equal(cpus.length, streams.length);
  for (const cpu of cpus) {
    const slots = enters
      .filter((line) => line['cpu'] === cpu)
      .map((line) => Number((line['args'] as string[])[1]));
    assert.deepEqual(
      slots,
      slots.map((_, i) => slots[0]! + i),
      `cpu ${String(cpu)}`,
    );
  }
  // They met in no entry, so the order between them is of no account.
  assertReplays(result);
});

test('streams on different processors stand in the order of what happened', async (context) => {
  const daemon = await openDaemon(context, 3);
  await daemon.rest.createGuest('many', { order: 18, ramBytes: 2 ** 28 });
  const streams = await Promise.all(
    [0, 1, 2, 3].map(() => connectStream(streamUrl(daemon.url, 'many'))),
  );
  context.after(() => Promise.all(streams.map((stream) => stream.close())));
  assert.ok(new Set(streams.map(({ hello }) => hello.processor)).size > 1);
  const run = async (rounds: number): Promise<void> => {
    await Promise.all(
      streams.map(async (stream, i) => {
        stream.onAnswers(() => {});
        for (let round = 0; round < rounds; round++) {
          const records = quarrel(i, round);
          await stream.sendFrame(encodeRequests(records), records.length);
        }
        await stream.drained();
      }),
    );
  };
  const before = run(2000);
  const { id, notes } = await daemon.start('many');
  assert.match(String(notes), /in turns/);
  await before;
  await run(2000);
  const { facts, lines, result } = await daemon.endAndReplay('many', id);
  assertReplays(result);
  assert.equal(facts['tableHash'], true);
  assert.ok(new Set(lines.map((line) => line['cpu'])).size >= 4);
  assert.ok(Number(facts['events']) > 40_000);
});
