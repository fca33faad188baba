/**
 * The host's calls over the entries of a frame, as steps of the search: HOST_UNMAP, HOST_AGE, HOST_DIRTY.
 *
 * What HOST_AGE and HOST_DIRTY answer is held to this: an R (a C) that hardware set in a VALID entry is told. It
 * moves about (entry, rmap word, dirty bitmap), and no call may lose it on the way. So a configuration has for each frame
 * whether there is one that the host has not been told of. One that was there before the question must be in the
 * answer; one that came while it was asked may be, and then what is left is not known.
 */
import { wasAgedDuring } from './company.ts';
import { NOT, PERHAPS, SURELY } from './configuration.ts';
import type { Configuration, Layout } from './configuration.ts';
import { wordOf } from './history.ts';
import type { History } from './history.ts';
import type { Part, Planner } from './plan.ts';
import { sweptState } from './slot-states.ts';
import type { Outcome, SlotStates } from './slot-states.ts';

const R = 0x100;
const C = 0x80;

export const isSweep = (name: string): boolean =>
  name === 'HOST_UNMAP' || name === 'HOST_AGE' || name === 'HOST_DIRTY';

interface Where {
  readonly history: History;
  readonly states: SlotStates;
  readonly layout: Layout;
  readonly planner: Planner;
}

/** HOST_AGE or HOST_DIRTY begins: is its answer right by what there was before? */
export function takeQuestion(
  { history, states, layout }: Where,
  at: Configuration,
  call: number,
  thread: number,
  { piece, slot }: Part,
): boolean {
  const mark = markOf(states, layout, piece, slot);
  const isMet = wordOf(history, call, 0) !== 0n;
  if (at[mark] === SURELY && !isMet) return false;
  at[layout.noted + thread] = at[mark] === NOT ? 0 : 1;
  at[mark] = NOT;
  return true;
}

/** It has come by every entry. (What HOST_AGE and HOST_DIRTY came by may have got a new R or C since.) */
export function takeSweep(
  { history, states, layout }: Where,
  at: Configuration,
  call: number,
  thread: number,
  { piece, slot }: Part,
  midSweep: (state: number) => number,
): boolean {
  const isUnmap = states.pieces[piece]!.name === 'HOST_UNMAP';
  if (!isUnmap && wordOf(history, call, 0) !== 0n) {
    const mark = markOf(states, layout, piece, slot);
    if (at[mark] === NOT && at[layout.noted + thread] === 0) return false;
    if (at[mark] === SURELY) at[mark] = PERHAPS;
  }
  for (let i = 0; i < layout.order; i++) {
    at[i] = isUnmap ? sweptState(states, piece, at[i]!) : midSweep(at[i]!);
  }
  return true;
}

function markOf(states: SlotStates, layout: Layout, piece: number, frame: number): number {
  return (states.pieces[piece]!.name === 'HOST_AGE' ? layout.referenced : layout.changed) + frame;
}

/** What a step on a slot means for the host's questions. */
export function noteForHost(
  { states, layout, planner }: Where,
  at: Configuration,
  call: number,
  piece: number,
  { frame, allValid, someValid, guestRc }: Outcome,
): void {
  if (frame === -1 || !someValid) return;
  const { name, args } = states.pieces[piece]!;
  if (name === 'SET_RC') {
    const mark = allValid ? SURELY : PERHAPS;
    const rc = Number(args[1]!);
    if ((rc & R) !== 0) raise(at, layout.referenced + frame, mark);
    if ((rc & C) !== 0) raise(at, layout.changed + frame, mark);
  } else if (name === 'H_ENTER' || name === 'HOST_PAGE_FAULT') {
    // The real entry starts with C if the host's record of the frame has it, which keeps it for good.
    if ((guestRc & C) !== 0) raise(at, layout.changed + frame, PERHAPS);
    // R too; HOST_AGE clears that record, but may come by the entry just before its dword 1 is there. Then R is told twice.
    if ((guestRc & R) !== 0 && wasAgedDuring(planner.company, call, frame)) {
      raise(at, layout.referenced + frame, PERHAPS);
    }
  }
}

/** Memory of a frame was written. */
export function takeWrite({ layout }: Where, at: Configuration, { slot }: Part): boolean {
  raise(at, layout.changed + slot, SURELY);
  return true;
}

function raise(at: Configuration, mark: number, to: number): void {
  if (at[mark]! < to) at[mark] = to;
}

/** A new table: hardware's R and C in the old one, and the host's record of R, are forgotten with it. */
export function forgetForHost(layout: Layout, at: Configuration): void {
  for (let mark = layout.referenced; mark < layout.changed; mark++) at[mark] = NOT;
  // C may be in the dirty bitmap already, which stays.
  for (let mark = layout.changed; mark < layout.progress; mark++) {
    if (at[mark] === SURELY) at[mark] = PERHAPS;
  }
}
