/** The project's own files, as the tidy rules see them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Masked, mask } from './code.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** `path` from the project's root, with slashes. `masked` is made when a rule asks for it. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly masked: Masked;
}

const NOT_OURS = new Set(['.git', 'node_modules', 'build', 'coverage']);
const BINARY = /\.(gz|wasm|png)$|\.log$/;

export function projectFiles(root: string = ROOT): SourceFile[] {
  return paths(root, '').map((path) => sourceFile(path, readFileSync(join(root, path), 'utf8')));
}

export function sourceFile(path: string, text: string): SourceFile {
  let masked: Masked | undefined;
  return {
    path,
    text,
    get masked() {
      return (masked ??= mask(text));
    },
  };
}

function paths(root: string, under: string): string[] {
  return readdirSync(join(root, under), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name) || BINARY.test(entry.name)) return [];
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) return paths(root, path);
    return entry.isFile() ? [path] : [];
  });
}
