/**
 * Compiles the engine with small changes in its source, without touching a file: for tests that want an engine with a
 * mistake in it, and for measurements that want one that does something differently.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What is used of the compiler. Its own declarations would put AssemblyScript's globals into every file of the project. */
interface Compiler {
  main(
    words: readonly string[],
    files: {
      readFile(name: string, baseDir: string): string | null;
      writeFile(name: string, contents: Uint8Array<ArrayBuffer> | string): void;
      listFiles(): string[];
    },
  ): Promise<{ readonly error: Error | null; readonly stderr: { toString(): string } }>;
}

const COMPILER: string = 'assemblyscript/asc';
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Exact text, found once in a file of src/engine, and what stands there instead. */
export interface Substitution {
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
}

/** A build of asconfig.json. */
export type Target = 'release' | 'yield';

/** `more`: words for the compiler behind those of asconfig.json. */
export async function compileVariant(
  target: Target,
  substitutions: readonly Substitution[],
  more: readonly string[] = [],
): Promise<Uint8Array<ArrayBuffer>> {
  const changed = substitute(substitutions);
  const written: { bytes?: Uint8Array<ArrayBuffer> } = {};
  const compiler = (await import(COMPILER)) as Compiler;
  const { error, stderr } = await compiler.main(
    ['src/engine/index.ts', '--target', target, '--baseDir', ROOT, ...more],
    {
      readFile(name, baseDir) {
        const path = join(baseDir, name);
        return changed.get(path) ?? (existsSync(path) ? readFileSync(path, 'utf8') : null);
      },
      writeFile(_name, contents) {
        if (typeof contents !== 'string') written.bytes = new Uint8Array(contents);
      },
      listFiles: () => [],
    },
  );
  if (error !== null || written.bytes === undefined)
    throw new Error(`the variant does not compile: ${error?.message}\n${stderr.toString()}`);
  return written.bytes;
}

/** The changed files, by path. */
function substitute(substitutions: readonly Substitution[]): Map<string, string> {
  const changed = new Map<string, string>();
  for (const { file, text, replacement } of substitutions) {
    const path = join(ROOT, 'src/engine', file);
    const pieces = (changed.get(path) ?? readFileSync(path, 'utf8')).split(text);
    if (pieces.length !== 2)
      throw new Error(
        `src/engine/${file} has this ${pieces.length - 1} times instead of once; follow the source:\n${text}`,
      );
    changed.set(path, pieces.join(replacement));
  }
  return changed;
}
