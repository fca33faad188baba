/** Cuts a run of encoded records into frames that a stream takes. Done before the clock starts. */
import { HEADER_BYTES } from '../../../schemas/records.ts';
import type { BinaryHello } from '../../../schemas/stream.ts';
import type { Plan, Run } from './plan.ts';

export interface Frame {
  readonly bytes: Uint8Array;
  readonly records: number;
}

/** Long enough that a frame's own cost does not count, short enough that several are under way at once. */
const FRAME_BYTES = 120 * 1024;
const COUNT_MASK = 0xfff;

export function cutFrames(plan: Plan, run: Run, limits: BinaryHello['limits']): Frame[] {
  const most = Math.min(
    FRAME_BYTES,
    limits.frameBytes,
    limits.creditBytes - limits.frameOverheadBytes,
  );
  const view = new DataView(plan.requests.buffer, plan.requests.byteOffset);
  const frames: Frame[] = [];
  let start = run.requestStart;
  let records = 0;
  let at = start;
  while (at < run.requestEnd) {
    const next = at + HEADER_BYTES + 8 * (view.getUint16(at + 2, true) & COUNT_MASK);
    if (next - start > most && records > 0) {
      frames.push({ bytes: plan.requests.subarray(start, at), records });
      start = at;
      records = 0;
    }
    records++;
    at = next;
  }
  if (records > 0) frames.push({ bytes: plan.requests.subarray(start, at), records });
  return frames;
}
