/** `check`: measures what budgets.json promises and says which promises are not kept. */
import { complain, paint, print, printJson, table } from '../src/cli/output.ts';
import {
  type Budgets,
  isUnsure,
  judge,
  type Judgement,
  readBudgets,
  spreadOf,
  type Verdict,
} from './budgets/budgets.ts';
import { machine } from './machine.ts';
import { EXIT, parseOptions, type Profile } from './profile.ts';
import { type Outcome, runProfile } from './run-profile.ts';

/** More would be longer than anybody waits. */
const AGAIN_MAX = 2;

const WORDS: Record<Verdict, string> = {
  ambition: 'ambition',
  must: 'must',
  short: 'SHORT',
  unmeasured: 'not measured',
};

export const check: Profile = {
  name: 'check',
  summary: 'the budgets of load/budgets.json: which figures fall short',
  help: `Runs the profiles that load/budgets.json names, two minutes, or six on a busy machine, and compares their figures with
the budgets. A run whose rounds lie far apart is made again, up to twice; the quietest counts.
Exit code 1: a figure falls short of its "must", or could not be measured.

  --json              one JSON object instead of the table`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { json } = parseOptions(words, { json: { type: 'boolean', default: false } });
  const judgements = await measureBudgets(readBudgets());
  if (json) printJson({ profile: 'check', machine: machine(), results: judgements });
  else print(tableOf(judgements));
  const broken = judgements.filter(
    ({ verdict }) => verdict === 'short' || verdict === 'unmeasured',
  );
  for (const one of broken) complain(complaintOf(one));
  return broken.length === 0 ? EXIT.ok : EXIT.failed;
}

export async function measureBudgets({ runs, budgets }: Budgets): Promise<Judgement[]> {
  const outcomes = new Map<string, Outcome>();
  for (const [name, words] of Object.entries(runs)) {
    const measure = (): Promise<Outcome> => runProfile(words.split(' '));
    outcomes.set(name, await quietest(measure, (outcome) => spreadOf(name, budgets, outcome)));
  }
  return budgets.map((budget) => judge(budget, outcomes));
}

/**
 * Measures, and again while the machine does something else too: the quietest counts, whatever its figures are. But a failure
 * counts always.
 */
export async function quietest(
  measure: () => Promise<Outcome>,
  spreadOfOne: (outcome: Outcome) => number,
): Promise<Outcome> {
  let best = await measure();
  for (let i = 0; i < AGAIN_MAX && isUnsure({ spread: spreadOfOne(best) }); i++) {
    if (best.failure !== undefined) break;
    const other = await measure();
    if (other.failure !== undefined || spreadOfOne(other) < spreadOfOne(best)) best = other;
  }
  return best;
}

function complaintOf({
  name,
  figure,
  must,
  better,
  verdict,
  spread,
  because,
  commands,
}: Judgement): string {
  const again = commands.map((command) => `  ${command}`).join('\n');
  if (verdict === 'unmeasured') return `not measured: ${name}: ${because}\n${again}`;
  const busy = isUnsure({ spread })
    ? ` (spread ${spread}: the machine did something else too, measure again)`
    : '';
  const bound = better === 'lower' ? 'at most' : 'at least';
  return `short: ${name}: ${figure}, ${bound} ${must} was promised${busy}\n${again}`;
}

function tableOf(judgements: readonly Judgement[]): string {
  const columns = [
    { title: 'budget' },
    { title: 'figure', right: true },
    { title: 'must', right: true },
    { title: 'ambition', right: true },
    { title: 'spread', right: true },
    { title: 'reached' },
  ];
  const rows = judgements.map(({ name, figure, must, ambition, better, spread, verdict }) => {
    const sign = better === 'lower' ? '<=' : '>=';
    const colour = verdict === 'ambition' || verdict === 'must' ? 'green' : 'red';
    return [
      name,
      figure === null ? '-' : `${figure}`,
      `${sign} ${must}`,
      `${sign} ${ambition}`,
      spread === null ? '-' : spread.toFixed(2),
      paint(colour, `${WORDS[verdict]}${isUnsure({ spread }) ? ', unsure' : ''}`),
    ];
  });
  return table(columns, rows);
}
