/** Judges the windows of a soak: does something grow that should not, do answers take longer and longer? */
import { median } from '../statistics.ts';
import type { Usage } from './child.ts';
import type { Deed } from './state.ts';

export interface Window extends Usage, Readonly<Record<Deed, number>> {
  /** Since the soak began, at the window's end. */
  readonly seconds: number;
  readonly p50Millis: number;
  readonly p99Millis: number;
  /** The 99th percentile of how late the load's own timers were. */
  readonly delayP99Millis: number;
}

export interface Trends {
  /** From the end of the warm-up to the end of the soak, along the median slope. */
  readonly rssGrowthMiB: number;
  readonly fdGrowth: number;
  readonly handleGrowth: number;
  readonly addressGrowthGiB: number;
  /** Late windows' median over early windows'. */
  readonly p99Drift: number;
  readonly delayDrift: number;
}

/** V8's heap and its buffers breathe by so much. */
const RSS_ALLOWED_MIB = 48;
const RSS_ALLOWED_SHARE = 0.15;
/** A peer more or less at the moment of looking. */
const FDS_ALLOWED = 6;
const HANDLES_ALLOWED = 8;
/** Two guests at the moment of looking, and one being released. */
const ADDRESS_ALLOWED_GIB = 36;
const DRIFT_ALLOWED = 3;
/** Below this a drift is the machine's. */
const DRIFT_FROM_MILLIS = 50;
/** In a shorter soak a window is a few frames, and its 99th percentile one of them. */
const DRIFT_SECONDS_MIN = 60;
/** Fewer show no trend. */
const WINDOWS_MIN = 4;

/** Windows in which the heap grows to its size, caches fill, code is compiled: a quarter. */
export function warmedUp(windows: readonly Window[]): readonly Window[] {
  return windows.slice(Math.floor(windows.length / 4));
}

export function trendsOf(all: readonly Window[]): Trends {
  const windows = warmedUp(all);
  const growth = (of: (window: Window) => number): number =>
    Math.round(slope(windows, of) * span(windows));
  return {
    rssGrowthMiB: growth(({ rssMiB }) => rssMiB),
    fdGrowth: growth(({ fds }) => fds),
    handleGrowth: growth(({ handles }) => handles),
    addressGrowthGiB: growth(({ addressGiB }) => addressGiB),
    p99Drift: drift(windows, ({ p99Millis }) => p99Millis),
    delayDrift: drift(windows, ({ delayP99Millis }) => delayP99Millis),
  };
}

/** What is wrong, one line each; empty: nothing, or too few windows to tell. */
export function judge(all: readonly Window[]): string[] {
  const windows = warmedUp(all);
  if (windows.length < WINDOWS_MIN) return [];
  const trends = trendsOf(all);
  const found: string[] = [];
  const rssAllowed = Math.max(
    RSS_ALLOWED_MIB,
    RSS_ALLOWED_SHARE * median(windows.map(({ rssMiB }) => rssMiB)),
  );
  const seconds = span(windows);
  const grew = (what: string, growth: number, allowed: number, unit = ''): void => {
    if (growth <= allowed) return;
    found.push(
      `leak: ${what} grew by ${growth}${unit} in ${Math.round(seconds)} s, more than ${Math.round(allowed)}${unit}`,
    );
  };
  grew('resident memory', trends.rssGrowthMiB, rssAllowed, ' MiB');
  grew('file descriptors', trends.fdGrowth, FDS_ALLOWED);
  grew('handles', trends.handleGrowth, HANDLES_ALLOWED);
  grew('address space (guests)', trends.addressGrowthGiB, ADDRESS_ALLOWED_GIB, ' GiB');
  const late = median(thirds(windows).late.map(({ p99Millis }) => p99Millis));
  // A machine that became busy delays the load's own timers too.
  if (
    seconds > DRIFT_SECONDS_MIN &&
    late > DRIFT_FROM_MILLIS &&
    trends.p99Drift > DRIFT_ALLOWED * Math.max(1, trends.delayDrift)
  ) {
    found.push(
      `drift: p99 is ${late.toFixed(0)} ms, ${trends.p99Drift.toFixed(1)} times that of the early windows`,
    );
  }
  return found;
}

function span(windows: readonly Window[]): number {
  return (windows.at(-1)?.seconds ?? 0) - (windows[0]?.seconds ?? 0);
}

/** The median of the slopes between all pairs of windows, per second: a few odd windows do not move it. */
function slope(windows: readonly Window[], of: (window: Window) => number): number {
  const slopes: number[] = [];
  for (const [i, from] of windows.entries()) {
    for (const to of windows.slice(i + 1)) {
      slopes.push((of(to) - of(from)) / (to.seconds - from.seconds));
    }
  }
  return slopes.length === 0 ? 0 : median(slopes);
}

function thirds(windows: readonly Window[]) {
  const third = Math.max(1, Math.floor(windows.length / 3));
  return { early: windows.slice(0, third), late: windows.slice(-third) };
}

function drift(windows: readonly Window[], of: (window: Window) => number): number {
  if (windows.length === 0) return 1;
  const { early, late } = thirds(windows);
  return median(late.map(of)) / Math.max(1, median(early.map(of)));
}
