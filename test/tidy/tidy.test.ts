/** The project held to its own rules (rules.ts): one test a rule, every breach in its message. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXCEPTIONS } from './exceptions.ts';
import { projectFiles } from './files.ts';
import { RULES } from './rules.ts';

const files = projectFiles();

for (const rule of RULES) {
  test(rule.name, () => {
    const looked = files.filter(({ path }) => rule.applies(path));
    assert.ok(looked.length > 0, 'the rule looks at no file at all: mend the rule');
    const excepted = new Set(
      EXCEPTIONS.filter((row) => row.rule === rule.name).map(({ path }) => path),
    );
    const complaints = looked.flatMap((file) => {
      const found = rule.check(file, files);
      if (!excepted.has(file.path)) return found;
      return found.length > 0
        ? []
        : [`${file.path} keeps the rule: take it out of test/tidy/exceptions.ts`];
    });
    assert.equal(complaints.length, 0, `\n${complaints.join('\n')}`);
  });
}

test('every exception is one from a rule that exists, for a file that exists', () => {
  for (const { rule, path } of EXCEPTIONS) {
    assert.ok(
      RULES.some(({ name }) => name === rule),
      `there is no rule "${rule}"`,
    );
    assert.ok(
      files.some((file) => file.path === path),
      `there is no file ${path}`,
    );
  }
});
