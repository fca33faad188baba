/**
 * Who may import whom, from the bottom up (ARCHITECTURE.md, "Who may import whom"). A layer may use those named, and itself.
 */
import { posix } from 'node:path';
import { importsOf } from './code.ts';
import type { SourceFile } from './files.ts';

interface Layer {
  /** A folder, or a file. */
  readonly path: string;
  readonly uses: readonly string[];
  /** Only by `import()`, when it is needed. */
  readonly usesLazily?: readonly string[];
  /** Packages of others, `node:` for all of Node's own; absent: any. */
  readonly packages?: readonly string[];
  readonly reason: string;
}

const LAYERS: readonly Layer[] = [
  {
    path: 'schemas',
    uses: [],
    packages: ['zod'],
    reason: 'the language of the edges is for clients too, who have nothing of the daemon',
  },
  {
    path: 'src/engine',
    uses: [],
    packages: [],
    reason: 'the engine is compiled by itself and knows no network, no clock and no Node',
  },
  {
    path: 'src/rings',
    uses: ['schemas'],
    packages: ['node:'],
    reason: 'rings know bytes, not who sends them',
  },
  {
    path: 'src/processors',
    uses: ['src/rings', 'schemas'],
    reason: 'a processor knows streams of records, not guests',
  },
  {
    path: 'src/operations',
    uses: ['schemas'],
    reason: 'config, log and shutdown serve every layer, so they know none',
  },
  {
    path: 'src/documents',
    uses: ['src/operations', 'schemas'],
    packages: ['zod', 'node:'],
    reason: 'documents are made from the tables alone, so that they can be made without a daemon',
  },
  {
    path: 'src/state',
    uses: ['src/rings', 'src/operations', 'schemas'],
    reason: 'files of guests are bytes of memories: what runs in them is not their matter',
  },
  {
    path: 'src/guests',
    uses: ['src/state', 'src/processors', 'src/rings', 'src/operations', 'schemas'],
    reason: 'a guest knows no transport',
  },
  {
    path: 'src/transports',
    uses: ['src/guests', 'src/documents', 'src/operations', 'schemas'],
    reason: 'a transport asks guests, never a ring or a processor',
  },
  {
    path: 'src/main.ts',
    uses: [
      'src/transports',
      'src/guests',
      'src/state',
      'src/processors',
      'src/rings',
      'src/operations',
      'schemas',
    ],
    reason: 'the daemon does not know who starts it',
  },
  {
    path: 'src/client',
    uses: ['schemas'],
    reason: 'a client has the language and nothing of the daemon',
  },
  {
    path: 'src/cli',
    uses: ['src/client', 'src/operations', 'schemas'],
    usesLazily: ['src/main.ts', 'src/state'],
    reason:
      'the CLI is a client; the daemon is loaded only by the commands that run one, and what reads its files by those',
  },
];

/** What is wrong with the file's imports; a type counts as much as a value, because it ties as much. */
export function importComplaints(file: SourceFile): string[] {
  const layer = LAYERS.find(({ path }) => isIn(path, file.path));
  if (layer === undefined)
    return [`${file.path} belongs to no layer: give its folder one in test/tidy/layers.ts`];
  return importsOf(file.masked).flatMap(({ from, lazy, typeOnly }) => {
    const allowed = from.startsWith('.')
      ? mayUse(layer, posix.join(posix.dirname(file.path), from), lazy || typeOnly)
      : mayUsePackage(layer, from);
    return allowed ? [] : [`${file.path} imports ${from}: ${layer.reason}`];
  });
}

function mayUse(layer: Layer, target: string, lazily: boolean): boolean {
  const uses = [layer.path, ...layer.uses, ...(lazily ? (layer.usesLazily ?? []) : [])];
  return uses.some((path) => isIn(path, target));
}

function mayUsePackage({ packages }: Layer, from: string): boolean {
  return packages === undefined || packages.includes(from.startsWith('node:') ? 'node:' : from);
}

function isIn(path: string, file: string): boolean {
  return file === path || file.startsWith(`${path}/`);
}
