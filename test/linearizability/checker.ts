/**
 * Is a history linearizable? Is there an order of all steps, each between its call's invocation and response, in which
 * the model gives every answer?
 *
 * The search goes through the history in time (Wing & Gong, with the memory of Lowe's "just-in-time" order): it keeps
 * every table that can be behind what was seen so far, with how far each running call is in it (a configuration). When a
 * call responds, it must have taken place: each configuration is carried on by steps of running calls until that call's
 * last one; where none can be, the configuration is given up. When all are, the history is not linearizable.
 *
 * What makes it fast: steps on different slots change nothing for each other, so of the running calls only those are
 * carried on that share a slot with the one that responds, or with one that does. Most calls meet nobody; they are
 * carried out in place. A slot's content is a number, and what a step does to it is looked up (slot-states.ts). And at
 * most one call of each thread is running, so configurations are few.
 */
import { STATUSES } from '../../schemas/statuses.ts';
import { DONE, distinct, emptyConfiguration, isNew, layoutOf } from './configuration.ts';
import type { Configuration, Layout, Seen } from './configuration.ts';
import { eventsOf, statusOf, wordCount } from './history.ts';
import type { History } from './history.ts';
import { planOf, sameWords } from './parts.ts';
import type { Part, Plan, Planner, Universe } from './parts.ts';
import {
  EMPTY,
  emptyTable,
  outcomeBeside,
  outcomeOf,
  perform,
  putState,
  stateIn,
} from './slot-states.ts';
import type { Outcome, SlotStates } from './slot-states.ts';

const NONE = -1;

export interface Search {
  readonly history: History;
  readonly states: SlotStates;
  readonly universe: Universe;
  readonly planner: Planner;
  readonly layout: Layout;
  /** By thread: the call that is running, or NONE. */
  readonly running: Int32Array;
  /** By thread: how its running call is taken apart, in a table of that order; order 0: not looked at yet. */
  readonly plans: { order: number; plan: Plan | undefined }[];
  configurations: Configuration[];
  /** Responses at which running calls met on a slot. */
  met: number;
}

export interface Checked {
  readonly states: SlotStates;
  readonly universe: Universe;
  /**
   * Somebody whose calls are not in the history takes locks too, or attempts to take one fail for no reason:
   * H_BLOCK_REMOVE may find any entry busy.
   */
  readonly strangers: boolean;
}

export function openSearch(history: History, { states, universe, strangers }: Checked): Search {
  const { threads } = history;
  const slots = universe.ptexes.length;
  return {
    history,
    states,
    universe,
    planner: {
      states,
      universe,
      mayBeBusy: (of, call) => strangers || hasCompany(of, call),
      plans: [],
    },
    layout: layoutOf(slots, threads),
    running: new Int32Array(threads).fill(NONE),
    plans: Array.from({ length: threads }, () => ({ order: 0, plan: undefined })),
    configurations: [emptyConfiguration(slots, threads, states.config.order)],
    met: 0,
  };
}

/** The call at whose response no configuration was left; undefined: the history is linearizable. */
export function firstImpossible(search: Search): number | undefined {
  for (const event of eventsOf(search.history)) {
    if (!advance(search, event)) return event >> 1;
  }
  return undefined;
}

/** Goes on by one invocation or response. False: that response is impossible; the search is as it was before. */
export function advance(search: Search, event: number): boolean {
  const call = event >> 1;
  const thread = search.history.thread[call]!;
  if ((event & 1) === 0) {
    search.running[thread] = call;
    search.plans[thread]!.order = 0;
    return true;
  }
  const left = respond(search, thread);
  if (left.length === 0) return false;
  for (const at of left) {
    at[search.layout.progress + thread] = 0;
    at[search.layout.anchor + thread] = 0;
  }
  search.running[thread] = NONE;
  search.configurations = distinct(left);
  return true;
}

/** All configurations in which the thread's running call has taken place. */
function respond(search: Search, thread: number): Configuration[] {
  const [only] = search.configurations;
  if (search.configurations.length === 1 && only![search.layout.progress + thread] === 0) {
    const plan = planFor(search, only!, thread);
    if (plan !== undefined && !plan.wide && companions(search, only!, thread).length === 1) {
      return carriedOut(search, only!, thread, plan);
    }
  }
  search.met++;
  return explore(search, thread);
}

