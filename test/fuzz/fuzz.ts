/**
 * `npm run -s fuzz -- [DECODER…] [--minutes M]`: searches for inputs that a decoder fails on, with coverage as its guide.
 * What fails is written to corpus/, where decoders.test.ts finds it. Exit 1 then; 64 for a wrong command line.
 */
import { parseArgs } from 'node:util';
import { complain, grouped, print } from '../../src/cli/output.ts';
import { keepInput } from './corpus.ts';
import type { Decoder } from './decoder.ts';
import { DECODERS } from './decoders.ts';
import { search } from './search.ts';
import type { Searched } from './search.ts';

const USAGE = 64;
const USAGE_TEXT = `usage: npm run -s fuzz -- [DECODER…] [--minutes M]

Tries inputs for M minutes each (1) on these decoders, or all: ${DECODERS.map(({ name }) => name).join(', ')}.
HPTD_SEED fixes what is drawn.`;

interface Wanted {
  readonly decoders: readonly Decoder[];
  readonly millis: number;
}

/** Undefined: the command line is wrong. */
function readWords(): Wanted | undefined {
  try {
    const { values, positionals } = parseArgs({
      options: { minutes: { type: 'string', default: '1' } },
      allowPositionals: true,
    });
    const decoders = DECODERS.filter(
      ({ name }) => positionals.length === 0 || positionals.includes(name),
    );
    const minutes = Number(values.minutes);
    const known = positionals.every((word) => DECODERS.some(({ name }) => name === word));
    return known && minutes > 0 ? { decoders, millis: minutes * 60_000 } : undefined;
  } catch {
    return undefined;
  }
}

function told({ name }: Decoder, { tried, kept, covered }: Searched): string {
  return `${name}: ${grouped(tried)} inputs, ${grouped(kept)} of them went where none went before, ${grouped(covered)} places covered`;
}

async function run(): Promise<number> {
  const wanted = readWords();
  if (wanted === undefined) {
    complain(USAGE_TEXT);
    return USAGE;
  }
  const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 32));
  print(`HPTD_SEED=${seed}`);
  let failures = 0;
  for (const decoder of wanted.decoders) {
    const onProgress = (searched: Searched): void => {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${told(decoder, searched)}`);
    };
    const { failure, ...searched } = await search(decoder, {
      millis: wanted.millis,
      seed,
      guided: true,
      onProgress,
    });
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    print(told(decoder, searched));
    if (failure === undefined) continue;
    failures++;
    const file = await keepInput(decoder, failure.input);
    complain(`${decoder.name} fails on ${file}:\n${failure.reason}`);
    complain('Mend it and keep the file: test/fuzz/decoders.test.ts tries it first.');
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await run();
