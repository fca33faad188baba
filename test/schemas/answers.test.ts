/** Answers in JSON beyond the plain case, which calls.test.ts tries for every operation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderAnswer } from '../../schemas/calls.ts';
import { operationByName } from '../../schemas/operations.ts';
import { EXPLAIN_WORDS } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';

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
