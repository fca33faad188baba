/** Bars as SVG text: lying, because names are long. */
import { figureScale, short } from './axis.ts';
import type { Line } from './lines.ts';
import { COLOURS, escaped, withUnit } from './plot.ts';
import type { Plot } from './sections.ts';

const WIDTH = 760;
const RIGHT = 690;
const TOP = 30;
const BAR = 16;
const GAP = 12;
const LETTER_WIDTH = 6.6;
const LEGEND_ROW = 20;

/** A bar for each line at each name; its figure at its end. */
export function barsSvg(plot: Plot, lines: readonly Line[]): string {
  const names = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => String(x))))];
  const scale = figureScale(
    lines.flatMap(({ points }) => points.map(({ y }) => y)),
    'linear',
  );
  const left = 20 + Math.max(...names.map((name) => name.length)) * LETTER_WIDTH;
  const place = (value: number): number => left + scale.at(value) * (RIGHT - left);
  const step = lines.length * BAR + GAP;
  const base = TOP + names.length * step;
  const legend = lines.length > 1 ? lines.length * LEGEND_ROW : 0;
  const grid = scale.ticks.map(
    (tick) =>
      `<line class="grid" x1="${place(tick)}" x2="${place(tick)}" y1="${TOP - 6}" y2="${base}"/><text class="tick" x="${place(tick)}" y="${base + 16}" text-anchor="middle">${short(tick)}</text>`,
  );
  const rows = names.map((name, row) => {
    const top = TOP + row * step;
    const bars = lines.map((line, i) => barOf(line, i, name, top + i * BAR, left, place));
    const middle = top + (lines.length * BAR) / 2 + 4;
    return `<text class="tick" x="${left - 10}" y="${middle}" text-anchor="end">${escaped(name)}</text>${bars.join('')}`;
  });
  return `<svg viewBox="0 0 ${WIDTH} ${base + 26 + legend}" role="img" aria-label="${escaped(plot.title)}">
<text class="axis" x="${left}" y="14">${escaped(withUnit(plot.y.title, plot.y.unit))}</text>${grid.join('')}${rows.join('')}${legend > 0 ? legendOf(lines, left, base + 32) : ''}</svg>`;
}

function barOf(
  { label, points }: Line,
  index: number,
  name: string,
  top: number,
  left: number,
  place: (value: number) => number,
): string {
  const point = points.find(({ x }) => String(x) === name);
  if (point === undefined) return '';
  const end = place(point.y);
  return `<rect class="bar" ${colour(index)} x="${left}" y="${top + 1}" width="${(end - left).toFixed(1)}" height="${BAR - 2}"><title>${escaped(label)}: ${short(point.y)}</title></rect><text class="value" x="${(end + 6).toFixed(1)}" y="${top + 12}">${short(point.y)}</text>`;
}

function colour(index: number): string {
  return `style="--colour:var(--line-${index % COLOURS})"`;
}

function legendOf(lines: readonly Line[], left: number, top: number): string {
  return lines
    .map(
      ({ label }, i) =>
        `<rect class="bar" ${colour(i)} x="${left}" y="${top + i * LEGEND_ROW}" width="10" height="10"/><text class="tick" x="${left + 16}" y="${top + 9 + i * LEGEND_ROW}">${escaped(label)}</text>`,
    )
    .join('');
}
