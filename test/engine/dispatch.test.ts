/**
 * From bytes to an operation: the engine's opcodes and word counts are those of schemas/operations.ts, what neither
 * knows is H_FUNCTION, a guest makes no control records, and a wrong word count refuses the frame before anything ran.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as limits from '../../schemas/limits.ts';
import { OPERATIONS, operationByName, operationByOpcode } from '../../schemas/operations.ts';
import { EXPLAIN_BIT, encodeRequests } from '../../schemas/records.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { openTestGuest, ruleOf } from './harness.ts';
import type { TestGuest, TestProcessor } from './harness.ts';
import { RW, V, enterAt } from './pages.ts';

const guest = openTestGuest();
const { wordsAllowed, answerWordsMax } = guest.exports.functions;
const most = (operation: { arguments: readonly unknown[]; dataWordsMax: number }) =>
  operation.arguments.length + operation.dataWordsMax;

/** Longest answer to a record with these words. */
function answerMost(name: string, words: readonly bigint[]): number {
  const at = guest.exports.RINGS!;
  guest.words(at, 16).set(words);
  return answerWordsMax!(operationByName(name)!.opcode, at);
}

for (const operation of OPERATIONS) {
  test(`${operation.name}: opcode and word counts are those of the table`, () => {
    const allowed = wordsAllowed!(operation.opcode);
    assert.equal(allowed & 0xffff, operation.wordsMin);
    assert.equal(allowed >>> 16, most(operation));
    const fixed = operation.results.length;
    assert.ok(
      answerMost(operation.name, [0n, 0n]) >= (fixed === 1 ? 1 : fixed),
      'room for the results',
    );
  });
}

test('limits of what a record carries and answers', () => {
  assert.equal(answerMost('HTAB_READ', [0n, 1n << 60n]), 1 + limits.HTAB_READ_BYTES_MAX / 8);
  assert.equal(answerMost('HTAB_READ', [0n, 41n]), 1 + 6);
  assert.equal(answerMost('MEMORY_READ', [0n, 1n << 60n]), limits.MEMORY_WORDS_MAX);
  assert.equal(answerMost('HOST_DIRTY', [0n, 1n << 60n]), 1 + limits.DIRTY_FRAMES_MAX / 64);
  assert.equal(
    wordsAllowed!(operationByName('HTAB_WRITE')!.opcode) >>> 16,
    1 + limits.DATA_WORDS_MAX,
  );
  assert.equal(
    wordsAllowed!(operationByName('MEMORY_WRITE')!.opcode) >>> 16,
    1 + limits.DATA_WORDS_MAX,
  );
});

test('limits of the table', () => {
  const large = openTestGuest({ order: 21 });
  const piece = large.call('TABLE_HASH', [8n, 1n << 40n, 0n, 0n]).out;
  assert.equal(piece[2], 8n + BigInt(limits.PIECE_ENTRIES_MAX));
  assert.equal(
    large.call('TABLE_COUNT', [8n, 1n << 40n]).out[0],
    8n + BigInt(limits.PIECE_ENTRIES_MAX),
  );
  for (const order of [limits.ORDER_MIN - 1, limits.ORDER_MAX + 1, 64, 2 ** 32 + 18]) {
    assert.equal(large.call('HPT_RESET', [BigInt(order)]).status, STATUSES.H_PARAMETER);
  }
  assert.equal(large.call('HPT_RESET', [BigInt(limits.ORDER_MIN)]).status, STATUSES.H_SUCCESS);
  assert.equal(large.order(), limits.ORDER_MIN);
});

test('every opcode that is not in the table answers H_FUNCTION, whatever it carries', () => {
  const unknown = Array.from({ length: 0x10000 }, (_, opcode) => opcode).filter(
    (opcode) => (opcode & EXPLAIN_BIT) === 0 && operationByOpcode(opcode) === undefined,
  );
  for (let i = 0; i < unknown.length; i += 8192) {
    const records = unknown
      .slice(i, i + 8192)
      .map((opcode) => ({ opcode, tag: opcode, words: [] }));
    const answers = guest.frame(encodeRequests(records));
    assert.ok(Array.isArray(answers));
    assert.deepEqual(
      answers.map(({ tag }) => tag),
      records.map(({ tag }) => tag),
    );
    for (const { status, words } of answers) {
      assert.equal(status, STATUSES.H_FUNCTION);
      assert.equal(words.length, 0);
    }
  }
  const loaded = {
    opcode: 0x1234,
    tag: 1,
    words: Array.from({ length: 4095 }, () => 1n),
    explain: true,
  };
  const answers = guest.frame(encodeRequests([loaded]));
  assert.ok(Array.isArray(answers));
  assert.equal(answers[0]!.status, STATUSES.H_FUNCTION);
  assert.deepEqual(answers[0]!.words.slice(0, 2), [
    BigInt(guest.exports.RULE_UNKNOWN_OPCODE!),
    0x1234n,
  ]);
});

const wordsOf = (count: number) => Array.from({ length: count }, () => 1n);

test('a control record in a guest stream answers H_FUNCTION and does nothing', () => {
  const own = openTestGuest();
  const vcpu = own.processor(1);
  enterAt(own, 8n, V, RW);
  const before = snapshot(own);
  for (const { name, kind, wordsMin, opcode } of OPERATIONS) {
    if (kind !== 'control') continue;
    const answer = vcpu.explain(name, wordsOf(wordsMin));
    assert.equal(answer.status, STATUSES.H_FUNCTION, name);
    assert.deepEqual(answer.out, [], name);
    assert.deepEqual(ruleOf(answer), ['CONTROL_BY_GUEST', BigInt(opcode)]);
  }
  assert.deepEqual(snapshot(own), before);
});

test('every operation with every wrong word count is a fault that changes nothing', () => {
  const own = openTestGuest();
  const host = own.processor(1, true);
  const vcpu = own.processor(2);
  const before = snapshot(own);
  for (const operation of OPERATIONS) {
    for (const count of wrongCounts(operation.wordsMin, most(operation))) {
      refuse(own, host, operation.opcode, count);
      refuse(own, vcpu, operation.opcode, count);
    }
  }
  assert.deepEqual(snapshot(own), before);
});

function wrongCounts(fewest: number, greatest: number): number[] {
  const below = Array.from({ length: fewest }, (_, i) => i);
  const above = [1, 2, 3, 4, 5, 6, 7, 8].map((more) => greatest + more);
  return [...below, ...above, 4095].filter((count) => count <= 4095);
}

/** An H_ENTER in front of it in the same frame is not executed either. */
function refuse(own: TestGuest, on: TestProcessor, opcode: number, count: number): void {
  const enter: RequestRecord = { opcode: 0x08, tag: 0, words: [0n, 0n, V, RW] };
  for (const explain of [false, true]) {
    const refused = on.frame(
      encodeRequests([enter, { opcode, tag: 0, words: wordsOf(count), explain }]),
    );
    assert.deepEqual(
      refused,
      { fault: own.exports.FAULT_COUNT, offset: 40 },
      `${opcode} with ${count}`,
    );
  }
}

/** The table and what an operation could have moved beside it. */
function snapshot(own: TestGuest): unknown {
  const hash = own.call('TABLE_HASH', [0n, 65536n, 0xcbf29ce484222325n, 0n]).out;
  const block = [...own.words(own.exports.TABLE_BASE!, 48)];
  return [hash, block.filter((_, i) => i !== (own.exports.GATE! - own.exports.TABLE_BASE!) / 8)];
}
