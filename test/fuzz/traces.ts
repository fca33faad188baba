/** The decoder of trace files: a plan, or an error that says what to do. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CliError } from '../../src/cli/errors.ts';
import { loadPlan } from '../../src/cli/replay/files.ts';
import type { Random } from '../rings/random.ts';
import type { Decoder, Target } from './decoder.ts';

const LINES = [
  '{"format":"hpt-trace/1","name":"x","vcpus":1,"ordered":true,"htabOrder":18,"ramBytes":67108864,"quirks":{}}',
  '{"op":"H_ENTER","args":["0x0","0x8","0x123456000001","0x10192"],"ret":0,"out":["0x8"]}',
  '{"op":"H_READ","args":["0x0","0x8"],"ret":0,"out":["0x123456000001",null]}',
  '{"op":"SET_C","ptex":8}',
  '{"op":"HTAB_READ","args":["0x40"],"ret":8,"out":["0000000000000100"]}',
  '{"op":"END","order":18,"validEntries":1,"tableSha256":"00"}',
];
/** An input's first byte: the rest is the text of a trace, or a file as it is, gzip and all. */
const TEXT = 0;
const FILE = 1;

function draw(random: Random): Uint8Array {
  const text = Buffer.from(`${LINES.filter(() => random.below(8) > 0).join('\n')}\n`);
  for (let i = random.below(5); i > 0 && text.length > 0; i--)
    text[random.below(text.length)] = random.below(128);
  if (random.below(4) > 0) return Buffer.concat([Buffer.of(TEXT), text]);
  const zipped = gzipSync(text);
  for (let i = random.below(3); i > 0; i--) zipped[random.below(zipped.length)] = random.below(256);
  const cut = random.below(2) === 0 ? random.below(20) : 0;
  return Buffer.concat([Buffer.of(FILE), zipped.subarray(0, zipped.length - cut)]);
}

async function open(): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'hptd-fuzz-'));
  const file = join(folder, 'trace.jsonl.gz');
  return {
    async perform(input) {
      const rest = input.subarray(1);
      await writeFile(file, input[0] === FILE ? rest : gzipSync(rest));
      await loadPlan(file).catch((error: unknown) => {
        assert.ok(error instanceof CliError, String((error as Error).stack));
      });
    },
    close: () => rm(folder, { recursive: true }),
  };
}

export const TRACE_FILES: Decoder = {
  name: 'trace-files',
  sources: /\/(schemas|src\/cli\/replay)\//,
  draw,
  open,
};
