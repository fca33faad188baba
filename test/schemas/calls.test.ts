/**
 * Calls in JSON: every operation of the table both ways, and every kind of bad input with what is
 * said about it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import {
  callSchema,
  parseBatch,
  parseCall,
  renderAnswer,
  type CallOptions,
} from '../../schemas/calls.ts';
import { FLAGS, flagsWord, type FlagName } from '../../schemas/flags.ts';
import { BATCH_HCALLS_MAX } from '../../schemas/limits.ts';
import { OPERATIONS, type Operation } from '../../schemas/operations.ts';
import { renderProblem } from '../../schemas/problem-document.ts';
import { ProblemError, type ProblemCode, type ProblemPart } from '../../schemas/problems.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { hex } from '../../schemas/words.ts';
// Its HPTD_SEED is printed, and taken from the environment.
import { seedOf } from './seed.ts';

const HOST: CallOptions = { control: true };

/** A call with every argument, each with a value of its own, and the words it must become. */
function fullCall(operation: Operation): { body: Record<string, unknown>; words: bigint[] } {
  const body: Record<string, unknown> = {};
  const words = operation.arguments.map((argument, i) => {
    if (argument.kind === 'flags') {
      body.flags = operation.flags;
      return flagsWord(operation.flags);
    }
    const word = 0xfedc_ba98_0000_0000n + BigInt(i);
    body[argument.name] = hex(word);
    return word;
  });
  if (operation.dataWordsMax > 0) {
    body.data = ['0x7', 8];
    words.push(7n, 8n);
  }
  return { body, words };
}

for (const operation of OPERATIONS) {
  test(`${operation.name}: a call becomes its record, an answer its names`, () => {
    const { body, words } = fullCall(operation);
    const call = parseCall(
      { ...body, hcall: operation.name, tag: 7, explain: true },
      undefined,
      HOST,
    );
    assert.equal(call.operation, operation);
    assert.equal(call.tag, 7);
    assert.deepEqual(call.record, { opcode: operation.opcode, tag: 7, words, explain: true });
    assert.ok(encodeRequests([call.record]).length === 8 + 8 * words.length);

    const results = operation.results.map((_, i) => BigInt(i) + 0x100n);
    const answer = renderAnswer(operation, { tag: 7, status: 0, words: results }, false);
    assert.deepEqual(answer, {
      hcall: operation.name,
      status: 'H_SUCCESS',
      code: 0,
      ...Object.fromEntries(operation.results.map((name, i) => [name, hex(BigInt(i) + 0x100n)])),
    });
  });

  test(`${operation.name}: the fewest words are enough, one less is not`, () => {
    const { body } = fullCall(operation);
    delete body.data;
    const wanted = operation.arguments.slice(0, operation.wordsMin);
    const least = Object.fromEntries(wanted.map(({ name }) => [name, body[name]]));
    assert.equal(parseCall(least, operation.name, HOST).record.words.length, operation.wordsMin);
    const last = wanted.at(-1);
    if (last === undefined || last.kind === 'flags') return;
    delete least[last.name];
    refused(least, operation.name, HOST, 'argument-invalid', [
      [last.name, /^is missing; wanted: /],
    ]);
  });

  test(`${operation.name}: no name of it collides with what every call and answer has`, () => {
    const taken = new Set(['hcall', 'tag', 'explain', 'data']);
    assert.deepEqual(
      operation.arguments.filter(({ name }) => taken.has(name)),
      [],
    );
    const said = new Set(['hcall', 'tag', 'status', 'code', 'data', 'explanation']);
    assert.deepEqual(
      operation.results.filter((name) => said.has(name)),
      [],
    );
    const document = z.toJSONSchema(callSchema(operation.name)!, { io: 'input' });
    const wanted = operation.arguments.slice(0, operation.wordsMin);
    const names = wanted.filter(({ kind }) => kind !== 'flags').map(({ name }) => name);
    assert.deepEqual(document.required ?? [], names);
  });
}

function problemOf(run: () => unknown): ProblemError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ProblemError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was refused' });
}

