/**
 * The states of a guest's life, and which a client may ask for in which: the one table of both. REST, documents and the
 * daemon itself read it.
 *
 *   creating --> running <--> paused
 *                   |  ^        ^
 *                   v  |        |          from each: failed, by a defect; ending, by DELETE or a shutdown
 *                 migrating ----+
 */
import { z } from 'zod';

interface StateRow {
  readonly meaning: string;
  /** What PATCH may ask for in this state, beside the state itself. */
  readonly next: readonly AskedState[];
  /** Are hcalls executed? */
  readonly executes: boolean;
}

export type AskedState = 'running' | 'paused' | 'migrating';

export const GUEST_STATES = {
  creating: {
    meaning: 'it is being laid out or loaded, and takes nothing yet',
    next: [],
    executes: false,
  },
  running: { meaning: 'hcalls are executed', next: ['paused', 'migrating'], executes: true },
  paused: {
    meaning:
      'no hcall is executed: streams wait, REST is told so; what its host does and asks goes on',
    next: ['running'],
    executes: false,
  },
  migrating: {
    meaning:
      'hcalls are executed while its table is copied to another daemon, so its memory and the order of its table stay as they are',
    next: ['running', 'paused'],
    executes: true,
  },
  failed: {
    meaning: 'a check inside the daemon failed; it is there to be looked at and deleted',
    next: [],
    executes: false,
  },
  ending: {
    meaning: 'it is being deleted, or the daemon shuts down',
    next: [],
    executes: false,
  },
} as const satisfies Record<string, StateRow>;

export type GuestState = keyof typeof GUEST_STATES;

export const guestState = z.enum(Object.keys(GUEST_STATES) as [GuestState]);

/** What PATCH takes. */
export const guestPatch = z.strictObject({
  state: z
    .enum(['running', 'paused', 'migrating'])
    .describe('running, paused or migrating: what the guest is to be from now on'),
});

/** May a client ask for this? Asking for what is there already changes nothing, and is always right. */
export function mayBecome(from: GuestState, to: AskedState): boolean {
  return from === to || (GUEST_STATES[from].next as readonly AskedState[]).includes(to);
}
