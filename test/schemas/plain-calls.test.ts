/** Plain calls and their answers: read and written without a schema, as the schema has them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callSchema, parseCall, renderAnswer, type CallOptions } from '../../schemas/calls.ts';
import { FLAGS } from '../../schemas/flags.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import { plainAnswer } from '../../schemas/plain-calls.ts';
import { renderProblem } from '../../schemas/problem-document.ts';
import { ProblemError } from '../../schemas/problems.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
// Its HPTD_SEED is printed, and taken from the environment.
import { seedOf } from './seed.ts';

const HOST: CallOptions = { control: true };

test('a call that is seen to be right at a glance is what the schema makes of it', (context) => {
  const value = fc.oneof(
    { weight: 30, arbitrary: fc.bigInt(0n, 2n ** 64n - 1n).map(hex) },
    fc.constantFrom('0X1', '0x', '0x1 ', '0x1\n', '0xAbC', `0x${'1'.repeat(17)}`, '', null, true),
    fc.constantFrom<unknown>(5, -1, 1.5, 2 ** 53, [], ['0x1'], {}),
  );
  const names = fc.array(fc.constantFrom<unknown>(...Object.keys(FLAGS), 'H_NO', 5), {
    maxLength: 3,
  });
  const bodies = fc.constantFrom(...OPERATIONS).chain((operation) => {
    const own = fc.constantFrom<unknown>(
      ...(operation.flags.length > 0 ? operation.flags : ['H_NO']),
    );
    // 64 are taken, though nobody needs so many.
    const crowd = fc.array(own, { minLength: 63, maxLength: 66 });
    const few = fc.array(own, { maxLength: 3 });
    const flags = fc.oneof({ weight: 3, arbitrary: few }, crowd, names, value);
    const members: Record<string, fc.Arbitrary<unknown>> = {
      hcall: fc.constantFrom(operation.name, 'H_NO'),
      constructor: fc.constant('0x1'),
    };
    for (const { name, kind } of operation.arguments)
      members[name] = kind === 'flags' ? flags : value;
    const requiredKeys = operation.arguments.slice(0, operation.wordsMin).map(({ name }) => name);
    const body = fc.record(members, { requiredKeys });
    return fc.tuple(fc.constant(operation.name), body);
  });
  const outcome = (name: string, body: unknown): unknown => {
    try {
      return parseCall(body, name, HOST).record;
    } catch (error) {
      assert.ok(error instanceof ProblemError);
      return renderProblem(error);
    }
  };
  let right = 0;
  const property = fc.property(bodies, ([name, body]) => {
    const glanced = outcome(name, body);
    // No glance is taken at a call with another member.
    assert.deepEqual(glanced, outcome(name, { ...body, explain: false }));
    if (!Object.hasOwn(glanced as object, 'opcode')) return;
    assert.ok(callSchema(name)!.safeParse(body).success, 'taken, though the schema refuses it');
    right++;
  });
  fc.assert(property, { ...seedOf(context), numRuns: 2000 });
  assert.ok(right > 50, `${right} right ones`);
});

test('the text of a plain answer is the JSON of the answer', (context) => {
  const words = fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { maxLength: 12 });
  const statuses = fc.constantFrom(...Object.values(STATUSES), 9999, -32768);
  const places = fc.nat(5).map((place) => 8 * place);
  const rows = fc.constantFrom(...OPERATIONS);
  const property = fc.property(rows, statuses, words, places, (operation, status, list, at) => {
    const view = new DataView(new ArrayBuffer(at + 8 * list.length));
    for (const [i, value] of list.entries()) view.setBigUint64(at + 8 * i, value, true);
    const text = plainAnswer(operation, { status, words: view, at, count: list.length });
    const answer = renderAnswer(operation, { tag: 0, status, words: list }, false);
    assert.equal(text, JSON.stringify(answer));
  });
  fc.assert(property, { ...seedOf(context), numRuns: 2000 });
});
