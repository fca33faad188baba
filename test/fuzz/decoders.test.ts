/**
 * Hostile bytes for every decoder that a guest, or who hands it a file, can reach: binary frames, table streams, JSON
 * frames and REST bodies, trace files. Seeded generators start from the table of operations, so that most of what they
 * make is nearly right; then bytes are changed. A decoder may refuse; it may not crash, hang, or leave the table wrong.
 *
 * HPTD_SEED gives a run again; HPTD_FUZZ_MILLIS asks for a longer one. What once failed is kept in corpus/, one frame
 * of hexadecimal bytes a file, and is tried first.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseCall } from '../../schemas/calls.ts';
import { FRAME_BYTES_MAX } from '../../schemas/limits.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import { ProblemError } from '../../schemas/problems.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { CliError } from '../../src/cli/errors.ts';
import { loadPlan } from '../../src/cli/replay/files.ts';
import { openTestGuest } from '../engine/harness.ts';
import type { TestGuest } from '../engine/harness.ts';
import { checkTable } from '../engine/invariants.ts';
import { seededRandom } from '../rings/random.ts';
import type { Random } from '../rings/random.ts';

const MILLIS = Number(process.env.HPTD_FUZZ_MILLIS ?? 4000);
const CORPUS = new URL('corpus/', import.meta.url);
const MIB = 2 ** 20;
/** Words that mean something somewhere: small numbers, edges, an entry's dwords, a request for removal. */
const WORDS = [
  0n,
  1n,
  7n,
  8n,
  18n,
  19n,
  24n,
  64n,
  200n,
  16383n,
  16384n,
  1n << 32n,
  (1n << 64n) - 1n,
  0x1234_5600_0001n,
  0x1234_5600_0015n,
  0x10192n,
  0x1f192n,
  0x4000_0000_0000_0008n,
  0xc000_0000_0000_0000n,
  0x80_0000_0000n,
  1n << 62n,
];

