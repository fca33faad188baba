/** A processor died, and with it the order of what it did: nothing more is answered until an image is on disk. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { decodeMark, markPath } from '../../src/state/journal/files.ts';
import { startPool, stopPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import {
  BIRTH,
  enter,
  folder,
  openAsker,
  openJournaledGuest,
  restart,
  smallGuest,
} from './journaled-guest.ts';

const module = await compileEngine();
const markedSegment = (directory: string) =>
  decodeMark(readFileSync(markPath(directory)), BIRTH)?.segment;

test('answers wait for the image with which the journal begins anew', async (context) => {
  const directory = folder(context);
  const copyOf = (): string => {
    const copy = folder(context);
    cpSync(directory, copy, { recursive: true });
    return copy;
  };
  const pool = await startPool(module, 2);
  const { guest, journal, memory, map, end } = openJournaledGuest(pool, smallGuest, directory);
  context.after(async () => {
    await end();
    await stopPool(pool);
  });
  const stamps = (): number => new Uint32Array(memory.buffer, map.STAMPS, 1)[0]!;
  const first = openAsker(guest, 'guest');
  const second = openAsker(guest, 'guest');
  await first.ask([enter(0)]);
  assert.equal(journal.wantsImage(), undefined);

  journal.loseOrder();
  assert.equal(journal.wantsImage(), 'answers wait');
  const asked = [first.ask([enter(1)]), second.ask([enter(2)])];
  while (stamps() < 3) await sleep(1);
  const segment = await journal.cut();
  // Of the new segment, which is no use without its image.
  asked.push(second.ask([enter(3)]));
  while (stamps() < 4) await sleep(1);
  await sleep(50);
  assert.deepEqual([first.answers.length, second.answers.length], [1, 0]);
  assert.equal(restart(module, smallGuest, copyOf()).records, 1, 'only what was answered');

  await journal.hasImage(segment, 0);
  await Promise.all(asked);
  assert.deepEqual([first.answers.length, second.answers.length], [2, 2]);
  assert.equal(journal.wantsImage(), undefined);
  // The mark follows the answers, and nothing waits for it.
  while (markedSegment(directory) !== segment) await sleep(1);
  // Now the image is needed: without it the journal has lost what was answered.
  assert.throws(
    () => restart(module, smallGuest, copyOf()),
    /the snapshot that it begins with is not there/,
  );
});