type Expected = readonly (readonly [path: string, message: RegExp])[];

function refused(
  body: unknown,
  name: string | undefined,
  options: CallOptions,
  code: ProblemCode,
  expected: Expected = [],
): ProblemError {
  const error = problemOf(() => parseCall(body, name, options));
  assert.equal(error.code, code, error.detail);
  const parts: readonly ProblemPart[] = error.errors ?? [];
  assert.deepEqual(parts.map(({ path }) => path).sort(), expected.map(([path]) => path).sort());
  for (const [path, message] of expected) {
    assert.match(parts.find((part) => part.path === path)!.message, message);
  }
  return error;
}

const ENTER = { flags: [], ptex: '0x8', pteh: '0x1', ptel: '0x2' };

test('words: strings of 1 to 16 hexadecimal digits and exact numbers are taken', () => {
  const taken: [unknown, bigint][] = [
    ['0x0', 0n],
    ['0xFfFf', 0xffffn],
    ['0xffffffffffffffff', 2n ** 64n - 1n],
    ['0x0000000000000001', 1n],
    [0, 0n],
    [Number.MAX_SAFE_INTEGER, 2n ** 53n - 1n],
  ];
  for (const [value, word] of taken)
    assert.equal(parseCall({ ...ENTER, ptex: value }, 'H_ENTER').record.words[1], word);
});

test('words: each malformed one is told from the others', () => {
  const malformed: [unknown, RegExp][] = [
    ['0x10000000000000000', /17 hexadecimal digits; a word has 64 bits/],
    [-1, /is -1; words are unsigned/],
    ['-0x1', /is "-0x1"; words are unsigned/],
    [1.5, /whole numbers/],
    [2 ** 53, /above 9007199254740991 are not exact/],
    ['4096', /a decimal string; write "0x1000"/],
    ['0x', /is "0x"; a word is "0x" and 1 to 16/],
    ['0X1', /is "0X1"; a word is/],
    ['', /is ""; a word is/],
    [' 0x1', /a word is/],
    [true, /is true; a word is/],
    [null, /is null; a word is/],
    [['0x1'], /is \["0x1"\]; a word is/],
    [{ toString: 1 }, /a word is/],
    [7n, /is 7n; a word is/],
    ['0x'.padEnd(5000, 'f'), /…, 4998 hexadecimal digits/],
  ];
  for (const [value, message] of malformed) {
    const error = refused({ ...ENTER, ptex: value }, 'H_ENTER', {}, 'argument-invalid', [
      ['ptex', message],
    ]);
    assert.match(error.detail, /^H_ENTER: ptex is /);
    assert.match(error.detail, /wanted: index of the entry/);
  }
});

test('flags: names and words are taken, none means 0', () => {
  const flags = (value: unknown) =>
    parseCall({ ...ENTER, flags: value }, 'H_ENTER').record.words[0];
  assert.equal(flags(undefined), 0n);
  assert.equal(flags([]), 0n);
  assert.equal(flags(['H_EXACT', 'H_EXACT']), FLAGS.H_EXACT);
  assert.equal(flags('0xf000000000000001'), 0xf000_0000_0000_0001n);
  assert.equal(flags(3), 3n);
});

