/** The commands with which people watch a daemon, against one that works: top, stats, record. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { connectRest } from '../../src/client/rest.ts';
import { serve } from '../../src/main.ts';
import { node, start } from './child.ts';
import { ROOT } from './fresh-tree.ts';

const FRONT_DOOR = 'src/cli/hptd.ts';

async function openDaemon(context: TestContext) {
  const daemon = await serve({ listen: '127.0.0.1:0', processors: 2, logLevel: 'silent' });
  context.after(() => daemon.close());
  const rest = connectRest(daemon.url);
  await rest.createGuest('g', { order: 18, ramBytes: 2 ** 28 });
  const enter = (ptex: number, times: number) =>
    Promise.all(
      Array.from({ length: times }, () =>
        rest.call('g', 'H_ENTER', {
          flags: ['H_EXACT'],
          ptex: `0x${ptex.toString(16)}`,
          pteh: '0x4000000000001001',
          ptel: '0x190',
        }),
      ),
    );
  const cli = (...words: string[]) => node([FRONT_DOOR, ...words, '--url', daemon.url], ROOT);
  return { url: daemon.url, rest, enter, cli };
}

interface Rates {
  readonly hcallsPerSecond: number;
  readonly seconds: number;
  readonly guests: readonly {
    readonly guest: string;
    readonly hcalls: readonly Record<string, unknown>[];
    readonly occupancy: Record<string, number>;
  }[];
}

test('top shows what happened in its interval, and what is there', async (context) => {
  const { enter, cli } = await openDaemon(context);
  await enter(8, 3);
  const over = new AbortController();
  const busy = (async () => {
    while (!over.signal.aborted) {
      await enter(16, 1);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  const [json, text] = await Promise.all([
    cli('top', '--once', '--interval', '1', '--json'),
    cli('top', '--once', '--interval', '1'),
  ]);
  over.abort();
  await busy;
  assert.equal(json.code, 0, json.err);
  const rates = JSON.parse(json.out) as Rates;
  const [guest] = rates.guests;
  assert.equal(guest!.guest, 'g');
  const full = guest!.hcalls.find(({ status }) => status === 'H_PTEG_FULL')!;
  assert.equal(full['hcall'], 'H_ENTER');
  assert.ok(Number(full['perSecond']) > 0);
  assert.ok(Number(full['total']) > Number(full['perSecond']) * rates.seconds);
  // Both H_ENTERs that succeeded were before the interval, or the first of the second place within it.
  const entered = guest!.hcalls.find(({ status }) => status === 'H_SUCCESS')!;
  assert.equal(entered['total'], 2);
  assert.equal(guest!.occupancy['entries'], 2 ** 14);
  assert.ok(guest!.occupancy['occupied']! <= 2);
  assert.equal(text.code, 0, text.err);
  assert.match(text.out, /guest +order +occupied .*\ng +18 +0\.0 %/);
  assert.match(text.out, /g +H_ENTER +H_PTEG_FULL +[1-9]/);
});

test('top goes on until it is told to end, and ends with 0', async (context) => {
  const { url } = await openDaemon(context);
  const words = [FRONT_DOOR, 'top', '--interval', '1', '--json', '--url', url];
  const command = start(process.execPath, words, ROOT);
  await command.printed(/"guests"[^]*\n.*"guests"/);
  assert.equal(await command.end('SIGINT'), 0);
});

test('stats is a table of the table', async (context) => {
  const { enter, cli } = await openDaemon(context);
  await enter(8, 1);
  await enter(17, 1);
  const { code, out } = await cli('stats', 'g');
  assert.equal(code, 0);
  assert.match(out, /^g: order 18, 16,384 entries in 2,048 groups, 0\.0 % occupied\n/);
  assert.match(out, /\nvalid +2 +100\.0 %/);
  assert.match(out, /\n1 entries +2 +0\.1 %/);
  assert.match(out, /\nslot 1 +1 +50\.0 %/);
  assert.equal((await cli('stats', 'nobody')).code, 65);
});

test('record saves on Ctrl-C what a replay accepts', async (context) => {
  const { url, rest, enter, cli } = await openDaemon(context);
  const folder = mkdtempSync(join(tmpdir(), 'hptd-record-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'g.jsonl.gz');
  const command = start(process.execPath, [FRONT_DOOR, 'record', 'g', file, '--url', url], ROOT);
  await command.printed(/recording g as number 1/);
  await enter(8, 2);
  assert.equal(await command.end('SIGINT'), 0);
  assert.match(command.output(), /3 events, .* with a hash of the table at the end/);
  // The daemon need not keep what was saved.
  const left = (await rest.send('GET', '/v1/guests/g/recordings')) as { recordings: unknown[] };
  assert.deepEqual(left.recordings, []);
  const { code, out } = await cli('replay', file, '--json');
  assert.equal(code, 0);
  const { mismatches, tableMatches } = JSON.parse(out) as Record<string, unknown>;
  assert.deepEqual({ mismatches, tableMatches }, { mismatches: 0, tableMatches: true });
  const nowhere = await cli('record', 'g', join(folder, 'no', 'file'));
  assert.equal(nowhere.code, 65);
  assert.match(nowhere.err, /name a file that can be written/);
});
