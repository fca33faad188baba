/** One attempt at copying a guest: what was asked, and how far it is. */
import type { Rest } from '../../client/rest.ts';
import type { Place } from './place.ts';

export interface PassReport {
  readonly bytes: number;
  readonly entries: number;
  readonly millis: number;
  readonly whilePaused: boolean;
}

export interface CopyOptions {
  readonly from: Place;
  readonly to: Place;
  readonly deleteSource: boolean;
  /** Aborted: the copy is undone, and CancelledError thrown. */
  readonly signal: AbortSignal;
  /** What it does now; `bytes` of the pass at hand. */
  readonly onStep?: (step: string, bytes: number) => void;
}

export interface Copy extends CopyOptions {
  readonly source: Rest;
  readonly target: Rest;
  /** What the source was, and the destination is to be. */
  readonly state: 'running' | 'paused';
  /** There is, or may be, a copy at the destination that is ours. */
  created: boolean;
  /** Path of the reader at the source. */
  reader: string | undefined;
  /** The destination was asked to run: it may. */
  handedOver: boolean;
  passes: PassReport[];
  pausedAt: number;
}

export function guestPath(name: string): string {
  return `/v1/guests/${encodeURIComponent(name)}`;
}

export async function changeState(rest: Rest, guest: string, state: string): Promise<void> {
  await rest.send('PATCH', guestPath(guest), { state });
}
