/**
 * "Did you mean …?": the name that was probably meant, for messages to people. Never on a hot path.
 */

/** Longer input is no misspelt name, and the distance costs its length times that of every name. */
const LENGTH_MAX = 64;

/**
 * The nearest of `names` in letters added, dropped and changed, if it is near enough to be meant.
 */
export function nearest(text: string, names: Iterable<string>): string | undefined {
  if (text.length > LENGTH_MAX) return undefined;
  const wanted = text.toUpperCase();
  let best: string | undefined;
  let least = Math.max(2, Math.floor(text.length / 3)) + 1;
  for (const name of names) {
    const steps = distance(wanted, name.toUpperCase());
    if (steps < least) {
      least = steps;
      best = name;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
