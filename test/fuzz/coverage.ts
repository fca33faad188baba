/**
 * What an input made run: for decoders in TypeScript the blocks that V8 counts, for the engine what it tells of itself (steps
 * between yield points, answers, rules). Good enough to see whether an input went where none went before.
 */
import { Session } from 'node:inspector/promises';
import type { Decoder, Note } from './decoder.ts';

export interface Coverage {
  /** To be given to the decoder's target. */
  readonly note: Note | undefined;
  /** Inputs to perform between two looks: a look at V8's counts takes some tens of milliseconds. */
  readonly batch: number;
  /** Did anything new run since the last look? `remember`: from now on it is not new any more. */
  isNew(remember: boolean): Promise<boolean>;
  /** How much is known. */
  size(): number;
  close(): void;
}

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

export async function openCoverage({ sources }: Decoder): Promise<Coverage> {
  return sources === 'engine' ? openEngineCoverage() : openScriptCoverage(sources);
}

function openEngineCoverage(): Coverage {
  const known = new Set<string>();
  const seen = new Set<string>();
  return {
    note: (feature) => void seen.add(feature),
    batch: 1,
    async isNew(remember) {
      const fresh = [...seen].filter((feature) => !known.has(feature));
      seen.clear();
      if (remember) for (const feature of fresh) known.add(feature);
      return fresh.length > 0;
    },
    size: () => known.size,
    close() {},
  };
}

async function openScriptCoverage(sources: RegExp): Promise<Coverage> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  /** By script: 1 for each character that ran. */
  const known = new Map<string, Uint8Array>();
  const look = async (): Promise<Map<string, Uint8Array>> => {
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const scripts = result.filter(({ url }) => sources.test(url));
    return new Map(
      scripts.map(({ url, functions }) => [url, ran(functions.map(({ ranges }) => ranges))]),
    );
  };
  return {
    note: undefined,
    batch: 256,
    async isNew(remember) {
      let fresh = false;
      for (const [url, now] of await look()) {
        const before = known.get(url) ?? new Uint8Array(0);
        fresh ||= now.some((one, at) => one > (before[at] ?? 0));
        if (remember) known.set(url, union(before, now));
      }
      return fresh;
    },
    size: () => [...known.values()].reduce((sum, one) => sum + one.reduce((a, b) => a + b, 0), 0),
    close: () => session.disconnect(),
  };
}

/** Functions come from the outermost to the innermost, and so do their blocks; each says what its inside did. */
function ran(functions: readonly (readonly Range[])[]): Uint8Array {
  const end = Math.max(0, ...functions.flat().map(({ endOffset }) => endOffset));
  const characters = new Uint8Array(end);
  for (const ranges of functions) {
    for (const { startOffset, endOffset, count } of ranges)
      characters.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  }
  return characters;
}

function union(a: Uint8Array, b: Uint8Array): Uint8Array {
  const [longer, shorter] = a.length > b.length ? [a, b] : [b, a];
  const both = longer.slice();
  for (const [at, one] of shorter.entries()) if (one !== 0) both[at] = 1;
  return both;
}
