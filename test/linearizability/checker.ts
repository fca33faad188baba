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
import { openCompany } from './company.ts';
import { DONE, distinct, emptyConfiguration, isNew, layoutOf, openSeen } from './configuration.ts';
import type { Configuration, Layout } from './configuration.ts';
import { eventsOf, statusOf, wordCount } from './history.ts';
import type { History } from './history.ts';
import { isSweep, noteForHost, takeQuestion, takeSweep, takeWrite } from './host-steps.ts';
import { planOf } from './parts.ts';
import { PTEX_FIELD, maskWords, sameWords } from './plan.ts';
import type { Part, Plan, Planner, Plans, Universe } from './plan.ts';
import { midSweepState, outcomeBeside, outcomeOf, pieceNumber } from './slot-states.ts';
import type { Outcome, SlotStates } from './slot-states.ts';
import { takePreparation, takeTable } from './table-steps.ts';

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
  /** The thread whose running call goes along a chain, or NONE; and that call as a piece. */
  sweeper: number;
  sweep: number;
  configurations: Configuration[];
  /** For companions(). */
  readonly mask: Int32Array;
  /** Responses at which running calls met on a slot. */
  met: number;
}

/** What histories of one world share. */
export interface Checked {
  readonly states: SlotStates;
  readonly universe: Universe;
  readonly plans: Plans;
}

export function openSearch(history: History, { states, universe, plans }: Checked): Search {
  const { threads } = history;
  const slots = universe.ptexes.length;
  return {
    history,
    states,
    universe,
    planner: { states, universe, plans, company: openCompany(history) },
    layout: layoutOf(slots, threads),
    running: new Int32Array(threads).fill(NONE),
    plans: Array.from({ length: threads }, () => ({ order: 0, plan: undefined })),
    sweeper: NONE,
    sweep: NONE,
    configurations: [emptyConfiguration(slots, threads, states.config.order)],
    mask: new Int32Array(maskWords(universe)),
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
    invoke(search, thread, call);
    return true;
  }
  const left = respond(search, thread);
  if (left.length === 0) return false;
  for (const at of left) {
    at[search.layout.progress + thread] = 0;
    at[search.layout.noted + thread] = 0;
  }
  search.running[thread] = NONE;
  if (search.sweeper === thread) search.sweeper = NONE;
  search.configurations = distinct(left);
  return true;
}

function invoke(search: Search, thread: number, call: number): void {
  search.running[thread] = call;
  search.plans[thread]!.order = 0;
  const { name, args } = search.history.requests[search.history.request[call]!]!;
  if (!isSweep(name)) return;
  if (search.sweeper !== NONE) throw new Error('two threads do the work of the host');
  search.sweeper = thread;
  search.sweep = pieceNumber(search.states, name, args);
}