/** In place: nobody else has anything to do with these slots now. */
function carriedOut(
  search: Search,
  from: Configuration,
  thread: number,
  { parts }: Plan,
): Configuration[] {
  const to = parts.length > 1 ? from.slice() : from;
  for (const part of parts) if (!take(search, to, thread, part)) return [];
  return [to];
}

function explore(search: Search, thread: number): Configuration[] {
  const progress = search.layout.progress + thread;
  const found: Configuration[] = [];
  const seen: Seen = new Map();
  const stack: Configuration[] = [];
  for (const at of search.configurations) {
    // What is left of the search when this response proves impossible must be as before, so it is copied.
    if (at[progress] === DONE) found.push(at.slice());
    else stack.push(at);
  }
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (!isNew(seen, at)) continue;
    for (const other of companions(search, at, thread)) {
      const next = carriedOn(search, at, other);
      if (next !== undefined) (next[progress] === DONE ? found : stack).push(next);
    }
  }
  return found;
}

/** One step more of a running call; undefined: it is not possible here. */
function carriedOn(search: Search, at: Configuration, thread: number): Configuration | undefined {
  const plan = planFor(search, at, thread);
  if (plan === undefined) return undefined;
  const progress = search.layout.progress + thread;
  const done = at[progress]!;
  const part = plan.parts[done];
  if (part?.kind === 'table' && someoneIsHalfway(search, at, thread)) return undefined;
  if (part?.kind === 'slot' && !isPossible(search, at, thread, part)) return undefined;
  const next = at.slice();
  if (part !== undefined && !take(search, next, thread, part)) return undefined;
  next[progress] = done + 1 >= plan.parts.length ? DONE : done + 1;
  return next;
}

/** A call of several steps keeps its table: it is replaced between calls only. */
function someoneIsHalfway(
  { running, layout }: Search,
  at: Configuration,
  exceptFor: number,
): boolean {
  return running.some((_, thread) => thread !== exceptFor && at[layout.progress + thread]! > 0);
}

/** The thread, and those whose running calls have something to do with its call, directly or through each other. */
function companions(search: Search, at: Configuration, thread: number): number[] {
  const own = planFor(search, at, thread);
  const threads = [thread];
  let mask = own?.mask;
  let wide = own === undefined || own.wide;
  for (let grown = true; grown; ) {
    grown = false;
    for (let other = 0; other < search.running.length; other++) {
      if (search.running[other] === NONE || at[search.layout.progress + other] === DONE) continue;
      if (threads.includes(other)) continue;
      const plan = planFor(search, at, other);
      if (plan === undefined) continue;
      if (!wide && !plan.wide && !meet(mask!, plan.mask)) continue;
      threads.push(other);
      wide ||= plan.wide;
      mask = mask?.map((word, i) => word | plan.mask[i]!);
      grown = true;
    }
  }
  return threads;
}

/** The slots of a call in the tables that are possible now, for a report. */
export function slotsTouched(
  search: Search,
  call: number,
): { mask: readonly number[]; wide: boolean } {
  const order = search.configurations[0]?.[search.layout.order] ?? search.states.config.order;
  return planOf(search.planner, search.history, call, order) ?? { mask: [], wide: true };
}

function meet(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i++) if ((a[i]! & b[i]!) !== 0) return true;
  return false;
}

function planFor(search: Search, at: Configuration, thread: number): Plan | undefined {
  const known = search.plans[thread]!;
  const order = at[search.layout.order]!;
  if (known.order !== order) {
    known.order = order;
    known.plan = planOf(search.planner, search.history, search.running[thread]!, order);
  }
  return known.plan;
}

/** Takes a step, changing the configuration. False: the model would have answered something else. */
function take(search: Search, at: Configuration, thread: number, part: Part): boolean {
  const call = search.running[thread]!;
  switch (part.kind) {
    case 'slot':
      return takeOnSlot(search, at, thread, part);
    case 'full':
      return isFull(search, at, part);
    case 'prepare':
      return takePreparation(search, at, call, part);
    case 'table':
      return takeTable(search, at, call, part);
    default:
      return part.kind satisfies never;
  }
}

function isFull({ states }: Search, at: Configuration, { slot }: Part): boolean {
  for (let i = slot; i < slot + 8; i++) if (!states.occupied[at[i]!]) return false;
  return true;
}

