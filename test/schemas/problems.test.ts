/**
 * The catalogue of problems keeps its promises: stable codes, whole rows, documents as RFC 9457
 * wants them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemDocument, renderProblem } from '../../schemas/problem-document.ts';
import {
  PROBLEMS,
  PROBLEM_CODES,
  ProblemError,
  isProblemCode,
  problem,
} from '../../schemas/problems.ts';

test('every row has a kebab-case code, an error status and its sentences', () => {
  for (const code of PROBLEM_CODES) {
    const row = PROBLEMS[code];
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    assert.ok(row.status >= 400 && row.status < 600, code);
    assert.match(row.title, /^[A-Z].*[^.]$/);
    for (const sentence of [row.meaning, row.whatToDo])
      assert.match(sentence, /^[A-Z].*\.$/s, code);
  }
});

test('codes that clients were promised keep their status', () => {
  const promised = {
    'guest-not-found': 404,
    'guest-exists': 409,
    'guest-limit': 409,
    'guest-config-invalid': 422,
    'guest-deleted': 410,
    'stream-limit': 409,
    'processor-busy': 503,
    'shutting-down': 503,
    'hcall-unknown': 404,
    'argument-invalid': 422,
    'flag-unknown': 422,
    'field-unknown': 422,
    'ptex-out-of-range': 404,
    'body-invalid': 400,
    'body-too-large': 413,
    'batch-too-large': 413,
    'not-found': 404,
    'method-not-allowed': 405,
    'unsupported-media-type': 415,
    'subprotocol-missing': 400,
    'no-table': 409,
    internal: 500,
  } as const;
  for (const [code, status] of Object.entries(promised)) {
    assert.ok(isProblemCode(code), code);
    assert.equal(PROBLEMS[code].status, status, code);
  }
});

test('a document has the members of RFC 9457 and its own, and satisfies its schema', () => {
  const error = problem('argument-invalid', 'ptex is missing', {
    errors: [{ path: 'ptex', message: 'is missing' }],
  });
  const document = renderProblem(error, '/v1/guests/g/hcalls/H_READ');
  assert.deepEqual(document, {
    type: '/problems/argument-invalid',
    title: PROBLEMS['argument-invalid'].title,
    status: 422,
    detail: 'ptex is missing',
    code: 'argument-invalid',
    instance: '/v1/guests/g/hcalls/H_READ',
    whatToDo: PROBLEMS['argument-invalid'].whatToDo,
    errors: [{ path: 'ptex', message: 'is missing' }],
  });
  assert.deepEqual(problemDocument.parse(document), document);
  assert.deepEqual(Object.keys(renderProblem(problem('internal', 'x'))).includes('errors'), false);
});

test('an error carries its cause, and names of a prototype are no codes', () => {
  const cause = new Error('deep');
  const error = problem('internal', 'x', { cause });
  assert.ok(error instanceof ProblemError);
  assert.equal(error.cause, cause);
  for (const name of ['constructor', '__proto__', 'toString', ''])
    assert.equal(isProblemCode(name), false);
});
