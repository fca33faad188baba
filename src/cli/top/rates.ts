/** What happened between two looks at a daemon, as rates: what `hptd top --json` prints, an object an interval. Pure. */
import type { GuestLook, Look } from './scrape.ts';

export interface Occupancy {
  readonly order: number;
  readonly entries: number;
  readonly occupied: number;
}

export interface HcallRate {
  readonly hcall: string;
  readonly status: string;
  readonly perSecond: number;
  readonly total: number;
}

export interface GuestRates {
  readonly guest: string;
  readonly streams: number;
  readonly hcallsPerSecond: number;
  readonly hcalls: readonly HcallRate[];
  readonly lockWaitsPerSecond: number;
  readonly chainWaitsPerSecond: number;
  readonly secondPassesPerSecond: number;
  readonly tlbiesPerSecond: number;
  readonly submittedBytes: number;
  readonly answerBytes: number;
  /** null: it has no table, or nobody has looked yet. */
  readonly occupancy: Occupancy | null;
}

export interface Rates {
  readonly at: string;
  readonly seconds: number;
  readonly processors: number;
  readonly processorDeaths: number;
  readonly residentBytes: number;
  readonly cpusBusy: number;
  readonly hcallsPerSecond: number;
  /** The busiest first. */
  readonly guests: readonly GuestRates[];
}

export function ratesBetween(
  before: Look,
  now: Look,
  occupancies: ReadonlyMap<string, Occupancy>,
): Rates {
  const seconds = (now.atMillis - before.atMillis) / 1000;
  const guests = [...now.guests].map(([guest, look]) => ({
    guest,
    ...guestRates(before.guests.get(guest), look, seconds),
    occupancy: occupancies.get(guest) ?? null,
  }));
  return {
    at: new Date(now.atMillis).toISOString(),
    seconds,
    processors: now.processors,
    processorDeaths: now.processorDeaths,
    residentBytes: now.residentBytes,
    cpusBusy: (now.cpuSeconds - before.cpuSeconds) / seconds,
    hcallsPerSecond: guests.reduce((sum, { hcallsPerSecond }) => sum + hcallsPerSecond, 0),
    guests: guests.toSorted((a, b) => b.hcallsPerSecond - a.hcallsPerSecond),
  };
}

/** A guest that was not there before, or that was created anew, begins at 0. */
function guestRates(before: GuestLook | undefined, now: GuestLook, seconds: number) {
  const per = (later: number, earlier = 0): number =>
    (later - (later < earlier ? 0 : earlier)) / seconds;
  const hcalls = now.answers.map(({ hcall, status, count }) => {
    const earlier = before?.answers.find((one) => one.hcall === hcall && one.status === status);
    return { hcall, status, perSecond: per(count, earlier?.count), total: count };
  });
  return {
    streams: now.streams,
    hcallsPerSecond: hcalls.reduce((sum, { perSecond }) => sum + perSecond, 0),
    hcalls: hcalls.toSorted((a, b) => b.perSecond - a.perSecond || b.total - a.total),
    lockWaitsPerSecond: per(now.lockWaits, before?.lockWaits),
    chainWaitsPerSecond: per(now.chainWaits, before?.chainWaits),
    secondPassesPerSecond: per(now.secondPasses, before?.secondPasses),
    tlbiesPerSecond: per(now.tlbies, before?.tlbies),
    submittedBytes: now.submittedBytes,
    answerBytes: now.answerBytes,
  };
}