function takeOnSlot(search: Search, at: Configuration, thread: number, part: Part): boolean {
  const outcome = outcomeAt(search, at, thread, part);
  if (!answersSo(search, thread, part, outcome)) return false;
  if (part.setsAnchor) at[search.layout.anchor + thread] = at[part.slot]!;
  at[part.slot] = outcome.next;
  return true;
}

function isPossible(search: Search, at: Configuration, thread: number, part: Part): boolean {
  return answersSo(search, thread, part, outcomeAt(search, at, thread, part));
}

function outcomeAt(
  { states, universe, layout }: Search,
  at: Configuration,
  thread: number,
  { piece, slot, anchorSlot }: Part,
): Outcome {
  const ptex = universe.ptexes[slot]!;
  const order = at[layout.order]!;
  if (anchorSlot === -1) return outcomeOf(states, piece, order, ptex, at[slot]!);
  const anchor = at[layout.anchor + thread]!;
  const anchorPtex = universe.ptexes[anchorSlot]!;
  return outcomeBeside(states, piece, order, ptex, at[slot]!, anchor, anchorPtex);
}

function answersSo(
  { history, running }: Search,
  thread: number,
  part: Part,
  { status, words, undefinedWords }: Outcome,
): boolean {
  const call = running[thread]!;
  if (!part.whole) return sameWords(history, call, part, part.words, words, undefinedWords);
  const count = wordCount(history, call);
  if (statusOf(history, call) !== status || count * 2 !== words.length) return false;
  return sameWords(history, call, part, count, words, undefinedWords);
}

/**
 * H_RESIZE_HPT_PREPARE, and the H_RESIZE_HPT_COMMITs that change no table. For the model a preparation is ready by the
 * next call; here it may take longer, until somebody was told that it is.
 */
function takePreparation(
  { history, states, layout }: Search,
  at: Configuration,
  call: number,
  part: Part,
): boolean {
  const request = states.pieces[part.piece]!;
  const status = statusOf(history, call);
  const pending = at[layout.pending]!;
  const mayTakeLonger =
    pending !== 0 && pending === Number(request.args[1]) && at[layout.ready] === 0;
  const isPrepare = request.name === 'H_RESIZE_HPT_PREPARE';
  const table = { ...emptyTable(states, at[layout.order]!), pendingOrder: pending };
  const expected = perform(table, request);
  if (mayTakeLonger && expected.status === STATUSES.H_SUCCESS) {
    if (isPrepare && status === STATUSES.H_LONG_BUSY_ORDER_100_MSEC) return true;
    if (status !== (isPrepare ? STATUSES.H_SUCCESS : STATUSES.H_BUSY)) return false;
  } else if (status !== expected.status) {
    return false;
  }
  at[layout.pending] = table.pendingOrder;
  const isReady = table.pendingOrder === pending && pending !== 0 && status === STATUSES.H_SUCCESS;
  if (isReady) at[layout.ready] = 1;
  else if (table.pendingOrder !== pending) at[layout.ready] = 0;
  return true;
}

/** Asks the model to replace the whole table. */
function takeTable(
  { history, states, universe, layout }: Search,
  at: Configuration,
  call: number,
  part: Part,
): boolean {
  const table = { ...emptyTable(states, at[layout.order]!), pendingOrder: at[layout.pending]! };
  for (const [slot, ptex] of universe.ptexes.entries()) putState(states, table, ptex, at[slot]!);
  const { status } = perform(table, states.pieces[part.piece]!);
  if (status !== statusOf(history, call)) return false;
  for (const ptex of table.entries.keys()) {
    if (!universe.slotOf.has(ptex) && stateIn(states, table, ptex) !== EMPTY) {
      throw new Error(`an entry went to ${ptex}, which is not in the universe`);
    }
  }
  for (const [slot, ptex] of universe.ptexes.entries()) at[slot] = stateIn(states, table, ptex);
  at[layout.order] = table.order;
  at[layout.pending] = table.pendingOrder;
  at[layout.ready] = 0;
  return true;
}

/** Did another call run at the same time? Its locks may have been in the way. */
function hasCompany({ thread, invoked, responded }: History, call: number): boolean {
  for (let other = 0; other < thread.length; other++) {
    if (thread[other] === thread[call]) continue;
    if (invoked[other]! < responded[call]! && responded[other]! > invoked[call]!) return true;
  }
  return false;
}