test('flags: one that the hcall does not take is named, with those it takes', () => {
  refused({ ...ENTER, flags: ['H_EXACT', 'H_AVPN'] }, 'H_ENTER', {}, 'flag-unknown', [
    ['flags[1]', /is "H_AVPN", but H_ENTER takes H_EXACT, H_ZERO_PAGE/],
  ]);
  refused({ ...ENTER, flags: ['h_exakt'] }, 'H_ENTER', {}, 'flag-unknown', [
    ['flags[0]', /did you mean H_EXACT\?$/],
  ]);
  refused({ flags: ['H_AVPN'], ptex: 0 }, 'H_CLEAR_REF', {}, 'flag-unknown', [
    ['flags[0]', /takes no flags/],
  ]);
  refused({ ...ENTER, flags: [5, '__proto__'] }, 'H_ENTER', {}, 'flag-unknown', [
    ['flags[0]', /is 5, but/],
    ['flags[1]', /is "__proto__", but/],
  ]);
  refused({ ...ENTER, flags: 'H_EXACT' }, 'H_ENTER', {}, 'argument-invalid', [
    ['flags', /an array of names, or a word$/],
  ]);
  refused({ ...ENTER, flags: -1 }, 'H_ENTER', {}, 'argument-invalid', [['flags', /unsigned/]]);
  const many: FlagName[] = Array.from({ length: 65 }, () => 'H_EXACT');
  refused({ ...ENTER, flags: many }, 'H_ENTER', {}, 'argument-invalid', [
    ['flags', /has 65 names/],
  ]);
});

test('members: an unknown one is told first, and with what was meant', () => {
  const error = refused(
    { flags: [], ptx: '0x8', pteh: -1, ptel: '0x2' },
    'H_ENTER',
    {},
    'field-unknown',
    [
      [
        'ptx',
        /no member of this call, which takes flags, ptex, pteh, ptel, explain; did you mean ptex\?$/,
      ],
      ['ptex', /^is missing/],
      ['pteh', /unsigned/],
    ],
  );
  assert.match(error.detail, /^H_ENTER: ptx .* \(and 2 more, see errors\)$/);
  refused({ ...ENTER, data: [] }, 'H_ENTER', {}, 'field-unknown', [['data', /no member/]]);
});

test('members: names of an object prototype are unknown like any other', () => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    const body: unknown = JSON.parse(`{"${name}": {"polluted": true}}`);
    refused(body, 'H_CLEAR_HPT', {}, 'field-unknown', [[name, /no member/]]);
  }
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test('what a client sent comes back shortened', () => {
  const long = 'y'.repeat(400_000);
  const error = problemOf(() =>
    parseCall({ [long]: 1, flags: [long], ptex: long, hcall: 'H_ENTER' }),
  );
  assert.ok(JSON.stringify(renderProblem(error)).length < 4000);
  assert.ok(problemOf(() => parseBatch({ calls: [1], [long]: 1 })).detail.length < 400);
});

test('hcall, tag and explain: each refused when malformed', () => {
  refused({ ...ENTER, hcall: 'H_READ' }, 'H_ENTER', {}, 'argument-invalid', [
    ['hcall', /is "H_READ", but the address says/],
  ]);
  refused({ ...ENTER, tag: 2 ** 32 }, 'H_ENTER', {}, 'argument-invalid', [
    ['tag', /0 to 4294967295/],
  ]);
  refused({ ...ENTER, explain: 'yes' }, 'H_ENTER', {}, 'argument-invalid', [
    ['explain', /true or false/],
  ]);
  refused({}, undefined, {}, 'argument-invalid', [['hcall', /is missing/]]);
  refused({ hcall: 8 }, undefined, {}, 'argument-invalid', [['hcall', /not a string/]]);
  for (const body of [null, undefined, [], 'x', 4]) refused(body, 'H_ENTER', {}, 'body-invalid');
});

test('an unknown hcall: what was meant, or all there are', () => {
  const detail = (name: string, options = {}) => refused({}, name, options, 'hcall-unknown').detail;
  assert.match(detail('H_ENTR'), /no hcall "H_ENTR"; did you mean H_ENTER\?/);
  assert.match(detail('h_read'), /did you mean H_READ\?/);
  assert.match(detail('completely_else'), /there are H_REMOVE, H_ENTER/);
  assert.match(detail('constructor'), /no hcall "constructor"/);
  assert.match(detail('HPT_REST', HOST), /did you mean HPT_RESET\?/);
  assert.match(detail('WALK'), /"WALK" is a control operation/);
  assert.ok(detail('x'.repeat(100_000)).length < 500);
});

