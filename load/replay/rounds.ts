/** One round of the replay profile: the engine alone and the daemon, in turns, each on a new guest. */
import type { Mismatch } from '../../src/cli/replay/compare.ts';
import { guestConfigFor, replayPlan } from '../../src/cli/replay/files.ts';
import type { Plan } from '../../src/cli/replay/plan.ts';
import { runPlan } from '../../src/cli/replay/run.ts';
import { releaseDeadMemory } from '../../src/rings/release.ts';
import { replayConcurrently } from './concurrent.ts';
import { openEngineStream } from './engine-stream.ts';
import type { SmpPlan } from './smp-plan.ts';

/** A way to replay a recording over the daemon. */
export interface Contestant {
  readonly streams: number;
  readonly hcalls: number;
  readonly compared: number;
  replay(): Promise<Outcome>;
}

/** Of the replay over the daemon. */
export interface Outcome {
  readonly seconds: number;
  readonly mismatches: number;
  readonly first: readonly Mismatch[];
  readonly notes: readonly string[];
}

export interface Round extends Outcome {
  readonly engineSeconds: number;
}

export function sequentially(plan: Plan, url: string): Contestant {
  const { hcalls } = plan;
  return {
    streams: 1,
    hcalls,
    compared: hcalls - plan.skipped,
    replay: async () => {
      const result = await replayPlan({ url }, plan);
      const wrongTable = result.tableMatches === false && result.mismatches === 0 ? 1 : 0;
      return { ...result, mismatches: result.mismatches + wrongTable, notes: result.tableNotes };
    },
  };
}

export function concurrently(plan: SmpPlan, url: string): Contestant {
  const { hcalls, compared } = plan;
  return { streams: plan.streams, hcalls, compared, replay: () => replayConcurrently(plan, url) };
}

export async function measureRound(
  contestant: Contestant,
  plan: Plan,
  module: WebAssembly.Module,
): Promise<Round> {
  const engineSeconds = await engineAlone(plan, module);
  // The engine's memory goes before the daemon's clock runs, and so does what reading the file left behind.
  releaseDeadMemory();
  return { ...(await contestant.replay()), engineSeconds };
}

async function engineAlone(plan: Plan, module: WebAssembly.Module): Promise<number> {
  const stream = openEngineStream(module, guestConfigFor(plan.header));
  const steps = plan.steps.filter(({ kind }) => kind !== 'end');
  await runPlan({ ...plan, steps }, stream);
  return stream.seconds();
}
