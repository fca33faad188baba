/** A counterexample as a sequence drawing in plain text: a column for each process, the table behind each step. */

/** What SAY of checks.pml prints: a step, and the state after it. */
interface Step {
  readonly process: number;
  readonly what: string;
  readonly slot: number;
  readonly words: readonly number[];
  readonly pagePresent: boolean;
}

const HVLOCK = 1;
const VALID = 2;
const TAKEN = 6;
const ANY_SLOT = 7;
const COLUMN = 32;

/** Steps that mean nothing where no host takes part. */
const OF_THE_HOST = new Set(['seesHostPage', 'asksInProgress', 'asksSequence']);

type Wording = (step: Step, before: number) => string;

const WORDINGS: Readonly<Record<string, Wording>> = {
  callsEnter: ({ slot }) =>
    slot === ANY_SLOT ? 'H_ENTER' : `H_ENTER, H_EXACT, slot ${Math.log2(slot)}`,
  callsRemove: ({ slot }) => `H_REMOVE, slot ${slot}`,
  looks: ({ slot, words }) => `tryLockHpte(${slot}) sees it ${condition(words[slot]!)}`,
  gets: ({ slot }) => `locks slot ${slot}`,
  misses: ({ slot }) => `tryLockHpte(${slot}) comes too late`,
  unlocks: ({ slot, words }, before) =>
    `unlockHpte(${slot})${change(before & TAKEN, words[slot]! & TAKEN)}`,
  invalidates: ({ slot, words }) =>
    (words[slot]! & TAKEN) === 0 ? `invalidates slot ${slot}` : `makeAbsent(${slot})`,
  locksChain: () => 'lockChain()',
  unlocksChain: () => 'unlockChain()',
  swapsChain: () => 'replaceWord()',
  seesHostPage: ({ pagePresent }) => `realWord(): page ${pagePresent ? 'there' : 'away'}`,
  asksInProgress: () => 'hostChangedSince(): running?',
  asksSequence: () => 'hostChangedSince(): sequence?',
  countsIn: () => 'beginInvalidation()',
  takesPage: () => 'setHostState(): page away',
  movesSequence: () => 'endInvalidation(): sequence',
  countsOut: () => 'endInvalidation(): done',
  answersFull: () => 'answers H_PTEG_FULL',
};

function condition(word: number): string {
  if ((word & HVLOCK) !== 0) return 'locked';
  return (word & TAKEN) === 0 ? 'free' : 'taken';
}

function change(before: number, after: number): string {
  if (before === after) return '';
  if (after === 0) return ': free';
  return (after & VALID) === 0 ? ': ABSENT' : ': VALID';
}

export function readStep(line: string): Step {
  const [process, what, slot, ...rest] = line.replace('STEP ', '').split(' ');
  const numbers = rest.map(Number);
  // The rmap word between them is not drawn: who has its lock follows from the steps.
  return {
    process: Number(process),
    what: what!,
    slot: Number(slot),
    words: numbers.slice(0, 3),
    pagePresent: numbers[4] === 1,
  };
}

/** The slots that are not taken, by the strictest reading: nothing VALID or ABSENT in them. */
export function freeSlots({ words }: Step): number[] {
  return [...words.keys()].filter((slot) => (words[slot]! & TAKEN) === 0);
}

/** The steps of the call that was answered H_PTEG_FULL, from its beginning to the answer. */
export function stepsOfFullCall(steps: readonly Step[]): Step[] {
  const end = steps.findIndex(({ what }) => what === 'answersFull');
  const { process } = steps[end]!;
  const begin = steps.findLastIndex(
    (step, at) => at < end && step.process === process && step.what === 'callsEnter',
  );
  return steps.slice(begin, end + 1);
}

export function draw(lines: readonly string[], processes: readonly string[]): string {
  const all = lines.map(readStep);
  const withHost = processes.includes('HOST_UNMAP');
  const steps = all.filter(({ what }) => withHost || !OF_THE_HOST.has(what));
  const holders = new Map<number | 'chain', string>();
  const rows = steps.map((step, at) => {
    noteHolder(step, holders);
    const before = steps[at - 1]?.words ?? [];
    const text = WORDINGS[step.what]!(step, before[step.slot] ?? 0);
    const columns = processes.map((_, i) => (step.process === i + 1 ? text : '').padEnd(COLUMN));
    return [String(at + 1).padStart(3), ...columns, state(step, holders, withHost)].join('  ');
  });
  const titles = processes.map((title, i) => `${letter(i + 1)}: ${title}`.padEnd(COLUMN));
  const table = withHost ? 'slots, chain, page' : 'slots, chain, free';
  return [['   ', ...titles, table].join('  '), ...rows].map((row) => row.trimEnd()).join('\n');
}

function letter(process: number): string {
  return String.fromCodePoint(64 + process);
}

function noteHolder(step: Step, holders: Map<number | 'chain', string>): void {
  if (step.what === 'gets') holders.set(step.slot, letter(step.process).toLowerCase());
  if (step.what === 'unlocks') holders.delete(step.slot);
  if (step.what === 'locksChain') holders.set('chain', letter(step.process).toLowerCase());
  if (step.what === 'unlocksChain') holders.delete('chain');
}

/** `[Vb]`: VALID, locked by B; `-`: free. */
function state(
  step: Step,
  holders: ReadonlyMap<number | 'chain', string>,
  withHost: boolean,
): string {
  const slots = step.words.map((word, slot) => {
    const holds = ['-', 'V', 'A'][(word & TAKEN) / VALID]!;
    return `[${holds}${holders.get(slot) ?? ' '}]`;
  });
  const chain = `(${holders.get('chain') ?? ' '})`;
  const last = withHost ? (step.pagePresent ? 'there' : 'away') : freeSlots(step).join(' ');
  return `${slots.join('')} ${chain} ${last}`;
}
