/** Curves as SVG text. Colours come from the page (--line-0 and so on), so that they follow its light or dark. */
import { choiceScale, exact, figureScale, type Scale, short } from './axis.ts';
import type { Line } from './lines.ts';
import type { Plot } from './sections.ts';

const WIDTH = 760;
const HEIGHT = 340;
const LEFT = 74;
const TOP = 34;
const BOTTOM = 52;
const LABEL_HEIGHT = 16;
const LETTER_WIDTH = 7.6;
export const COLOURS = 6;

export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

interface Frame {
  readonly right: number;
  readonly x: (value: string | number) => number;
  readonly y: (value: number) => number;
}

/** Curves over an axis of numbers, each named at its end. */
export function curvesSvg(plot: Plot, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const x = choiceScale(
    all.map((point) => Number(point.x)),
    plot.x.scale ?? 'linear',
  );
  const y = figureScale(
    all.map((point) => point.y),
    plot.y.scale ?? 'linear',
  );
  const right = WIDTH - 22 - Math.max(...lines.map(({ label }) => label.length)) * LETTER_WIDTH;
  const frame = {
    right,
    x: (value: string | number) => LEFT + x.at(Number(value)) * (right - LEFT),
    y: (value: number) => HEIGHT - BOTTOM - y.at(value) * (HEIGHT - BOTTOM - TOP),
  };
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(plot.title)}">
${yAxis(plot, y, frame)}${xAxis(plot, x.ticks, frame)}${lines.map((line, i) => curve(line, i, frame)).join('')}${endLabels(lines, frame)}</svg>`;
}

export function withUnit(title: string, unit: string): string {
  return unit === '' ? title : `${title} (${unit})`;
}

function yAxis({ y: { title, unit } }: Plot, scale: Scale, { right, y }: Frame): string {
  const ticks = scale.ticks.map(
    (tick) =>
      `<line class="grid" x1="${LEFT}" x2="${right}" y1="${y(tick)}" y2="${y(tick)}"/><text class="tick" x="${LEFT - 8}" y="${y(tick) + 4}" text-anchor="end">${short(tick)}</text>`,
  );
  return `<text class="axis" x="6" y="16">${escaped(withUnit(title, unit))}</text>${ticks.join('')}`;
}

function xAxis(
  { x: { title, unit } }: Plot,
  ticks: readonly number[],
  { right, x }: Frame,
): string {
  const base = HEIGHT - BOTTOM;
  const marks = ticks.map((tick) => {
    return `<line class="mark" x1="${x(tick)}" x2="${x(tick)}" y1="${base}" y2="${base + 5}"/><text class="tick" x="${x(tick)}" y="${base + 19}" text-anchor="middle">${exact(tick)}</text>`;
  });
  return `<line class="base" x1="${LEFT}" x2="${right}" y1="${base}" y2="${base}"/>${marks.join('')}<text class="axis" x="${(LEFT + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(withUnit(title, unit))}</text>`;
}

/** Yardsticks are told from the line that they belong to by being broken. */
function style({ isYardstick }: Line, index: number): string {
  return `style="--colour:var(--line-${index % COLOURS})"${isYardstick ? ' stroke-dasharray="5 4"' : ''}`;
}

function curve(line: Line, index: number, { x, y }: Frame): string {
  const path = line.points
    .map((point, i) => `${i === 0 ? 'M' : 'L'}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`)
    .join('');
  const dots = line.points.map(
    (point) =>
      `<circle class="dot" ${style(line, index)} cx="${x(point.x).toFixed(1)}" cy="${y(point.y).toFixed(1)}" r="3.5"><title>${escaped(line.label)}: ${short(point.y)} at ${typeof point.x === 'number' ? short(point.x) : escaped(point.x)}</title></circle>`,
  );
  return `<path class="curve" ${style(line, index)} d="${path}"/>${dots.join('')}`;
}

/** Names stand at the ends of their lines, pushed apart where those lie close. */
function endLabels(lines: readonly Line[], { right, y }: Frame): string {
  const labels = lines
    .map((line, index) => ({ line, index, at: y(line.points.at(-1)!.y) }))
    .toSorted((a, b) => a.at - b.at);
  for (let i = 1; i < labels.length; i++) {
    labels[i]!.at = Math.max(labels[i]!.at, labels[i - 1]!.at + LABEL_HEIGHT);
  }
  for (let i = labels.length - 1, lowest = HEIGHT - BOTTOM; i >= 0; i--) {
    labels[i]!.at = Math.min(labels[i]!.at, lowest);
    lowest = labels[i]!.at - LABEL_HEIGHT;
  }
  return labels
    .map(
      ({ line, index, at }) =>
        `<text class="name" style="--colour:var(--line-${index % COLOURS})" x="${right + 10}" y="${(at + 4).toFixed(1)}">${escaped(line.label)}</text>`,
    )
    .join('');
}
