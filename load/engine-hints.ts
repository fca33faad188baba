/**
 * Tells V8 which way the engine's branches mostly go, as a step of the build: `node load/engine-hints.ts`.
 *
 * V8 lays a function's blocks out as they come, what is rare in the middle of what is common. An H_ENTER and an H_REMOVE took
 * 46 of their 78 jumps, and a core that jumps decodes nothing else in that cycle. WebAssembly has a place to say what is likely,
 * the custom section metadata.code.branch_hint, which changes nothing of what code does (SPEC: WebAssembly Code Metadata).
 * AssemblyScript does not write it. So:
 *
 *   1. each `if` and `br_if` of build/engine.wasm is numbered, and calls out which way it goes;
 *   2. that engine runs training frames (engine-hints/training.ts);
 *   3. what went one way nine times of ten is given its hint, and build/engine.wasm is written again.
 *
 * Trained with always the same frames, what is built is always the same. The gain is in load/README.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { giveHints } from './engine-hints/give.ts';

const ENGINE = new URL('../build/engine.wasm', import.meta.url);

await writeFile(ENGINE, await giveHints(await readFile(ENGINE)));
