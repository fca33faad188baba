/** When the main thread may execute a guest's hcall itself (src/processors/here.ts). Main thread only. */
import { STREAMS_PER_GUEST_MAX } from '../../schemas/limits.ts';
import { openHere } from '../processors/here.ts';
import type { Here } from '../processors/here.ts';
import type { GuestState } from './guest-state.ts';
import { executesHcalls } from './life.ts';

/** Undefined: a processor has to execute what comes now, or to say why not. */
export function hereOf(state: GuestState): Here | undefined {
  const { end, life, site } = state;
  // What a journal keeps goes through a stream's rings.
  if (end !== undefined || state.journal !== undefined || !executesHcalls(life)) return undefined;
  const { engine, memory, pool } = site;
  return (state.here ??= openHere(
    engine,
    memory,
    pool.processors.length,
    STREAMS_PER_GUEST_MAX - 1,
    ({ message }) => state.fail(`the engine broke in the main thread: ${message}`),
  ));
}
