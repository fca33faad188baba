/** "Did you mean …?" for commands, hcalls, arguments and flags. */

/** The known word nearest to what was typed, or undefined when none is near. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(typed.length / 3)) + 1;
  for (const word of known) {
    const distance = editDistance(typed.toLowerCase(), word.toLowerCase());
    if (distance < bestDistance) {
      best = word;
      bestDistance = distance;
    }
  }
  return best;
}

/** `no such thing` with the nearest known word, or with all of them when they are few. */
export function unknownWord(what: string, typed: string, known: readonly string[]): string {
  const near = nearest(typed, known);
  if (near !== undefined) return `${what} "${typed}" is not known; did you mean ${near}?`;
  return `${what} "${typed}" is not known; there are ${known.join(', ')}`;
}

/** Levenshtein's distance, a row at a time. */
function editDistance(a: string, b: string): number {
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
