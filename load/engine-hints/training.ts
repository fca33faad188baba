/** What the engine does while its branches are counted: what Linux guests do most, H_ENTER and H_REMOVE. */
import { guestConfig } from '../../schemas/guests.ts';
import { layOut } from '../../src/guests/layout.ts';
import { dropCompletions, openCompletionRing } from '../../src/rings/completion.ts';
import { guestMemory, openEngine } from '../../src/rings/engine.ts';
import { streamMemory } from '../../src/rings/stream-memory.ts';
import { openSubmissionRing, putFrame } from '../../src/rings/submission.ts';
import { cycleOf, guestTraffic } from '../stream/traffic.ts';

const ORDER = 18;
const FRAMES = 40;
const HCALLS = 512;

/** Called at each branch: its number, and whether it was taken; gives the latter back. */
export type OnBranch = (branch: number, taken: number) => number;

/** The same frames each time. */
export function train(module: WebAssembly.Module, onBranch: OnBranch): void {
  const memory = guestMemory();
  const engine = openEngine(module, memory, { hints: { branch: onBranch } });
  const config = guestConfig.parse({ order: ORDER, ramBytes: 64 * 2 ** ORDER });
  layOut(config, engine, memory.buffer.byteLength);
  engine.calls.beProcessor(0);
  const rings = streamMemory(memory.buffer, engine.map, 0);
  const [submission, completion] = [openSubmissionRing(rings), openCompletionRing(rings)];
  const { frames } = cycleOf(guestTraffic(0, 1, ORDER, FRAMES * HCALLS), HCALLS);
  for (const { bytes, hcalls } of frames) {
    putFrame(submission, bytes);
    engine.calls.run(0, hcalls);
    dropCompletions(completion);
  }
}
