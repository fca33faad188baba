/** Performs a step on the engine and on the model, and says in what they differ. */
import { STATUSES } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
import { createModel } from '../model/model.ts';
import type { Model } from '../model/model.ts';
import { finishPreparing, openTestGuest } from './harness.ts';
import type { Answer, TestGuest, TestProcessor } from './harness.ts';
import { checkTable } from './invariants.ts';
import { ABSENT, V } from './pages.ts';
import { resolve } from './worlds.ts';
import type { Step } from './worlds.ts';
import type { GuestConfig } from '../../schemas/guests.ts';

export interface Pair {
  readonly guest: TestGuest;
  readonly processors: readonly TestProcessor[];
  readonly model: Model;
}

export function openPair(config: GuestConfig): Pair {
  const guest = openTestGuest(config);
  const { order, memslots, ramBytes, hostPageBytes, backingPageBytes, isa300, memory } = config;
  const model = createModel({
    order,
    memslots,
    hostPageBytes,
    backingPageBytes,
    isa300,
    memory,
    ...(ramBytes === undefined ? {} : { ramBytes }),
  });
  return { guest, processors: [guest, guest.processor(1, true)], model };
}

/** Throws when the answers differ. */
export function perform({ guest, processors, model }: Pair, step: Step): void {
  const words = step.args.map((argument) => resolve(argument, model.order()));
  if (step.name === 'MEMSLOT_ADD' && words[4] === 24n)
    words[4] = BigInt(Math.log2(guest.config.backingPageBytes));
  const on = processors[step.processor]!;
  let answer = step.explain ? on.explain(step.name, words) : on.call(step.name, words);
  // A large table is cleared in pieces; the model does it at once.
  while (answer.status === STATUSES.H_CONTINUE) answer = on.call(step.name, words);
  // What a preparation takes is timing: it is ready before the next call comes.
  if (answer.status === STATUSES.H_LONG_BUSY_ORDER_100_MSEC) finishPreparing(...processors);
  const expected = model.call(step.name, words);
  const undefinedWords = wordsUndefined(step.name, expected.out);
  const same =
    answer.status === expected.status &&
    answer.out.length === expected.out.length &&
    answer.out.every((word, i) => undefinedWords.has(i) || word === expected.out[i]);
  if (same) return;
  const text = (which: Pick<Answer, 'status' | 'out'>) =>
    `${which.status} [${which.out.map(hex).join(', ')}]`;
  throw new Error(
    `${step.name}(${words.map(hex).join(', ')}) in a table of order ${guest.order()}: ` +
      `the engine answers ${text(answer)}, the model ${text(expected)}`,
  );
}

/** dword 1 of an empty slot is undefined, and so are the links of an entry that is in no chain. */
function wordsUndefined(name: string, out: readonly bigint[]): ReadonlySet<number> {
  const word = (i: number) => out[i] ?? 0n;
  if (name === 'H_READ') {
    return new Set(out.flatMap((_, i) => (i % 2 === 1 && (word(i - 1) & V) === 0n ? [i] : [])));
  }
  if (name !== 'ENTRY_INSPECT') return new Set();
  const links = (word(0) & V) === 0n ? [3, 4] : [];
  return new Set((word(0) & (V | ABSENT)) === 0n ? [1, 6, ...links] : links);
}

/** The whole table by its hash, the chains, the counters and the invariants. Throws when something is wrong. */
export function compareTables({ guest, processors, model }: Pair): void {
  const chains = checkTable(guest);
  const expected = model.chains();
  const text = (all: ReadonlyMap<bigint, readonly number[]>) =>
    [...all]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([gfn, chain]) => `${gfn}: ${chain.join(' ')}`)
      .join('; ');
  if (text(chains) !== text(expected)) {
    throw new Error(`chains: the engine has ${text(chains)}, the model ${text(expected)}`);
  }
  const found = counters(guest, processors);
  const wanted = Object.values(model.counters());
  if (found.join(' ') !== wanted.join(' ')) {
    throw new Error(
      `tlbie, MMIO updates, invalidations: the engine ${found.join(' ')}, the model ${wanted.join(' ')}`,
    );
  }
  for (let at = 0n; at < BigInt(model.entryCount()); at += 65536n) {
    const args = [at, 65536n, 0xcbf29ce484222325n, 0n];
    const [engine, reference] = [
      guest.call('TABLE_HASH', args).out,
      model.call('TABLE_HASH', args).out,
    ];
    if (engine.join(' ') !== reference.join(' ')) {
      throw new Error(
        `TABLE_HASH from ${at}: ${engine.join(' ')}, the model ${reference.join(' ')}`,
      );
    }
  }
}

function counters(guest: TestGuest, processors: readonly TestProcessor[]): number[] {
  const tlbie = processors.reduce(
    (sum, processor) => sum + Number(processor.counter('COUNT_TLBIE')),
    0,
  );
  const [mmio, sequence] = [guest.exports.MMIO_UPDATE!, guest.exports.INVALIDATE_SEQ!];
  return [tlbie, Number(guest.words(mmio, 1)[0]), Number(guest.words(sequence, 1)[0])];
}
