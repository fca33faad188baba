/**
 * A history that cannot be, made small: the few calls that show why.
 *
 * It starts when the impossible call is invoked, with the tables that were possible then and the calls that were running.
 * Of those and of the calls after them as many are left out, whole, as can be. Two things keep that honest:
 *
 * - the rest must still go well up to the impossible call's response, and fail there;
 * - whatever each slot of that call could hold while it ran, it can still hold. So nothing becomes impossible because a
 *   call was left out: that may add what is possible, never take it away.
 */
import { advance, carriedOn, openSearch, slotsOfCall } from './checker.ts';
import type { Checked, Search } from './checker.ts';
import { DONE, PERHAPS, isNew, openSeen } from './configuration.ts';
import type { Configuration } from './configuration.ts';
import { eventsOf } from './history.ts';
import type { History } from './history.ts';

export interface Shrunk {
  readonly history: History;
  readonly impossible: number;
  /** When the impossible call was invoked; its configurations are what was possible then. */
  readonly start: Search;
  /** The calls that are left, by invocation; the impossible one is among them. */
  readonly calls: readonly number[];
}

/** A window of a history, and what must stay of it. */
interface Window {
  readonly history: History;
  readonly checked: Checked;
  readonly impossible: number;
  readonly start: Search;
  readonly events: Int32Array;
  /** Where in a configuration the impossible call looks; of what it may find there, all. */
  readonly places: readonly number[];
}

/** Tries at most; with histories of a round a try takes a millisecond or so. */
const TRIES_MAX = 6000;
/** With so few calls left, two at a time are tried: one that undoes the other. */
const FEW = 48;

export function shrink(history: History, checked: Checked, impossible: number): Shrunk {
  const events = eventsOf(history);
  const end = events.indexOf(2 * impossible + 1) + 1;
  const from = events.indexOf(2 * impossible);
  const start = openSearch(history, checked);
  for (const event of events.subarray(0, from)) advance(start, event);
  const window: Window = {
    history,
    checked,
    impossible,
    start,
    events: events.subarray(from, end),
    places: placesOf(start, impossible),
  };
  const begun = [...window.events].filter((event) => (event & 1) === 0).map((event) => event >> 1);
  const all = [...start.running].filter((call) => call !== -1).concat(begun);
  const needed = found(window, new Set(all)) ?? [];
  const kept = leftOver(window, all, needed);
  return { history, impossible, start, calls: kept };
}

/** Its slots; and what is not a slot, as far as the call may look at it. */
function placesOf(search: Search, call: number): number[] {
  const { layout } = search;
  const others = Array.from({ length: layout.progress - layout.order }, (_, i) => layout.order + i);
  return [...slotsOfCall(search, call), ...others];
}

/** As many calls as possible less. */
function leftOver(
  window: Window,
  all: readonly number[],
  needed: readonly Configuration[],
): number[] {
  let kept = all.filter((call) => call !== window.impossible);
  let tries = 0;
  const tryWithout = (dropped: ReadonlySet<number>): boolean => {
    if (tries++ > TRIES_MAX) return false;
    const rest = kept.filter((call) => !dropped.has(call));
    const states = found(window, new Set([...rest, window.impossible]));
    if (states === undefined || !covers(window, states, needed)) return false;
    kept = rest;
    return true;
  };
  for (let before = -1; before !== kept.length; ) {
    before = kept.length;
    for (let size = kept.length; size >= 1; size >>= 1) {
      for (let at = kept.length - size; at > -size; at -= size) {
        tryWithout(new Set(kept.slice(Math.max(at, 0), at + size)));
      }
    }
    if (kept.length <= FEW) tryPairs(() => kept, tryWithout);
  }
  return [...kept, window.impossible].sort(
    (a, b) => window.history.invoked[a]! - window.history.invoked[b]!,
  );
}

function tryPairs(
  kept: () => readonly number[],
  tryWithout: (dropped: ReadonlySet<number>) => boolean,
): void {
  for (let i = kept().length - 1; i > 0; i--) {
    for (let j = i - 1; j >= 0 && i < kept().length; j--) {
      if (tryWithout(new Set([kept()[i]!, kept()[j]!]))) break;
    }
  }
}

/**
 * What can be in the places of the impossible call while it runs, if only these calls are made; undefined: they do not
 * go well up to its response, or it is possible.
 */
function found(window: Window, calls: ReadonlySet<number>): Configuration[] | undefined {
  const { history, checked, impossible, start, events } = window;
  const search = openSearch(history, checked);
  search.configurations = start.configurations.map((at) => at.slice());
  for (const [thread, call] of start.running.entries())
    resume(search, thread, call, calls.has(call));
  const states = openSeen();
  for (const event of events) {
    const call = event >> 1;
    if (!calls.has(call)) continue;
    if (event !== 2 * impossible)
      collect(search, history.thread[impossible]!, window.places, states);
    if (!advance(search, event)) return event === 2 * impossible + 1 ? states.all : undefined;
  }
  return undefined;
}

/** A call that was running at the start goes on; or it does nothing more. */
function resume(search: Search, thread: number, call: number, goesOn: boolean): void {
  if (goesOn) {
    advance(search, 2 * call);
    return;
  }
  for (const at of search.configurations) at[search.layout.progress + thread] = 0;
}

/** Everything that can be now, by steps of all running calls but one. */
function collect(
  search: Search,
  except: number,
  places: readonly number[],
  into: ReturnType<typeof openSeen>,
): void {
  const seen = openSeen();
  const stack = [...search.configurations];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (!isNew(seen, at)) continue;
    const state = places.map((place) => at[place]!);
    isNew(into, state);
    for (const [thread, call] of search.running.entries()) {
      if (call === -1 || thread === except || at[search.layout.progress + thread] === DONE)
        continue;
      const next = carriedOn(search, at, thread);
      if (next !== undefined) stack.push(next);
    }
  }
}

/** Is all that must be possible there, or more? */
function covers(
  { history, impossible, start, places }: Window,
  states: readonly Configuration[],
  needed: readonly Configuration[],
): boolean {
  const { layout, states: slotStates } = start;
  const isEnter = history.requests[history.request[impossible]!]!.name === 'H_ENTER';
  const covered = (place: number, wanted: number, has: number): boolean => {
    if (wanted === has) return true;
    if (place >= layout.referenced) return has === PERHAPS;
    if (place >= layout.order) return false;
    const entries = slotStates.sets[has]!;
    return slotStates.sets[wanted]!.every((entry) => entries.includes(entry));
  };
  // H_PTEG_FULL is about eight slots at one instant; every other step about one.
  if (isEnter) {
    return needed.every((wanted) =>
      states.some((state) => places.every((place, i) => covered(place, wanted[i]!, state[i]!))),
    );
  }
  return places.every((place, i) => {
    const has = new Set(states.map((state) => state[i]!));
    return [...new Set(needed.map((wanted) => wanted[i]!))].every((wanted) =>
      [...has].some((value) => covered(place, wanted, value)),
    );
  });
}
