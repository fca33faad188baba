/** Scales, their marks, and numbers as people read them. Pure functions. */

export type ScaleKind = 'linear' | 'log';

export interface Scale {
  /** From a value to a place between 0 and 1. */
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** More marks would touch each other. */
const CHOICES_MARKED = 10;

/** For figures: round marks that span the values, from 0 on if linear, so that lengths can be compared. */
export function figureScale(values: readonly number[], kind: ScaleKind): Scale {
  return kind === 'log'
    ? logarithmic(values.filter((value) => value > 0))
    : linear(Math.max(...values));
}

/** For what was chosen: the values themselves are the marks, the outer ones at the ends. */
export function choiceScale(values: readonly number[], kind: ScaleKind): Scale {
  const place = kind === 'log' ? Math.log : (value: number): number => value;
  const ticks = [...new Set(values)].toSorted((a, b) => a - b);
  const [first, last] = [place(ticks[0]!), place(ticks.at(-1)!)];
  const every = Math.ceil(ticks.length / CHOICES_MARKED);
  return {
    at: (value) => (first === last ? 0.5 : (place(value) - first) / (last - first)),
    ticks: ticks.filter((_, i) => i % every === 0),
  };
}

function linear(most: number): Scale {
  const step = niceStep(most / 5 || 1);
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  return {
    at: (value) => value / (count * step),
    ticks: Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12))),
  };
}

/** 1, 2, 2.5 or 5 times a power of ten, at least `about`. */
function niceStep(about: number): number {
  const power = 10 ** Math.floor(Math.log10(about));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= about * 0.999)!;
}

function logarithmic(values: readonly number[]): Scale {
  const first = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    at: (value) => (Math.log10(value) - first) / (last - first),
    ticks: Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)),
  };
}

/** A number that somebody chose is told whole as long as it is short. */
export function exact(value: number): string {
  return Number.isInteger(value) && value < 1e5 ? value.toLocaleString('en-US') : short(value);
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