/** All configurations in which the thread's running call has taken place. */
function respond(search: Search, thread: number): Configuration[] {
  const [only] = search.configurations;
  if (search.configurations.length === 1 && only![search.layout.progress + thread] === 0) {
    const plan = planFor(search, only!, thread);
    if (plan !== undefined && !plan.wide && companions(search, only!, thread) === 1 << thread) {
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
  const seen = openSeen();
  const stack: Configuration[] = [];
  for (const at of search.configurations) {
    // What is left of the search when this response proves impossible must be as before, so it is copied.
    if (at[progress] === DONE) found.push(at.slice());
    else stack.push(at);
  }
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (!isNew(seen, at)) continue;
    const threads = companions(search, at, thread);
    for (let other = 0; threads >> other !== 0; other++) {
      if (((threads >> other) & 1) === 0) continue;
      const next = carriedOn(search, at, other);
      if (next !== undefined) (next[progress] === DONE ? found : stack).push(next);
    }
  }
  return found;
}

/** One step more of a running call; undefined: it is not possible here. */
export function carriedOn(
  search: Search,
  at: Configuration,
  thread: number,
): Configuration | undefined {
  const plan = planFor(search, at, thread);
  if (plan === undefined) return undefined;
  const progress = search.layout.progress + thread;
  const done = at[progress]!;
  const part = plan.parts[done];
  if (part?.kind === 'table' && someoneIsHalfway(search, at, thread)) return undefined;
  if (part?.kind === 'slot' && answerOnSlot(search, at, thread, part) === undefined) {
    return undefined;
  }
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

/**
 * The thread, and those whose running calls have something to do with its call, directly or through each other: bits.
 */
function companions(search: Search, at: Configuration, thread: number): number {
  const { running, layout } = search;
  const own = planFor(search, at, thread);
  let threads = 1 << thread;
  let wide = own === undefined || own.wide;
  const { mask } = search;
  for (let i = 0; i < mask.length; i++) mask[i] = own?.mask[i] ?? 0;
  for (let grown = true; grown; ) {
    grown = false;
    for (let other = 0; other < running.length; other++) {
      if (running[other] === NONE || ((threads >> other) & 1) !== 0) continue;
      if (at[layout.progress + other] === DONE) continue;
      const plan = planFor(search, at, other);
      if (plan === undefined) continue;
      if (!wide && !plan.wide && !meet(mask, plan.mask)) continue;
      threads |= 1 << other;
      wide ||= plan.wide;
      for (let i = 0; i < mask.length; i++) mask[i]! |= plan.mask[i]!;
      grown = true;
    }
  }
  return threads;
}

/**
 * The slots of a call in the tables that are possible now, by number in the universe; of one with an answer that no table
 * gives, those that it names. For a report.
 */
export function slotsOfCall(search: Search, call: number): number[] {
  const { history, planner, configurations, layout, states, universe } = search;
  const order = configurations[0]?.[layout.order] ?? states.config.order;
  const plan = planOf(planner, history, call, order);
  const slots = [...universe.ptexes.keys()];
  if (plan !== undefined) {
    return slots.filter((slot) => plan.wide || (plan.mask[slot >> 5]! & (1 << (slot & 31))) !== 0);
  }
  const { args } = history.requests[history.request[call]!]!;
  const named = new Set(args.map((word) => Number(word & PTEX_FIELD)));
  return slots.filter((slot) => named.has(universe.ptexes[slot]!));
}

function meet(a: Int32Array, b: readonly number[]): boolean {
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
    case 'ask':
      return takeQuestion(search, at, call, thread, part);
    case 'write':
      return takeWrite(search, at, part);
    case 'sweep':
      return takeSweep(search, at, call, thread, part, (state) =>
        midSweepState(search.states, search.sweep, state),
      );
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
  const outcome = answerOnSlot(search, at, thread, part);
  if (outcome === undefined) return false;
  if (part.setsAnchor) at[search.layout.noted + thread] = at[part.slot]!;
  at[part.slot] = outcome.next;
  if (search.states.apart) noteForHost(search, at, search.running[thread]!, part.piece, outcome);
  return true;
}

/** What the step does here if it answers what the history says; undefined: it cannot. */
function answerOnSlot(
  search: Search,
  at: Configuration,
  thread: number,
  part: Part,
): Outcome | undefined {
  let outcome: Outcome | undefined = outcomeAt(search, at, thread, part);
  while (outcome !== undefined && !answersSo(search, thread, part, outcome)) {
    outcome = outcome.otherwise;
  }
  return outcome;
}

function outcomeAt(
  { states, universe, layout, sweeper, sweep }: Search,
  at: Configuration,
  thread: number,
  { piece, slot, anchorSlot }: Part,
): Outcome {
  const ptex = universe.ptexes[slot]!;
  const order = at[layout.order]!;
  let state = at[slot]!;
  if (sweeper !== NONE && at[layout.progress + sweeper] !== DONE) {
    state = midSweepState(states, sweep, state);
  }
  if (anchorSlot === -1) return outcomeOf(states, piece, order, ptex, state);
  const anchor = at[layout.noted + thread]!;
  return outcomeBeside(states, piece, order, ptex, state, anchor, universe.ptexes[anchorSlot]!);
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