function randomWord(random: Random): bigint {
  if (random.below(4) > 0) return WORDS[random.below(WORDS.length)]!;
  return (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
}

/** Some records of the table, most with the right number of words, then some bytes changed. */
function randomFrame(random: Random): Uint8Array {
  const records = Array.from({ length: 1 + random.below(20) }, (_, tag) => {
    const {
      opcode,
      arguments: args,
      wordsMin,
      dataWordsMax,
    } = OPERATIONS[random.below(OPERATIONS.length)]!;
    const most = args.length + (dataWordsMax === 0 ? 0 : random.below(20));
    const count = wordsMin + random.below(most - wordsMin + 1) + (random.below(60) === 0 ? 1 : 0);
    const words = Array.from({ length: count }, () => randomWord(random));
    return { opcode, tag, words, explain: random.below(5) === 0 };
  });
  const frame = encodeRequests(records);
  for (let i = random.below(4) === 0 ? random.below(6) : 0; i > 0; i--) {
    frame[random.below(frame.byteLength)] = random.below(256);
  }
  const cut = random.below(30) === 0 ? random.below(frame.byteLength) : frame.byteLength;
  return frame.subarray(0, cut);
}

/** Performs a frame; what it leaves must be a table in order. */
function performFrame(guest: TestGuest, frame: Uint8Array): void {
  const answers = guest.frame(frame);
  if (Array.isArray(answers)) assert.ok(answers.length > 0 || frame.byteLength === 0);
  else assert.ok(answers.offset <= frame.byteLength);
}

async function untilTime(context: TestContext, step: () => void | Promise<void>): Promise<void> {
  const end = performance.now() + MILLIS;
  let steps = 0;
  while (performance.now() < end) {
    await step();
    steps++;
  }
  context.diagnostic(`${steps} inputs`);
  assert.ok(steps > 10, 'so few inputs show nothing');
}

const newGuest = (): TestGuest =>
  openTestGuest({ order: 18, ramBytes: 16 * MIB, memory: 'backed' });

test('frames that once failed', async () => {
  const guest = newGuest();
  for (const name of await readdir(CORPUS)) {
    if (!name.endsWith('.hex')) continue;
    performFrame(guest, Buffer.from((await readFile(new URL(name, CORPUS), 'utf8')).trim(), 'hex'));
    checkTable(guest);
  }
});

test('binary frames: answered or refused, and the table stays in order', async (context) => {
  const random = seededRandom(context);
  let guest = newGuest();
  let frames = 0;
  await untilTime(context, () => {
    // A random HPT_RESET of order 30 touches a gigabyte: a fresh guest now and then keeps the memory small.
    if (++frames % 500 === 0) guest = newGuest();
    const frame = randomFrame(random);
    assert.ok(frame.byteLength <= FRAME_BYTES_MAX);
    try {
      performFrame(guest, frame);
      if (frames % 50 === 0) checkTable(guest);
    } catch (error) {
      context.diagnostic(`frame ${Buffer.from(frame).toString('hex')}`);
      throw error;
    }
  });
  checkTable(guest);
});

test('JSON calls: a call or a problem', async (context) => {
  const random = seededRandom(context);
  const odd = [
    null,
    true,
    -1,
    1.5,
    2 ** 60,
    '',
    '0x',
    '0x1',
    '0xfffffffffffffffff',
    [],
    {},
    ['H_EXACT'],
    ['X'],
    '__proto__',
  ];
  await untilTime(context, () => {
    const { name, arguments: args } = OPERATIONS[random.below(OPERATIONS.length)]!;
    const body: Record<string, unknown> = random.below(3) === 0 ? { hcall: name } : {};
    for (const argument of [
      ...args.map((one) => one.name),
      'tag',
      'explain',
      'data',
      'nonsense',
      '__proto__',
    ]) {
      if (random.below(5) === 0) continue;
      if (argument === 'nonsense' && random.below(4) > 0) continue;
      body[argument] = random.below(3) === 0 ? odd[random.below(odd.length)] : '0x1';
    }
    try {
      const { record } = parseCall(JSON.parse(JSON.stringify(body)), name, { control: true });
      assert.ok(record.words.every((word) => word >= 0n && word < 1n << 64n));
    } catch (error) {
      assert.ok(error instanceof ProblemError, `${JSON.stringify(body)}: ${String(error)}`);
    }
  });
});

test('trace files: a plan or an error that says what to do', async (context) => {
  const random = seededRandom(context);
  const directory = await mkdtemp(join(tmpdir(), 'hptd-fuzz-'));
  const file = join(directory, 'trace.jsonl.gz');
  const lines = [
    '{"format":"hpt-trace/1","name":"x","vcpus":1,"ordered":true,"htabOrder":18,"ramBytes":67108864,"quirks":{}}',
    '{"op":"H_ENTER","args":["0x0","0x8","0x123456000001","0x10192"],"ret":0,"out":["0x8"]}',
    '{"op":"H_READ","args":["0x0","0x8"],"ret":0,"out":["0x123456000001",null]}',
    '{"op":"SET_C","ptex":8}',
    '{"op":"HTAB_READ","args":["0x40"],"ret":8,"out":["0000000000000100"]}',
    '{"op":"END","order":18,"validEntries":1,"tableSha256":"00"}',
  ];
  try {
    await untilTime(context, async () => {
      const text = Buffer.from(`${lines.filter(() => random.below(8) > 0).join('\n')}\n`);
      for (let i = random.below(5); i > 0; i--) text[random.below(text.length)] = random.below(128);
      const zipped = gzipSync(text);
      for (let i = random.below(6) === 0 ? 2 : 0; i > 0; i--)
        zipped[random.below(zipped.length)] = random.below(256);
      await writeFile(
        file,
        zipped.subarray(0, zipped.length - (random.below(8) === 0 ? random.below(20) : 0)),
      );
      await loadPlan(file).catch((error: unknown) => {
        assert.ok(error instanceof CliError, String((error as Error).stack));
      });
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
