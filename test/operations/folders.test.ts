/** Folders are made with what they are in, for their owner alone; where none can be made it is said, and never hangs. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeFolder } from '../../src/operations/folders.ts';

const root = mkdtempSync(join(tmpdir(), 'hptd-folders-'));
after(() => rmSync(root, { recursive: true }));
const modeOf = (path: string) => statSync(path).mode & 0o777;

test('with what it is in, for its owner alone, and again', () => {
  const path = join(root, 'a', 'b', 'c');
  makeFolder(path);
  makeFolder(path);
  assert.deepEqual([modeOf(path), modeOf(join(root, 'a'))], [0o700, 0o700]);
});

test('a link to a folder will do', () => {
  symlinkSync(join(root, 'a'), join(root, 'link'));
  makeFolder(join(root, 'link', 'd'));
  makeFolder(join(root, 'link'));
  assert.ok(statSync(join(root, 'a', 'd')).isDirectory());
});

test('what is no folder, or leads nowhere, or takes none, is refused', () => {
  writeFileSync(join(root, 'file'), '');
  symlinkSync(join(root, 'nowhere'), join(root, 'dangling'));
  for (const [path, code] of [
    [join(root, 'file'), 'EEXIST'],
    [join(root, 'file', 'in'), 'ENOTDIR'],
    [join(root, 'dangling'), 'EEXIST'],
    ['/proc/hptd', 'ENOENT'],
    ['/proc/hptd/guests', 'ENOENT'],
  ] as const)
    assert.throws(() => makeFolder(path), { code }, path);
});
