/** Reading traces: every kind of damage is bad data with the line number and what to do. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CliError } from '../../src/cli/errors.ts';
import { readTrace } from '../../src/cli/replay/lines.ts';
import { HEADER, traceFolder, traceText } from './traces.ts';

const folder = traceFolder();
after(() => folder.remove());

async function read(content: string | Buffer): Promise<{ lines: number[]; name: string }> {
  const lines: number[] = [];
  let name = '';
  await readTrace(folder.write('trace.jsonl.gz', content), {
    header: (header) => {
      name = header.name;
    },
    event: (_event, line) => lines.push(line),
  });
  return { lines, name };
}

async function refusal(content: string | Buffer): Promise<string> {
  const error: unknown = await read(content).then(
    () => assert.fail('was read'),
    (reason) => reason,
  );
  assert.ok(error instanceof CliError, String(error));
  assert.equal(error.exitCode, 65);
  assert.notEqual(error.advice, '');
  return error.message.replace(/^\S*trace\.jsonl\.gz/, 'FILE');
}

const READ = {
  op: 'H_READ',
  args: ['0x0', '0x8'],
  ret: 0,
  out: ['0x0', null],
  'a key of later': true,
};

test('a trace is read with its line numbers, unknown keys and defaults', async () => {
  assert.deepEqual(await read(traceText([READ, READ])), { lines: [2, 3], name: HEADER['name'] });
});

test('a last line without its end of line counts, if it is whole', async () => {
  assert.deepEqual((await read(traceText([READ]).trimEnd())).lines, [2]);
});

test('lines longer than a chunk, and characters cut by chunks, are read', async () => {
  const tags = ['ä'.repeat(1_500_000)];
  assert.deepEqual((await read(traceText([READ, { ...READ, tags }, READ]))).lines, [2, 3, 4]);
});

test('a file that is no gzip data', async () => {
  assert.equal(await refusal(Buffer.from(traceText([READ]))), 'FILE: the file is not gzip data');
});

test('gzip data that ends too early', async () => {
  const whole = gzipSync(traceText(Array.from({ length: 5000 }, () => READ)));
  assert.match(
    await refusal(whole.subarray(0, whole.length - 20)),
    /^FILE: line [34]\d{3}: the gzip data ends too early$/,
  );
  assert.equal(
    await refusal(whole.subarray(0, whole.length - 4)),
    'FILE: line 5002: the gzip data ends too early',
  );
});

test('gzip data that is damaged', async () => {
  const whole = gzipSync(traceText(Array.from({ length: 5000 }, () => READ)));
  whole.writeUInt32LE(whole.readUInt32LE(whole.length - 8) ^ 1, whole.length - 8);
  assert.match(await refusal(whole), /^FILE: .*the gzip data is damaged \(incorrect data check\)$/);
});

test('an empty file, and a missing one', async () => {
  assert.equal(await refusal(''), 'FILE: the file is empty');
  await assert.rejects(
    readTrace('/nonexistent/trace.gz', { header: () => {}, event: () => {} }),
    (error: CliError) => error.exitCode === 65 && /cannot be read/.test(error.message),
  );
});

test('another format', async () => {
  assert.equal(
    await refusal(traceText([], { format: 'hpt-trace/2' })),
    'FILE: line 1: the header names format "hpt-trace/2", not "hpt-trace/1"',
  );
  assert.equal(
    await refusal('{"hello":1}\n'),
    'FILE: line 1: the header names no format, not "hpt-trace/1"',
  );
  assert.equal(
    await refusal('[]\n'),
    'FILE: line 1: the header names no format, not "hpt-trace/1"',
  );
  assert.match(
    await refusal(traceText([], { htabOrder: 'big' })),
    /^FILE: line 1: header: htabOrder: /,
  );
});

test('a half-written last line', async () => {
  const text = traceText([READ, READ]);
  assert.equal(
    await refusal(text.slice(0, -20)),
    'FILE: line 3: the last line is only half written',
  );
});

test('lines that are no events', async () => {
  assert.equal(
    await refusal(`${traceText([READ])}what?\n${traceText([READ])}`),
    'FILE: line 3: not JSON: what?',
  );
  assert.equal(await refusal(traceText([{ args: [] }])), 'FILE: line 2: an event needs an "op"');
  assert.equal(await refusal(`${traceText([])}null\n`), 'FILE: line 2: an event needs an "op"');
  assert.match(
    await refusal(traceText([{ ...READ, args: ['8'] }])),
    /^FILE: line 2: H_READ: args\.0: a word is "0x" and 1 to 16/,
  );
  assert.match(
    await refusal(traceText([{ ...READ, ret: undefined }])),
    /^FILE: line 2: H_READ: ret: /,
  );
  assert.match(await refusal(traceText([READ, { op: 'SET_C' }])), /^FILE: line 3: SET_C: ptex: /);
  assert.match(
    await refusal(traceText([{ op: 'HTAB_READ', args: ['0x40'], ret: 1, out: ['0'] }])),
    /^FILE: line 2: HTAB_READ: out\.0: /,
  );
  assert.match(
    await refusal(traceText([{ op: 'HPT_RESET', order: 99 }])),
    /^FILE: line 2: HPT_RESET: order: /,
  );
});
