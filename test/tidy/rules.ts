/**
 * The rules of the tree, each with its reason. A rule looks at one file, or at all; it answers with what is wrong, where,
 * and why that matters. rules.test.ts shows that each can fail; tidy.test.ts holds the project to them.
 */
import { posix } from 'node:path';
import { importsOf } from './code.ts';
import type { SourceFile } from './files.ts';
import { functionsOf, lineAt } from './functions.ts';
import { importComplaints } from './layers.ts';

export interface Rule {
  readonly name: string;
  /** Which files it looks at. */
  readonly applies: (path: string) => boolean;
  readonly check: (file: SourceFile, all: readonly SourceFile[]) => string[];
}

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;

const isCode = (path: string): boolean => /\.(ts|mjs|js)$/.test(path);
const isUnder =
  (...folders: string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(`${folder}/`));
const isProduct = isUnder('src', 'schemas');
const isTrial = isUnder('test', 'load');

/** Each place in `text` where the pattern is found, as a complaint. */
function found(
  file: SourceFile,
  text: string,
  pattern: RegExp,
  complain: (match: RegExpExecArray) => string | undefined,
): string[] {
  return [...text.matchAll(pattern)].flatMap((match) => {
    const complaint = complain(match);
    return complaint === undefined
      ? []
      : [`${file.path}:${lineAt(text, match.index)} ${complaint}`];
  });
}

const imports: Rule = {
  name: 'imports point one way',
  applies: (path) => isCode(path) && isProduct(path),
  check: importComplaints,
};

const fileLength: Rule = {
  name: `files have at most ${FILE_LINES_MAX} lines`,
  applies: isCode,
  check: ({ path, text }) => {
    const lines = text.trimEnd().split('\n').length;
    return lines <= FILE_LINES_MAX
      ? []
      : [
          `${path} has ${lines} lines: what does not fit in ${FILE_LINES_MAX} is two things; split it`,
        ];
  },
};

const functionLength: Rule = {
  name: `functions have at most ${FUNCTION_LINES_MAX} lines`,
  applies: isCode,
  check: (file) =>
    functionsOf(file.masked)
      .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
      .map(
        ({ line, lines }) =>
          `${file.path}:${line} a function of ${lines} lines: more than a screen cannot be checked by reading; give its steps names`,
      ),
};

const names: Rule = {
  name: 'no file is named after nothing',
  applies: () => true,
  check: ({ path }) =>
    /(^|[/.-])(utils?|helpers?|common|misc)([/.-]|$)/i.test(path)
      ? [
          `${path}: such a name says nothing and the file takes anything in; name it after what it does`,
        ]
      : [],
};

/** Cut in pieces, so that these files do not accuse themselves. */
const LEFTOVER = new RegExp(
  `\\b(${['TO_DO', 'FIX_ME', 'X_XX'].join('|').replaceAll('_', '')})\\b`,
  'g',
);

const leftovers: Rule = {
  name: 'nothing is left for later in the text',
  applies: (path) => path !== 'package-lock.json',
  check: (file) =>
    found(
      file,
      file.text,
      LEFTOVER,
      ([word]) =>
        `${word}: do it, or say in an issue why it waits; a reader can do nothing with it`,
    ),
};

const MACHINE_PATH = new RegExp(
  ['work', 'tmp/bash_jobs[\\w.]*', 'root', 'home/\\w+']
    .map((path) => `(?<![\\w.~*-])/${path}/`)
    .join('|'),
  'g',
);

const machinePaths: Rule = {
  name: 'no path of one machine',
  applies: () => true,
  check: (file) =>
    found(
      file,
      file.text,
      MACHINE_PATH,
      ([path]) =>
        `${path}: exists on one machine; make it from import.meta.url or a temporary folder`,
    ),
};

const lockFile: Rule = {
  name: 'the lock file names no host',
  applies: (path) => path.endsWith('package-lock.json'),
  check: (file) =>
    found(
      file,
      file.text,
      /"resolved": "(?:https?|git)[^"]*"/g,
      ([line]) =>
        `${line}: packages come from the registry that each user has set; npm config set omit-lockfile-registry-resolved true`,
    ),
};

interface Lock {
  readonly packages?: Record<string, { readonly optionalDependencies?: Record<string, string> }>;
}

