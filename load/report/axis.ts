/** Scales, their marks, and numbers as people read them. Pure functions. */

export type ScaleKind = 'linear' | 'log' | 'log2';

export interface Scale {
  /** From a value to a place between 0 and 1. */
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** A linear scale begins at 0 if `fromZero`, so that lengths can be compared. */
export function scaleOf(values: readonly number[], kind: ScaleKind, fromZero: boolean): Scale {
  const positive = kind === 'linear' ? values : values.filter((value) => value > 0);
  const [least, most] = [Math.min(...positive), Math.max(...positive)];
  if (kind === 'linear') return linear(fromZero ? Math.min(0, least) : least, most);
  return logarithmic(least, most, kind === 'log2' ? 2 : 10, kind === 'log');
}

function linear(least: number, most: number): Scale {
  const step = niceStep((most - least) / 5 || 1);
  const first = Math.floor(least / step) * step;
  const last = Math.max(first + step, Math.ceil(most / step - 1e-9) * step);
  const count = Math.round((last - first) / step);
  return {
    at: (value) => (value - first) / (last - first),
    ticks: Array.from({ length: count + 1 }, (_, i) => Number((first + i * step).toPrecision(12))),
  };
}

/** 1, 2, 2.5 or 5 times a power of ten, at least `about`. */
function niceStep(about: number): number {
  const power = 10 ** Math.floor(Math.log10(about));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= about * 0.999)!;
}

/** Whole powers at both ends where `whole`, so that the last mark is above the last point. */
function logarithmic(least: number, most: number, base: number, whole: boolean): Scale {
  const log = (value: number): number => Math.log(value) / Math.log(base);
  const first = whole ? Math.floor(log(least) + 1e-9) : log(least);
  const last = whole ? Math.max(first + 1, Math.ceil(log(most) - 1e-9)) : log(most);
  const powers: number[] = [];
  for (let power = Math.ceil(first - 1e-9); power <= last + 1e-9; power++)
    powers.push(base ** power);
  return { at: (value) => (log(value) - first) / (last - first || 1), ticks: thinned(powers) };
}

/** Every mark, or every second or third, so that they do not touch. */
function thinned(ticks: readonly number[]): number[] {
  const every = Math.ceil(ticks.length / 13);
  return ticks.filter((_, i) => i % every === 0);
}

const SUFFIXES = [
  { from: 1e9, suffix: ' G' },
  { from: 1e6, suffix: ' M' },
  { from: 1e4, suffix: ' k' },
] as const;

/** Three digits that count, with k, M or G behind large ones. */
export function short(value: number): string {
  const found = SUFFIXES.find(({ from }) => Math.abs(value) >= from);
  const divisor = found === undefined ? 1 : found.suffix === ' k' ? 1e3 : found.from;
  const digits = Number((value / divisor).toPrecision(3));
  return `${digits.toLocaleString('en-US', { maximumFractionDigits: 4 })}${found?.suffix ?? ''}`;
}
