/**
 * What a processor has: guests it knows and streams pinned to it, kept by the main thread so that a successor can go
 * on with them when the processor dies. Main thread only.
 */
import type { MemoryMap } from '../rings/engine.ts';
import { freeTurnOf, openTurn } from './turn.ts';
import type { Turn } from './turn.ts';
import type { Inheritance, Leaving, ToProcessor } from './messages.ts';

interface HeldStream {
  readonly guest: number;
  readonly slot: number;
  leaving: Leaving;
}

export interface Estate {
  readonly guests: Map<
    number,
    { readonly memory: WebAssembly.Memory; readonly deadAt: number; readonly turn: Turn }
  >;
  readonly streams: Map<number, HeldStream>;
  readonly leavingGuests: Set<number>;
  /** Questions of the kind `pass` that are not answered. */
  readonly passings: Set<number>;
}

export function newEstate(): Estate {
  return { guests: new Map(), streams: new Map(), leavingGuests: new Set(), passings: new Set() };
}

export function noteGuest(
  estate: Estate,
  guest: number,
  memory: WebAssembly.Memory,
  map: MemoryMap,
): void {
  const turn = openTurn(memory.buffer, map);
  estate.guests.set(guest, { memory, deadAt: map.DEAD, turn });
}

/** What was said to the processor, in case it dies before it does it. */
export function noteMessage(estate: Estate, message: ToProcessor): void {
  if (message.kind === 'attach-stream') {
    const { guest, slot } = message;
    estate.streams.set(message.stream, { guest, slot, leaving: 'no' });
  } else if (message.kind === 'detach-stream') {
    const held = estate.streams.get(message.stream);
    if (held !== undefined) held.leaving = message.drop ? 'at-once' : 'when-done';
  } else if (message.kind === 'detach-guest') {
    estate.leavingGuests.add(message.guest);
  } else if (message.kind === 'pass') {
    estate.passings.add(message.number);
  }
}

export function forgetStream(estate: Estate, stream: number): void {
  estate.streams.delete(stream);
}

export function forgetGuest(estate: Estate, guest: number): void {
  estate.guests.delete(guest);
  estate.leavingGuests.delete(guest);
}

/** Gives back the turns that its dead thread may have held. */
export function freeTurns(estate: Estate, processor: number): void {
  for (const { turn } of estate.guests.values()) freeTurnOf(turn, processor);
}

/** Says in each guest's memory that the processor's thread is gone. ORDER: before its successor starts. */
export function markDead(estate: Estate, processor: number): void {
  for (const { memory, deadAt } of estate.guests.values()) {
    Atomics.or(new BigInt64Array(memory.buffer, deadAt, 1), 0, 1n << BigInt(processor));
  }
}

export function inheritanceOf(estate: Estate): Inheritance {
  return {
    guests: [...estate.guests].map(([guest, { memory }]) => ({ guest, memory })),
    streams: [...estate.streams].map(([stream, held]) => ({ stream, ...held })),
    leavingGuests: [...estate.leavingGuests],
  };
}
