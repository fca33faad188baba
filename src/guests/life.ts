/**
 * The state of a guest that neither failed nor ends, and its changes, one after the other. Main thread only.
 *
 * How is a guest paused? First REST's hcalls are refused and those under way are awaited, because they share streams with
 * control records. Then the word PAUSED is set in the guest's memory, and each of its processors is asked to pass once: it
 * comes out of the engine at a record boundary, and what it begins after that sees the word. What streams sent and
 * nobody executed stays in their rings, in order, within their credits. A processor that dies meanwhile finishes the
 * hcall at hand by its successor, which answers instead; the word is in shared memory and outlives both.
 */
import { GUEST_STATES, mayBecome } from '../../schemas/guest-states.ts';
import type { AskedState, GuestState } from '../../schemas/guest-states.ts';
import { problem, type ProblemError } from '../../schemas/problems.ts';
import type { StreamEnd } from './types.ts';
import { endProblem } from './caller.ts';
import { inTime } from './in-time.ts';

/** What processors leave alone; `all`: control records too. */
export type Stop = 'nothing' | 'hcalls' | 'all';

export interface LifeSite {
  readonly name: string;
  /** Why the guest takes nothing more, if it does not. */
  end(): StreamEnd | undefined;
  /** Says in the guest's memory what is not executed. */
  storePaused(stop: Stop): void;
  /** Resolves when each processor of the guest has seen that word. */
  allPassed(): Promise<void>;
  /** Makes the processors look at every stream: there may be something to execute. */
  wakeStreams(): void;
}

export interface Life {
  readonly site: LifeSite;
  state: GuestState;
  /** On the way to paused: hcalls of REST are refused already. */
  pausing: boolean;
  /** hcalls of REST under way. */
  hcalls: number;
  onIdle: (() => void) | undefined;
  lastChange: Promise<unknown>;
}

export function openLife(site: LifeSite): Life {
  return {
    site,
    state: 'creating',
    pausing: false,
    hcalls: 0,
    onIdle: undefined,
    lastChange: Promise.resolve(),
  };
}

/** From creating to what the guest is to be first. */
export function beginLife(life: Life, first: 'running' | 'paused'): void {
  life.site.storePaused(first === 'paused' ? 'hcalls' : 'nothing');
  life.state = first;
}

/** May hcalls of REST be executed? */
export function executesHcalls({ state, pausing }: Life): boolean {
  return GUEST_STATES[state].executes && !pausing;
}

/** hcalls of a REST request begin; endHcalls must follow. Or the problem, when none are executed. */
export function beginHcalls(life: Life): ProblemError | undefined {
  const { site, state, pausing } = life;
  if (state === 'creating') return notYet(site.name);
  if (state === 'paused' || pausing)
    return problem('guest-paused', `${site.name} is paused: it executes no hcalls`);
  life.hcalls++;
  return undefined;
}

export function endHcalls(life: Life): void {
  life.hcalls--;
  if (life.hcalls === 0) life.onIdle?.();
}

/** Resolves when the guest is in that state. Throws guest-state, or what ended the guest meanwhile. */
export function changeState(life: Life, to: AskedState): Promise<void> {
  const change = life.lastChange.then(() => changeNow(life, to));
  life.lastChange = change.catch(() => {});
  return change;
}

async function changeNow(life: Life, to: AskedState): Promise<void> {
  const { site, state } = life;
  throwIfEnded(site);
  if (!mayBecome(state, to)) throw stateRefused(site.name, state, to);
  if (state === to) return;
  if (to === 'paused') return pause(life);
  if (state === 'paused') resume(site);
  life.state = to;
}

async function pause(life: Life): Promise<void> {
  const { site } = life;
  life.pausing = true;
  try {
    await inTime(idle(life), 'an hcall of a REST request is still being executed');
    site.storePaused('hcalls');
    await inTime(site.allPassed(), 'a processor is still executing an hcall');
    throwIfEnded(site);
    life.state = 'paused';
  } catch (error) {
    resume(site);
    throw error;
  } finally {
    life.pausing = false;
  }
}

/**
 * Runs `work` while no hcall, or nothing at all, is executed, whatever the guest's state: its state changes before or
 * after. Unlike in a pause hcalls of REST are not refused; they wait with the streams', so `work` must not wait for them.
 */
export function holdStill<T>(
  life: Life,
  stop: 'hcalls' | 'all',
  work: () => Promise<T>,
): Promise<T> {
  const held = life.lastChange.then(() => holdNow(life, stop, work));
  life.lastChange = held.catch(() => {});
  return held;
}

async function holdNow<T>({ site, state }: Life, stop: Stop, work: () => Promise<T>): Promise<T> {
  throwIfEnded(site);
  if (state === 'creating') throw notYet(site.name);
  site.storePaused(stop);
  try {
    await inTime(site.allPassed(), 'a processor is still executing an hcall');
    throwIfEnded(site);
    return await work();
  } finally {
    resume(site, GUEST_STATES[state].executes ? 'nothing' : 'hcalls');
  }
}

/** Resolves when no hcall of REST is under way. Nothing new may begin meanwhile. */
function idle(life: Life): Promise<void> {
  if (life.hcalls === 0) return Promise.resolve();
  return new Promise((resolve) => {
    life.onIdle = resolve;
  });
}

function resume(site: LifeSite, stop: Stop = 'nothing'): void {
  site.storePaused(stop);
  site.wakeStreams();
}

function throwIfEnded(site: LifeSite): void {
  const end = site.end();
  if (end !== undefined) throw endProblem(end);
}

export function notYet(name: string): ProblemError {
  return problem('guest-state', `${name} is being created: it takes nothing yet`);
}

function stateRefused(name: string, state: GuestState, to: AskedState): Error {
  const next: readonly AskedState[] = GUEST_STATES[state].next;
  const allowed = next.length === 0 ? 'nothing can be asked of it' : next.join(' or ');
  return problem(
    'guest-state',
    `${name} is ${state} and cannot become ${to}; it may become: ${allowed}`,
  );
}
