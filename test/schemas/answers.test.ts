/** Answers in JSON beyond the plain case, which calls.test.ts tries for every operation. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { CALL_ANSWERS } from '../../schemas/answers.ts';
import { renderAnswer } from '../../schemas/calls.ts';
import { statusesOf } from '../../schemas/operation.ts';
import { HCALLS, operationByName } from '../../schemas/operations.ts';
import { EXPLAIN_WORDS } from '../../schemas/records.ts';
import { STATUSES, statusName } from '../../schemas/statuses.ts';
import { recorded } from '../cli/traces.ts';

test('answers: data words, failures without words, half and whole H_READ', () => {
  const render = (name: string, status: number, words: bigint[]) =>
    renderAnswer(operationByName(name)!, { tag: 0, status, words }, false);
  assert.deepEqual(render('HTAB_READ', 0, [9n, 1n, 2n]), {
    hcall: 'HTAB_READ',
    status: 'H_SUCCESS',
    code: 0,
    bytes: '0x9',
    data: ['0x1', '0x2'],
  });
  assert.deepEqual(render('H_ENTER', STATUSES.H_PTEG_FULL, []), {
    hcall: 'H_ENTER',
    status: 'H_PTEG_FULL',
    code: -6,
  });
  assert.deepEqual(Object.keys(render('H_READ', 0, [1n, 2n])), [
    'hcall',
    'status',
    'code',
    'pteh0',
    'ptel0',
  ]);
  assert.equal(Object.keys(render('H_READ', 0, [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n])).length, 11);
  assert.equal(render('H_ENTER', -1234, []).status, '-1234');
});

test('answers: the last words of an explained one are its explanation', () => {
  const explanation = [17n, 0x400ea1b217000000n, 0x400ea1b217000080n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];
  assert.equal(explanation.length, EXPLAIN_WORDS);
  const remove = operationByName('H_REMOVE')!;
  const answer = renderAnswer(
    remove,
    { tag: 0, status: STATUSES.H_NOT_FOUND, words: explanation },
    true,
  );
  assert.equal(answer.pteh, undefined);
  assert.equal(answer.data, undefined);
  assert.equal(answer.explanation!.rule, 'AVPN_MISMATCH');
  assert.match(answer.explanation!.text, /^H_NOT_FOUND because the entry's B and AVPN/);
  const read = renderAnswer(
    operationByName('HTAB_READ')!,
    { tag: 0, status: 0, words: [8n, 5n, ...explanation] },
    true,
  );
  assert.deepEqual(read.data, ['0x5']);
});

test('answers: a status is one of its row, and the code is its number', () => {
  for (const operation of HCALLS) {
    const schema = CALL_ANSWERS.get(operation.name)!;
    const { name: hcall } = operation;
    for (const status of statusesOf(operation))
      assert.ok(schema.safeParse({ hcall, status, code: STATUSES[status] }).success, status);
    assert.ok(!schema.safeParse({ hcall, status: 'H_CONSTRAINED', code: 0 }).success);
    assert.ok(!schema.safeParse({ hcall, status: 'H_SUCCESS', code: 4 }).success);
  }
});

const vectors = recorded('vectors');

test('answers: what KVM answered to each hcall is in its row', {
  skip: vectors.length === 0,
}, () => {
  const seen = new Map<string, Set<number>>();
  for (const file of vectors) {
    for (const line of gunzipSync(readFileSync(file)).toString().trimEnd().split('\n').slice(1)) {
      const { op = '', ret = 0 } = JSON.parse(line) as { op?: string; ret?: number };
      (seen.get(op) ?? seen.set(op, new Set()).get(op)!).add(ret);
    }
  }
  const known = HCALLS.filter(({ name }) => seen.has(name));
  assert.ok(known.length > 5);
  for (const operation of known) {
    const statuses: readonly string[] = statusesOf(operation);
    for (const code of seen.get(operation.name)!)
      assert.ok(statuses.includes(statusName(code)), `${operation.name} ${statusName(code)}`);
  }
});
