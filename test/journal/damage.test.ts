/**
 * Files of a journal that are truncated, lost, or have a bit flipped, anywhere: the restart says so and makes no table of them.
 * What a crash may leave behind, a last group that is not whole and that nobody was told of, is dropped.
 *
 * HPTD_SEED fixes where, HPTD_RUNS how often.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { FLAGS } from '../../schemas/flags.ts';
import { guestConfig } from '../../schemas/guests.ts';
import type { Mark } from '../../src/state/journal/files.ts';
import { encodeMark, markPath, segmentPath } from '../../src/state/journal/files.ts';
import {
  SEGMENT_HEADER_BYTES,
  decodeGroupHeader,
  encodeSegmentHeader,
} from '../../src/state/journal/format.ts';
import { JournalDamage } from '../../src/state/journal/read-journal.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { seededRandom } from '../rings/random.ts';
import type { Random } from '../rings/random.ts';
import { BIRTH, call, folder, openAsker, openJournaledGuest, restart } from './journaled-guest.ts';

const RUNS = Number(process.env.HPTD_RUNS ?? 20);
/** Of each segment: frames that are answered one by one, so that each is a group; each enters one entry. */
const FRAMES = 12;
const SEGMENTS = 3;
const ENTRIES = FRAMES * SEGMENTS;
const V = 0x1234_5600_0001n;
const config = guestConfig.parse({ order: 18, ramBytes: 2 ** 24 });
const module = await compileEngine();

/** A journal of SEGMENTS segments whose every group was acknowledged. Entry i is in slot 8 i. */
async function makeJournal(context: TestContext): Promise<string> {
  const directory = folder(context);
  const pool = await startPool(module, 1);
  const { guest, journal, end } = openJournaledGuest(pool, config, directory);
  const asker = openAsker(guest, 'guest');
  for (let entry = 0; entry < ENTRIES; entry++) {
    // Nothing is executed: everything is answered.
    if (entry > 0 && entry % FRAMES === 0) await journal.cut();
    await asker.ask([call('H_ENTER', [FLAGS.H_EXACT, BigInt(8 * entry), V, 0x10n])]);
  }
  await end();
  await stopPool(pool);
  return directory;
}

/** How many entries are there after a restart: the first so many, or it throws. */
function entriesAfterRestart(directory: string): number {
  const { memory, engine } = restart(module, config, directory);
  const table = new Uint32Array(memory.buffer, engine.map.TABLE_BASE, 1)[0]!;
  const words = new BigUint64Array(memory.buffer, table, 2 * 8 * (ENTRIES + 1));
  const valid = Array.from({ length: ENTRIES + 1 }, (_, entry) => words[16 * entry] !== 0n);
  const count = valid.indexOf(false);
  assert.ok(!valid.slice(count).includes(true), 'an entry is there without one before it');
  return count;
}

function copyOf(context: TestContext, directory: string): string {
  const copy = folder(context);
  cpSync(directory, copy, { recursive: true });
  return copy;
}

/** Where each group of a segment begins, and behind the last. */
function groupsOf(path: string): number[] {
  const bytes = readFileSync(path);
  const at = [SEGMENT_HEADER_BYTES];
  for (;;) {
    const header = decodeGroupHeader(bytes, at.at(-1)!);
    if (header === undefined) return at;
    at.push(at.at(-1)! + 32 + header.bytes);
  }
}

function flipBit(path: string, random: Random): string {
  const bytes = readFileSync(path);
  const at = random.below(bytes.byteLength);
  const bit = random.below(8);
  bytes[at]! ^= 1 << bit;
  writeFileSync(path, bytes);
  return `bit ${bit} of byte ${at} of ${path} flipped`;
}

function truncate(path: string, random: Random): string {
  const bytes = random.below(statSync(path).size);
  truncateSync(path, bytes);
  return `${path} truncated to ${bytes} bytes`;
}

function damageOne(directory: string, random: Random): { what: string; isMark: boolean } {
  const names = readdirSync(directory);
  const name = names[random.below(names.length)]!;
  const path = join(directory, name);
  const isMark = path === markPath(directory);
  switch (random.below(3)) {
    case 0:
      rmSync(path);
      return { what: `${path} removed`, isMark };
    case 1:
      return { what: truncate(path, random), isMark };
    default:
      return { what: flipBit(path, random), isMark };
  }
}

test('damage anywhere is found and named, and no table is made of it', async (context) => {
  const random = seededRandom(context);
  const directory = await makeJournal(context);
  assert.equal(entriesAfterRestart(copyOf(context, directory)), ENTRIES);
  let found = 0;
  for (let run = 0; run < RUNS; run++) {
    const copy = copyOf(context, directory);
    const { what, isMark } = damageOne(copy, random);
    // The mark only tells what is lost; without it everything that is there is used.
    if (isMark) assert.equal(entriesAfterRestart(copy), ENTRIES, what);
    else {
      assert.throws(
        () => entriesAfterRestart(copy),
        (error: Error) => {
          assert.ok(error instanceof JournalDamage, `${what}: ${error.stack}`);
          assert.match(error.message, /journal-\d{10} is damaged: \S/, what);
          return true;
        },
      );
      found++;
    }
  }
  context.diagnostic(`${found} of ${RUNS} damaged a segment`);
});

test('a last group that is not whole and was not acknowledged is dropped', async (context) => {
  const random = seededRandom(context);
  const directory = await makeJournal(context);
  const last = segmentPath(directory, SEGMENTS - 1);
  const starts = groupsOf(last);
  assert.equal(starts.length, FRAMES + 1);
  for (let run = 0; run < RUNS; run++) {
    const copy = copyOf(context, directory);
    const path = segmentPath(copy, SEGMENTS - 1);
    const group = random.below(FRAMES);
    const [from, to] = [starts[group]!, starts[group + 1]!];
    truncateSync(path, from + random.below(to - from));
    const before = (SEGMENTS - 1) * FRAMES + group;
    writeFileSync(markPath(copy), encodeMark(BIRTH, lastGroupBefore(before)));
    assert.equal(entriesAfterRestart(copy), before);
    // The journal goes on in another segment, so what was torn must not be in the way.
    const mark = lastGroupBefore(before);
    const next = { segment: SEGMENTS, firstGroup: mark.group + 1, guestBirth: BIRTH };
    writeFileSync(segmentPath(copy, SEGMENTS), encodeSegmentHeader({ ...next, continues: true }));
    assert.equal(entriesAfterRestart(copy), before);
  }
});

/** Each cut has a group of its own, which is empty. */
function lastGroupBefore(entry: number): Mark {
  return { segment: SEGMENTS - 1, group: entry - 1 + Math.floor(entry / FRAMES) };
}

test('zeroes where the last group should be are a torn group', async (context) => {
  const directory = await makeJournal(context);
  const path = segmentPath(directory, SEGMENTS - 1);
  const starts = groupsOf(path);
  const bytes = readFileSync(path).fill(0, starts[FRAMES - 1]);
  writeFileSync(path, bytes);
  assert.throws(() => entriesAfterRestart(copyOf(context, directory)), /was acknowledged/);
  writeFileSync(markPath(directory), encodeMark(BIRTH, lastGroupBefore(ENTRIES - 1)));
  assert.equal(entriesAfterRestart(directory), ENTRIES - 1);
});

test("another guest's journal of the same name is refused", async (context) => {
  const directory = await makeJournal(context);
  const path = segmentPath(directory, 1);
  cpSync(segmentPath(directory, 2), path);
  assert.throws(() => entriesAfterRestart(directory), /it is another journal, renamed/);
});
