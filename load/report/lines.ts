/** From a profile's rows to the points of a plot. */
import type { Json } from '../run-profile.ts';
import type { Plot } from './sections.ts';

export interface Point {
  readonly x: string | number;
  readonly y: number;
  /** How far its rounds lay apart. */
  readonly spread: number | undefined;
}

export interface Line {
  readonly label: string;
  readonly isYardstick: boolean;
  readonly points: readonly Point[];
}

/** A line for each part that `split` finds and each series. What was not measured (null) is left out. */
export function linesOf(plot: Plot, rows: readonly Json[]): Line[] {
  const { where = () => true, split = () => '', x } = plot;
  const lines = [...Map.groupBy(rows.filter(where), split)].flatMap(([part, members]) =>
    plot.series.map(({ field, label, spread = '', isYardstick = false }) => ({
      label: [part, label].filter((word) => word !== '').join(' '),
      isYardstick,
      points: members.flatMap((row) => {
        const value = row[field];
        if (typeof value !== 'number') return [];
        const apart = row[spread];
        return [
          {
            x: placeOf(row[x.field]),
            y: value,
            spread: typeof apart === 'number' ? apart : undefined,
          },
        ];
      }),
    })),
  );
  return lines.filter(({ points }) => points.length > 0);
}

/** Numbers have a place on an axis; anything else is a name, of a file its last part. */
function placeOf(value: unknown): string | number {
  return typeof value === 'number'
    ? value
    : String(value).replace(/^.*\//, '').replace('.jsonl.gz', '');
}
