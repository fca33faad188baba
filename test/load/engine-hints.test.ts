/** Branch hints of the engine: found, counted and written where V8 looks for them, and nothing else changed. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import binaryen from 'binaryen';
import {
  branchesOf,
  parseModule,
  printModule,
  type Expression,
  type Hint,
} from '../../load/engine-hints/branches.ts';
import { giveHints } from '../../load/engine-hints/give.ts';

const ENGINE = new URL('../../build/engine.wasm', import.meta.url);
const SECTION = 'metadata.code.branch_hint';

/** Ids of a module's sections, custom ones by name. SPEC: WebAssembly core, "Modules" of the binary format. */
function sectionsOf(bytes: Uint8Array): (number | string)[] {
  const sections: (number | string)[] = [];
  let at = 8;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const id = bytes[at++]!;
    const end = number() + at;
    const nameBytes = id === 0 ? number() : 0;
    sections.push(id === 0 ? Buffer.from(bytes.subarray(at, at + nameBytes)).toString() : id);
    at = end;
  }
  return sections;
}

const TEXT = `(module
  (import "a" "b (if )" (func $f)) ;; (if
  (func $g (param $x i32) (result i32)
    (block $out
      (br_if $out (i32.eqz (local.get $x)))
      (if (result i32) (if (result i32) (local.get $x) (then (i32.const 1)) (else (i32.const 2)))
        (then (return (i32.const 3))) (else (i32.const 4)))
      (drop))
    (i32.const 5)))`;

test('every branch is found, with its condition, in the order of the text', () => {
  const found = branchesOf(parseModule(TEXT));
  assert.deepEqual(
    found.map(({ list, condition }) => [list[0], (list[condition] as Expression[])[0]]),
    [
      ['br_if', 'i32.eqz'],
      ['if', 'if'],
      ['if', 'local.get'],
    ],
  );
});

test('hints are printed before their branches, and read over', () => {
  const module = parseModule(TEXT);
  const hints = new Map<Expression, Hint>();
  for (const [i, { list }] of branchesOf(module).entries())
    if (i !== 1) hints.set(list, i === 0 ? 'unlikely' : 'likely');
  const text = printModule(module, hints);
  assert.match(text, /\(@metadata\.code\.branch_hint "\\00"\) \(br_if \$out/);
  assert.match(text, /\(if \(result i32\) \(@metadata\.code\.branch_hint "\\01"\) \(if /);
  assert.deepEqual(parseModule(text), module);
});

test('the engine that is built has hints before its code, and they are what training gives', async () => {
  const built = await readFile(ENGINE);
  const sections = sectionsOf(built);
  assert.ok(sections.includes(SECTION), 'npm run build:engine gives them');
  assert.ok(sections.indexOf(SECTION) < sections.indexOf(10), 'V8 reads them before the code only');
  assert.deepEqual(Buffer.from(await giveHints(built)), built);
});

test('without its hints the engine is what it would be without training', async () => {
  const textOf = (bytes: Uint8Array): string => binaryen.readBinary(bytes).emitText();
  const hinted = textOf(await readFile(ENGINE));
  const bare = printModule(parseModule(hinted));
  assert.ok(hinted.includes(SECTION) && !bare.includes(SECTION));
  const compiled = binaryen.parseText(bare);
  compiled.setFeatures(binaryen.Features.All);
  assert.equal(printModule(parseModule(textOf(compiled.emitBinary()))), bare);
});
