/** A guest's streams: which processor each goes to, and its slot in the guest's memory. Main thread only. */
import { STREAMS_PER_GUEST_MAX } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import { attachGuest, leastLoaded } from '../processors/pool.ts';
import type { Processor } from '../processors/pool.ts';
import { resetStream, streamMemory } from '../rings/stream-memory.ts';
import { endProblem, openCaller } from './caller.ts';
import type { Caller } from './caller.ts';
import { openGuestStream } from './guest-stream.ts';
import type { OwnedStream } from './guest-stream.ts';
import { openStreams } from './guest-state.ts';
import type { GuestState } from './guest-state.ts';
import { hereOf } from './here.ts';
import { notYet } from './life.ts';
import type { RingFill, Role, StreamListener } from './types.ts';

/** Where a client's next stream goes. Throws a problem when it cannot have one. */
export function processorForClient(state: GuestState): Processor {
  if (state.end !== undefined) throw endProblem(state.end);
  if (state.life.state === 'creating') throw notYet(state.site.name);
  const { pool } = state.site;
  // One stream a processor is kept for REST, and one for the main thread, so that a guest full of clients can still be
  // looked at.
  const limit = STREAMS_PER_GUEST_MAX - pool.processors.length - 1;
  if (openStreams(state).length - state.callers.size >= limit) {
    throw problem('stream-limit', `the guest has ${limit} streams open`);
  }
  const processor = leastLoaded(pool);
  if (processor === undefined)
    throw problem('processor-busy', 'no processor of the daemon is alive');
  return processor;
}

export function openStream(
  state: GuestState,
  processor: Processor,
  role: Role,
  listener: StreamListener,
): OwnedStream {
  const { pool, map, number, memory } = state.site;
  const { journal } = state;
  if (!state.processors.has(processor)) {
    state.processors.add(processor);
    attachGuest(processor, number, memory, map);
  }
  const slot = freeSlot(state);
  const rings = streamMemory(memory.buffer, map, slot);
  resetStream(rings, role === 'host');
  const onReleased = (): void => {
    state.streams[slot] = undefined;
  };
  const stream = openGuestStream(
    {
      pool,
      processor,
      map,
      guest: number,
      slot,
      memory: rings,
      role,
      journal,
      here: () => hereOf(state),
      onReleased,
    },
    listener,
  );
  state.streams[slot] = stream;
  state.recorded.onStream?.(stream);
  return stream;
}

function freeSlot({ streams }: GuestState): number {
  const hole = streams.indexOf(undefined);
  return hole === -1 ? streams.length : hole;
}

export async function withOwnStream<T>(
  state: GuestState,
  work: (caller: Caller) => Promise<T>,
): Promise<T> {
  const processor = processorForClient(state);
  const caller = openCaller((listener) => openStream(state, processor, 'host', listener), {
    wantsMore: () => true,
    onEnd: () => {},
  });
  try {
    return await work(caller);
  } finally {
    caller.stream.close();
  }
}

export function ringFillOf(state: GuestState): RingFill {
  let [submittedBytes, answerBytes] = [0, 0];
  for (const stream of openStreams(state)) {
    const fill = stream.fill();
    submittedBytes += fill.submittedBytes;
    answerBytes += fill.answerBytes;
  }
  return { submittedBytes, answerBytes };
}
