/**
 * The engine's test build, which stops at each step of a protocol. HPTD_YIELD_ENGINE names another one, so that every
 * suite that runs it can be pointed at an engine with a mistake in it (test/variants).
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../../build/engine-yield.wasm', import.meta.url));

export async function compileYieldEngine(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(process.env.HPTD_YIELD_ENGINE ?? FILE));
}