/** npm leaves a tool's packages for other platforms out when its registry does not offer them, and then refuses them. */
const lockComplete: Rule = {
  name: 'the lock file is whole',
  applies: (path) => path.endsWith('package-lock.json'),
  check: ({ path, text }) => {
    const { packages = {} } = JSON.parse(text) as Lock;
    const wanted = Object.entries(packages).flatMap(([from, row]) =>
      Object.keys(row.optionalDependencies ?? {}).map((name) => ({ from, name })),
    );
    return wanted
      .filter(
        ({ from, name }) =>
          !(`node_modules/${name}` in packages || `${from}/node_modules/${name}` in packages),
      )
      .map(
        ({ from, name }) =>
          `${path}: ${from} may use ${name}, which has no entry: npm ci refuses such a file on every machine`,
      );
  },
};

const openingComment: Rule = {
  name: 'every source file opens with what it is',
  applies: (path) => isCode(path) && isUnder('src', 'schemas', 'load')(path),
  check: ({ path, text }) =>
    /^(#!.*\n)?\/\*\*?\s*\S/.test(text) || /^(#!.*\n)?\/\/ \S/.test(text)
      ? []
      : [
          `${path} does not open with a comment: a reader wants to know first what a file is, and who may call it`,
        ],
};

const ADDRESS = /(?<![\d.])(\d{1,3})\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.])/g;
const URL_HOST = /\b(?:https?|wss?):\/\/(\[[^\]]*\]|[\w.-]+)/g;

const loopback: Rule = {
  name: 'tests and load drivers speak to this machine only',
  applies: (path) => isCode(path) && isTrial(path),
  check: (file) => {
    const { uncommented } = file.masked;
    const why = 'tests must not depend on a network, nor be seen on one; use 127.0.0.1';
    return [
      ...found(file, uncommented, ADDRESS, ([address, first]) =>
        first === '127' ? undefined : `${address}: ${why}`,
      ),
      ...found(file, uncommented, URL_HOST, ([url, host]) => {
        const isHere =
          /^(127\.[\d.]+|localhost|\[::1\]|[\w.-]+\.(example|invalid|test)|example\.(com|net|org))$/.test(
            host!,
          );
        return isHere || /^\d/.test(host!) ? undefined : `${url}: ${why}`;
      }),
    ];
  },
};

const waiting: Rule = {
  name: 'only a processor waits',
  applies: (path) =>
    isCode(path) &&
    !['src/rings/wakeups.ts', 'src/processors/processor.ts', 'src/processors/turn.ts'].includes(
      path,
    ) &&
    !path.startsWith('src/engine/') &&
    path !== 'test/rings/sleeper.ts',
  check: (file) =>
    found(
      file,
      file.masked.code,
      /\bAtomics\s*\.\s*wait\b/g,
      () =>
        'Atomics.wait stops the whole thread, and with the main thread every guest; use the bells of src/rings/wakeups.ts',
    ),
};

const seeds: Rule = {
  name: 'random tests can be repeated',
  applies: (path) => isCode(path) && isTrial(path),
  check: (file, all) => {
    const isRandom =
      /\bMath\.random\b/.test(file.masked.code) ||
      importsOf(file.masked).some(({ from }) => from === 'fast-check');
    if (!isRandom || knowsSeed(file, all)) return [];
    return [
      `${file.path} uses random values without HPTD_SEED: a failure that cannot be repeated cannot be mended; print the seed and take it from there`,
    ];
  },
};

/** Not in one piece, so that this file does not seem to know it. */
const SEED = ['HPTD', 'SEED'].join('_');

/** The file names the seed itself, or one that uses it does: generators take theirs from the test. */
function knowsSeed(
  file: SourceFile,
  all: readonly SourceFile[],
  seen: ReadonlySet<string> = new Set(),
): boolean {
  if (file.text.includes(SEED)) return true;
  if (file.path.endsWith('.test.ts') || seen.has(file.path)) return false;
  const users = all.filter((other) => importedFiles(other).includes(file.path));
  return users.some((user) => knowsSeed(user, all, new Set([...seen, file.path])));
}

/** Files of the project that the file imports. */
function importedFiles(file: SourceFile): string[] {
  if (!isCode(file.path) || !isTrial(file.path)) return [];
  return importsOf(file.masked)
    .filter(({ from }) => from.startsWith('.'))
    .map(({ from }) => posix.join(posix.dirname(file.path), from));
}

export const RULES: readonly Rule[] = [
  imports,
  fileLength,
  functionLength,
  names,
  leftovers,
  machinePaths,
  lockFile,
  lockComplete,
  openingComment,
  loopback,
  waiting,
  seeds,
];
