/**
 * The pages for people: everything is on them, every link leads somewhere, they load nothing from anywhere, and who does not
 * ask for a page gets JSON.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as LIMITS from '../../schemas/limits.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import { PROBLEMS, PROBLEM_CODES } from '../../schemas/problems.ts';
import { ROUTES } from '../../schemas/routes.ts';
import { CLOSE_CODES } from '../../schemas/stream.ts';
import { OPTIONS } from '../../src/operations/config.ts';
import { html, prose } from '../../src/documents/html.ts';
import { limits } from '../../src/documents/limits.ts';
import { type Http, openHttp } from '../transports/http-support.ts';

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

let http: Http;
before(async () => {
  http = await openHttp();
});
after(() => http.app.close());

async function get(url: string, accept?: string) {
  const headers = accept === undefined ? {} : { accept };
  return http.app.inject({ method: 'GET', url, headers });
}

test('the page has every operation, route, problem, close code, option and limit', async () => {
  const { body, headers } = await get('/docs');
  assert.match(String(headers['content-type']), /^text\/html; charset=utf-8$/);
  for (const { name, arguments: args } of OPERATIONS) {
    const section = body.split(`<section id="${name}">`)[1]?.split('</section>')[0];
    assert.ok(section !== undefined, name);
    for (const argument of args) assert.ok(section.includes(`<code>${argument.name}</code>`), name);
  }
  for (const { path } of ROUTES) assert.ok(body.includes(`<code>${path}`), path);
  for (const code of PROBLEM_CODES)
    assert.ok(body.includes(`<section id="problem-${code}">`), code);
  for (const { code } of CLOSE_CODES)
    assert.ok(body.includes(`<code>${code}</code>`), String(code));
  for (const { flag } of OPTIONS) assert.ok(body.includes(`<code>${flag} `), flag);
  for (const name of Object.keys(LIMITS)) assert.ok(body.includes(`<code>${name}</code>`), name);
});

test('every limit stands with its reason', () => {
  for (const { name, value, reason } of limits()) {
    assert.match(reason, /^\S.{15,}\.$/, `${name} has no reason in its comment`);
    assert.notEqual(value, '', name);
  }
});

for (const url of ['/docs', '/problems', ...PROBLEM_CODES.map((code) => `/problems/${code}`)]) {
  test(`${url} is whole, loads nothing, and its links lead somewhere`, async () => {
    const { body, headers, statusCode } = await get(url, BROWSER);
    assert.equal(statusCode, 200);
    assert.match(body, /^<!doctype html>[^]*<\/html>\n$/);
    assert.match(String(headers['content-security-policy']), /default-src 'none'/);
    assert.doesNotMatch(body, /<(script|link|img|iframe)\b|\bsrc=|@import|url\(/i);
    balanced(body);
    const ids = [...body.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id!);
    assert.equal(new Set(ids).size, ids.length, 'an id is there twice');
    for (const [, target] of body.matchAll(/\bhref="([^"]+)"/g)) {
      const [path, anchor] = target!.split('#') as [string, string?];
      if (path !== '') assert.equal((await get(path, BROWSER)).statusCode, 200, path);
      if (anchor !== undefined && path === '') assert.ok(ids.includes(anchor), anchor);
    }
  });
}

test('the type of a problem leads to a page with its title, meaning and what to do', async () => {
  const { type } = (await get('/v1/guests/nobody')).json<{ type: string }>();
  const { body } = await get(type, BROWSER);
  const { title, meaning, whatToDo } = PROBLEMS['guest-not-found'];
  for (const text of [title, meaning, whatToDo]) assert.ok(body.includes(text), text);
});

test('who does not ask for a page gets JSON, and caches are told of the difference', async () => {
  for (const accept of [undefined, '*/*', 'application/json', 'application/problem+json']) {
    for (const url of ['/problems', '/problems/internal']) {
      const { headers } = await get(url, accept);
      assert.match(String(headers['content-type']), /^application\/json/, `${url} for ${accept}`);
      assert.equal(headers['vary'], 'accept');
    }
  }
  assert.equal((await get('/problems/constructor', BROWSER)).statusCode, 404);
});

test('text becomes text, whatever is in it', () => {
  assert.equal(prose('`<` is less').html, '<code>&lt;</code> is less');
  assert.equal(html`<p>${'<b a="1">&'}</p>`.html, '<p>&lt;b a=&quot;1&quot;&gt;&amp;</p>');
});

const EMPTY = new Set(['meta', 'br', '!doctype']);

/** Every element that is opened is closed, in order. */
function balanced(text: string): void {
  const open: string[] = [];
  for (const [, slash, name] of text.matchAll(/<(\/?)(!?[a-z][a-z0-9]*)\b[^>]*>/gi)) {
    if (EMPTY.has(name!.toLowerCase())) continue;
    if (slash === '') open.push(name!);
    else assert.equal(open.pop(), name, `</${name}> closes something else`);
  }
  assert.deepEqual(open, []);
}
