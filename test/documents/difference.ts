/** What changed between two texts, as far as a person wants to see it: the lines around the first change. */

const AROUND = 3;
const SHOWN = 40;

/** '' where they are the same. Lines that are the same at both ends are left out. */
export function lineDifference(before: string, after: string): string {
  if (before === after) return '';
  const [old, now] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start++;
  let end = 0;
  while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end))
    end++;
  const piece = (lines: readonly string[], sign: string): string[] => {
    const changed = lines.slice(start, lines.length - end);
    const more = changed.length - SHOWN;
    return [
      ...changed.slice(0, SHOWN).map((line) => sign + line),
      ...(more > 0 ? [`${sign} … and ${more} lines more`] : []),
    ];
  };
  return [
    `@@ line ${start + 1} @@`,
    ...old.slice(Math.max(0, start - AROUND), start).map((line) => ` ${line}`),
    ...piece(old, '-'),
    ...piece(now, '+'),
  ].join('\n');
}