test('optional trailing words: left out at the end, never in the middle', () => {
  const words = (body: object) => parseCall(body, 'H_BULK_REMOVE').record.words;
  assert.deepEqual(words({ tsh0: 3 }), [3n]);
  assert.deepEqual(words({ tsh0: 1, tsl0: 2, tsh1: 3 }), [1n, 2n, 3n]);
  refused({ tsh0: 1, tsh1: 3 }, 'H_BULK_REMOVE', {}, 'argument-invalid', [
    ['tsl0', /is missing, though tsh1/],
  ]);
  refused({ ava: 1 }, 'H_BLOCK_REMOVE', {}, 'argument-invalid', [['ts0', /is missing/]]);
});

test('data words: an array of words, no longer than a record', () => {
  const data = (value: unknown, message: RegExp, path = 'data') =>
    refused({ gpa: 0, data: value }, 'MEMORY_WRITE', HOST, 'argument-invalid', [[path, message]]);
  data('0x1', /is "0x1"; it is an array of words/);
  data(['0x1', '0x2', -3], /unsigned/, 'data[2]');
  data(
    Array.from({ length: 4001 }, () => 0),
    /has 4001 words; at most 4000/,
  );
  data(
    Array.from({ length: 100_000 }, () => 'bad'),
    /has 100000 words/,
  );
});

test('a batch: one bad call refuses all of it, with its index', () => {
  const good = { hcall: 'H_CLEAR_HPT' };
  assert.equal(parseBatch({ calls: [good, { ...ENTER, hcall: 'H_ENTER', tag: 3 }] }).length, 2);
  const batch = (calls: unknown) => problemOf(() => parseBatch({ calls }));

  const flag = batch([good, good, { ...ENTER, hcall: 'H_ENTER', flags: ['H_AVPN'] }]);
  assert.equal(flag.code, 'flag-unknown');
  assert.equal(flag.errors![0]!.path, 'calls[2].flags[0]');
  assert.match(flag.detail, /^calls\[2\]: H_ENTER: /);
  for (const [call, path] of [
    [{ hcall: 'H_ENTR' }, 'calls[1].hcall'],
    [{ hcall: 'WALK' }, 'calls[1].hcall'],
    [4, 'calls[1]'],
  ]) {
    const error = batch([good, call]);
    assert.deepEqual(
      [error.code, error.status, error.errors![0]!.path],
      ['argument-invalid', 422, path],
    );
  }
});

test('a batch: its own shape and length', () => {
  const code = (body: unknown) => problemOf(() => parseBatch(body)).code;
  assert.equal(code(undefined), 'body-invalid');
  assert.equal(code([]), 'body-invalid');
  assert.equal(code({}), 'argument-invalid');
  assert.equal(code({ calls: [] }), 'argument-invalid');
  assert.equal(code({ calls: {} }), 'argument-invalid');
  assert.equal(code({ calls: [{ hcall: 'H_CLEAR_HPT' }], explain: true }), 'field-unknown');
  const calls = Array.from({ length: BATCH_HCALLS_MAX + 1 }, () => ({ hcall: 'H_CLEAR_HPT' }));
  assert.equal(code({ calls }), 'batch-too-large');
  assert.equal(parseBatch({ calls: calls.slice(1) }).length, BATCH_HCALLS_MAX);
});

test('whatever JSON comes, it is a call or a problem', (context) => {
  const names = OPERATIONS.map((row) => row.name);
  const member = fc.oneof(
    fc.constantFrom('flags', 'ptex', 'tag', 'hcall', 'explain', 'data', 'avpn', '__proto__'),
    fc.string(),
  );
  const body = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(member, fc.oneof(fc.jsonValue(), fc.constant('0x1'), fc.nat())),
  );
  fc.assert(
    fc.property(body, fc.option(fc.constantFrom(...names), { nil: undefined }), (value, name) => {
      try {
        const { record } = parseCall(value, name, HOST);
        assert.ok(record.words.every((word) => word >= 0n && word < 2n ** 64n));
      } catch (error) {
        assert.ok(error instanceof ProblemError, String(error));
      }
    }),
    { numRuns: 2000, ...seedOf(context) },
  );
});
