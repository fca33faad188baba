/**
 * HOST_UNMAP and HOST_AGE go along a chain entry by entry, and other calls may come in between. So an order of calls has
 * them in steps: a beginning (the page is away; what gone entries noted is asked), a look at each entry, and an end, which
 * has the answer. Entries may be met in any order, because a walk that meets a busy one starts over.
 */
import type { Model } from '../model/model.ts';
import type { Call } from './programs.ts';

/** A number: a look at that entry. */
export type WalkStep = 'begin' | 'end' | number;

const FRAME_SHIFT = 16n;

export function isWalk({ name }: Call): boolean {
  return name === 'HOST_UNMAP' || name === 'HOST_AGE';
}

/** What may come next in a walk that has come so far. The model has performed those steps. */
export function walkSteps(model: Model, call: Call, done: readonly WalkStep[]): WalkStep[] {
  if (done.length === 0) return ['begin'];
  const left = model.chain(frameOf(call)).filter((ptex) => !done.includes(ptex));
  return left.length === 0 ? ['end'] : left;
}

/** Performs a step; true: it met R. */
export function performWalkStep(model: Model, call: Call, step: WalkStep): boolean {
  const unmaps = call.name === 'HOST_UNMAP';
  if (step === 'begin') {
    if (!unmaps) return model.ageFrame(frameOf(call));
    model.call('HOST_SET_PTE', [call.args[0]!, 0n]);
  } else if (step === 'end') {
    // Nothing is left on the chain: what remains to be done is to count the invalidation.
    if (unmaps) model.call('HOST_UNMAP', call.args);
  } else if (unmaps) {
    model.unmapEntry(step);
  } else {
    return model.ageEntry(step);
  }
  return false;
}

function frameOf({ args }: Call): bigint {
  return args[0]! >> FRAME_SHIFT;
}
