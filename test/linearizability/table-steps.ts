/** Steps of the search that prepare another table, or replace it. */
import { STATUSES } from '../../schemas/statuses.ts';
import type { Configuration, Layout } from './configuration.ts';
import { statusOf, wordCount, wordOf } from './history.ts';
import type { History } from './history.ts';
import { forgetForHost } from './host-steps.ts';
import type { Part, Universe } from './plan.ts';
import { EMPTY, emptyTable, entryIn, perform, putEntry, stateOf } from './slot-states.ts';
import type { SlotStates } from './slot-states.ts';

interface Where {
  readonly history: History;
  readonly states: SlotStates;
  readonly universe: Universe;
  readonly layout: Layout;
}

/**
 * H_RESIZE_HPT_PREPARE, and the H_RESIZE_HPT_COMMITs that change no table. For the model a preparation is ready by the
 * next call; here it may take longer, until somebody was told that it is.
 */
export function takePreparation(
  { history, states, layout }: Where,
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

/**
 * Asks the model to replace the whole table. Where a slot may hold one of several entries, where each goes does not
 * depend on which the others are (they differ in R and C, and in whether they are ABSENT): so it is asked as often as
 * there are entries in the largest state.
 */
export function takeTable(
  { history, states, universe, layout }: Where,
  at: Configuration,
  call: number,
  part: Part,
): boolean {
  const { ptexes } = universe;
  const after: Set<number>[] = ptexes.map(() => new Set());
  const most = ptexes.reduce((max, _, i) => Math.max(max, states.sets[at[i]!]!.length), 1);
  let table = emptyTable(states, at[layout.order]!);
  for (let variant = 0; variant < most; variant++) {
    table = { ...emptyTable(states, at[layout.order]!), pendingOrder: at[layout.pending]! };
    for (const [slot, ptex] of ptexes.entries()) {
      const entries = states.sets[at[slot]!]!;
      putEntry(states, table, ptex, entries[Math.min(variant, entries.length - 1)]!);
    }
    const { status, out } = perform(table, states.pieces[part.piece]!);
    if (status !== statusOf(history, call) || out.length !== wordCount(history, call)) return false;
    if (out.some((word, i) => word !== wordOf(history, call, i))) return false;
    for (const ptex of table.entries.keys()) {
      if (!universe.slotOf.has(ptex) && entryIn(states, table, ptex) !== EMPTY) {
        throw new Error(`an entry went to ${ptex}, which is not in the universe`);
      }
    }
    for (const [slot, ptex] of ptexes.entries()) after[slot]!.add(entryIn(states, table, ptex));
  }
  for (const [slot, entries] of after.entries()) at[slot] = stateOf(states, entries);
  at[layout.order] = table.order;
  at[layout.pending] = table.pendingOrder;
  at[layout.ready] = 0;
  if (states.pieces[part.piece]!.name === 'HPT_RESET') forgetForHost(layout, at);
  return true;
}
