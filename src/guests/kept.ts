/** A guest as the state of the daemon keeps it. Main thread. */
import type { KeptGuest } from '../state/kept-guest.ts';
import { countersOf } from './facts.ts';
import { processorsOf } from './guest-state.ts';
import type { GuestSite } from './guest-state.ts';
import type { Journal } from './journal/journal.ts';
import { holdStill } from './life.ts';
import type { Life } from './life.ts';
import type { StreamEnd } from './types.ts';

interface Kept {
  readonly end: StreamEnd | undefined;
  readonly life: Life;
  readonly journal: Journal | undefined;
}

/** `state`: of the guest, as it is whenever it is asked. */
export function keptGuest(site: GuestSite, state: Kept, orderOf: () => number): KeptGuest {
  const { name, config, createdAt, memory, map, pool } = site;
  const processors = processorsOf(pool);
  return {
    name,
    memory,
    map,
    header: { config, createdAt: createdAt.toISOString() },
    facts() {
      if (state.end?.kind === 'failed') return undefined;
      const now = state.life.state === 'creating' ? config.state : state.life.state;
      return {
        takenAt: new Date().toISOString(),
        // A copy to another daemon does not survive this one.
        state: now === 'paused' ? 'paused' : 'running',
        order: orderOf(),
      };
    },
    records: () =>
      countersOf(memory, map, processors).reduce((sum, { records }) => sum + records, 0),
    hold: (work) => holdStill(state.life, 'all', work),
    journal: () => state.journal,
  };
}
