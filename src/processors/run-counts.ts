/**
 * How long a processor's runs of a guest's records take and how many records they have: two histograms in the processor's
 * block. A run, not an hcall: a clock for each hcall would cost more than the hcall. Written by the processor; RACE: read by the
 * main thread as they are, each number right for itself.
 */
import { noteIn } from '../rings/buckets.ts';
import type { MemoryMap } from '../rings/engine.ts';

/** As in rings/buckets.ts. */
type Buckets = Float64Array<SharedArrayBuffer>;

export interface RunCounts {
  readonly micros: Buckets;
  readonly records: Buckets;
}

export function openRunCounts(
  buffer: SharedArrayBuffer,
  map: MemoryMap,
  processor: number,
): RunCounts {
  const block = map.PROCESSORS + map.PROCESSOR_BYTES * processor;
  const length = map.RUN_BUCKETS + 1;
  return {
    micros: new Float64Array(buffer, block + map.RUN_MICROS, length),
    records: new Float64Array(buffer, block + map.RUN_RECORDS, length),
  };
}

/** A run that found nothing to execute is none. */
export function noteRun({ micros, records }: RunCounts, executed: number, millis: number): void {
  if (executed === 0) return;
  noteIn(micros, millis * 1000);
  noteIn(records, executed);
}
