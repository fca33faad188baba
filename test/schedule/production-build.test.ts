/**
 * Yield points are in the test build and nowhere else: the production module imports its memory and nothing more, so it
 * has nothing to call at a yield point; and what it says of itself names none.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

const read = (name: string) => readFile(new URL(`../../build/${name}`, import.meta.url));
const production = await read('engine.wasm');
const yielding = await read('engine-yield.wasm');

/** What the module object tells, of which the project's own declarations have nothing. */
interface Description {
  readonly module?: string;
  readonly name: string;
  readonly kind: string;
}
const { Module } = WebAssembly as unknown as {
  readonly Module: {
    imports(module: WebAssembly.Module): Description[];
    exports(module: WebAssembly.Module): Description[];
  };
};

async function importsOf(bytes: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const imports = Module.imports(await WebAssembly.compile(bytes));
  return imports.map(({ module, name, kind }) => `${kind} ${module}.${name}`).sort();
}

/** Exported functions by name, and the exported numbers. */
async function exportsOf(bytes: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const exports = Module.exports(await WebAssembly.compile(bytes));
  return exports.map(({ name, kind }) => `${kind} ${name}`).sort();
}

test('the production build imports its memory and nothing else', async () => {
  assert.deepEqual(await importsOf(production), ['memory env.memory']);
});

test('the test build imports the scheduler too, and exports the same', async () => {
  assert.deepEqual(await importsOf(yielding), [
    'function schedule.attemptFails',
    'function schedule.yieldPoint',
    'memory env.memory',
  ]);
  assert.deepEqual(await exportsOf(yielding), await exportsOf(production));
});

test('no yield point is named in the production build', () => {
  const text = production.toString('latin1');
  for (const name of ['yieldPoint', 'attemptFails', 'schedule', 'threadYields'])
    assert.ok(!text.includes(name), name);
  assert.ok(yielding.toString('latin1').includes('yieldPoint'));
});

test('an instance needs no scheduler', async () => {
  const memory = new WebAssembly.Memory({ shared: true, initial: 65535, maximum: 65535 });
  const withNone = await WebAssembly.compile(production);
  const withPoints = await WebAssembly.compile(yielding);
  assert.ok(new WebAssembly.Instance(withNone, { env: { memory } }));
  assert.throws(() => new WebAssembly.Instance(withPoints, { env: { memory } }), /schedule/);
});
