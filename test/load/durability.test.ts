/** The durability profile: what it prints and refuses; no speed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../load/main.ts', import.meta.url));
const SHORT =
  '--batches 8 --connections 1,2 --groups 512 --order 18 --processors 1 --seconds 0.02 --rounds 2'.split(
    ' ',
  );

function durability(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'durability', ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

interface Row {
  readonly durability: string;
  readonly connections: number;
  readonly hcallsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
}

test('--json: every durability beside none at all, and both stores', async () => {
  const { code, out, err } = await durability('--json', ...SHORT);
  assert.equal(code, 0, err);
  const { profile, streams, stores } = JSON.parse(out);
  assert.equal(profile, 'durability');
  assert.deepEqual(
    streams.map(({ durability, connections }: Row) => `${durability} ${connections}`),
    [1, 2].flatMap((n) => ['off', 'none', 'snapshot', 'journal'].map((kind) => `${kind} ${n}`)),
  );
  for (const row of streams as Row[]) assert.ok(row.hcallsPerSecond > 0 && row.p99 >= row.p50);
  assert.deepEqual(
    stores.map(({ store }: { store: string }) => store),
    ['file', 'sqlite'],
  );
  for (const row of stores) assert.ok(row.groupsPerSecond > 0 && row.p50 > 0);
});

test('a table for people, and a batch that no frame holds is refused', async () => {
  const { code, out, err } = await durability(...SHORT, '--connections', '1');
  assert.equal(code, 0, err);
  assert.match(out, /^durability +streams +batch +hcalls\/s/);
  assert.match(out, /^journal +1 +8 /m);
  assert.equal((await durability('--batches', '5000')).code, 64);
});
