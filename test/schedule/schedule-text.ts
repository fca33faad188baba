/**
 * A schedule as a short text: `enter/remove: 0*7.1*12.0*3`. Thread 0 makes seven steps, thread 1 twelve, thread 0 three;
 * what follows goes on by default. `!5` behind the name's colon: lock attempts fail as seed 5 says.
 */
import { TRACE_BYTES } from './stage.ts';

export interface ScheduleText {
  readonly program: string;
  readonly failures: number;
  /** Step, thread, step, thread... */
  readonly deviations: readonly number[];
}

/** The runs of the first `steps` steps of a trace. */
export function scheduleText(
  program: string,
  failures: number,
  trace: Uint8Array,
  steps: number,
): string {
  const runs: [thread: number, count: number][] = [];
  for (let step = 0; step < steps; step++) {
    const thread = trace[step * TRACE_BYTES]!;
    const last = runs.at(-1);
    if (last?.[0] === thread) last[1]++;
    else runs.push([thread, 1]);
  }
  const list = runs.map(([thread, count]) => (count === 1 ? `${thread}` : `${thread}*${count}`));
  return `${program}: ${failures === 0 ? '' : `!${failures} `}${list.join('.')}`;
}

export function parseSchedule(text: string): ScheduleText {
  const match = /^(.*): (?:!(-?\d+) )?([\d*.]+)$/s.exec(text);
  if (match === null) throw new Error(`this is no schedule: ${text}`);
  const deviations: number[] = [];
  let step = 0;
  for (const run of match[3]!.split('.')) {
    const [thread, count = 1] = run.split('*').map(Number);
    deviations.push(step, thread!);
    step += count;
  }
  return { program: match[1]!, failures: Number(match[2] ?? 0), deviations };
}
