/** The promises of budgets.json, and what measured figures make of them. No measuring here: pure functions. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Json, Outcome } from '../run-profile.ts';
import { rounded } from '../statistics.ts';

/** `RUN:path`: the run's JSON, and where in it (see `valuesAt`). */
const place = z.string().regex(/^[\w-]+:.+$/, 'a place is written RUN:PATH');

const budget = z.strictObject({
  name: z.string(),
  figure: place,
  /** The figure is divided by this one. */
  over: place.optional(),
  /** How far rounds lay apart; the greatest is told. */
  spread: z.array(place).default([]),
  better: z.enum(['lower', 'higher']),
  must: z.number(),
  ambition: z.number(),
  because: z.string(),
});

const file = z.strictObject({
  /** Words behind `npm run -s load --`, by name. */
  runs: z.record(z.string(), z.string()),
  budgets: z.array(budget),
});

export type Budget = z.output<typeof budget>;
export type Budgets = z.output<typeof file>;

export type Verdict = 'ambition' | 'must' | 'short' | 'unmeasured';

export interface Judgement {
  readonly name: string;
  readonly figure: number | null;
  readonly must: number;
  readonly ambition: number;
  readonly better: Budget['better'];
  readonly spread: number | null;
  readonly verdict: Verdict;
  /** What to type to see it again. */
  readonly commands: readonly string[];
  /** Why it could not be measured; else why the budget is what it is. */
  readonly because: string;
}

/** Above it the machine did something else too. */
const SPREAD_MAX = 0.2;

/** A figure of a busy machine proves nothing, whichever side of the bound it is on. */
export function isUnsure({ spread }: Pick<Judgement, 'spread'>): boolean {
  return spread !== null && spread > SPREAD_MAX;
}

/** How far a run's rounds lay apart, the greatest that its budgets tell. 0: none does. */
export function spreadOf(
  run: string,
  budgets: readonly Budget[],
  { json }: Pick<Outcome, 'json'>,
): number {
  const places = budgets.flatMap(({ spread }) => spread).filter((at) => runOf(at) === run);
  const spreads = places.flatMap((at) => (json === undefined ? [] : valuesAt(json, pathOf(at))));
  return Math.max(0, ...spreads);
}

export function readBudgets(): Budgets {
  return parseBudgets(readFileSync(new URL('../budgets.json', import.meta.url), 'utf8'));
}

/** Throws where a budget names a run that is not there. */
export function parseBudgets(text: string): Budgets {
  const parsed = file.parse(JSON.parse(text));
  for (const { name, figure, over, spread } of parsed.budgets) {
    for (const one of [figure, ...(over === undefined ? [] : [over]), ...spread]) {
      if (!(runOf(one) in parsed.runs)) throw new Error(`${name}: there is no run ${runOf(one)}`);
    }
  }
  return parsed;
}

function runOf(text: string): string {
  return text.slice(0, text.indexOf(':'));
}

function pathOf(text: string): string {
  return text.slice(text.indexOf(':') + 1);
}

/**
 * The numbers at a place of JSON: names with points between; `[key=value]` behind a name takes the rows of an array whose
 * member is written so. `results[mix=full][order=18].ratio`
 */
export function valuesAt(json: Json, path: string): number[] {
  let found: unknown[] = [json];
  for (const [, name, filters] of path.matchAll(/\.?([\w-]+)((?:\[[^\]]*\])*)/g)) {
    found = found.flat().map((one) => (one as Json | null)?.[name!]);
    for (const [, key, value] of filters!.matchAll(/\[(\w+)=([^\]]*)\]/g)) {
      found = found.flat().filter((row) => String((row as Json | null)?.[key!]) === value);
    }
  }
  return found
    .flat()
    .filter((value) => typeof value === 'number' && Number.isFinite(value)) as number[];
}

/** What the figures say to a budget. Of several figures at a place the worst counts. */
export function judge(budget: Budget, outcomes: ReadonlyMap<string, Outcome>): Judgement {
  const { name, must, ambition, better, because } = budget;
  const places = [budget.figure, ...(budget.over === undefined ? [] : [budget.over])];
  const runs = [...new Set(places.map(runOf))].map((run) => outcomes.get(run));
  const commands = runs.flatMap((run) => (run === undefined ? [] : [run.command]));
  const common = { name, must, ambition, better, commands };
  const at = (place: string): number[] => {
    const json = outcomes.get(runOf(place))?.json;
    return json === undefined ? [] : valuesAt(json, pathOf(place));
  };
  const worst = (place: string, direction: Budget['better']): number | undefined =>
    at(place).toSorted((a, b) => (direction === 'lower' ? b - a : a - b))[0];
  const upper = worst(budget.figure, better);
  const below =
    budget.over === undefined ? 1 : worst(budget.over, better === 'lower' ? 'higher' : 'lower');
  const spreads = budget.spread.flatMap(at);
  const spread = spreads.length === 0 ? null : Math.max(...spreads);
  if (upper === undefined || below === undefined) {
    const why = runs.map((run) => run?.failure).find((failure) => failure !== undefined);
    return {
      ...common,
      figure: null,
      spread,
      verdict: 'unmeasured',
      because: why ?? `${places.join(' or ')} is not there`,
    };
  }
  const figure = rounded(upper / below, 3);
  return { ...common, figure, spread, verdict: verdictOf(figure, budget), because };
}

function verdictOf(figure: number, { better, must, ambition }: Budget): Verdict {
  const reaches = (goal: number): boolean => (better === 'lower' ? figure <= goal : figure >= goal);
  if (!reaches(must)) return 'short';
  return reaches(ambition) ? 'ambition' : 'must';
}
