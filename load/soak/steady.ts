/**
 * The steady load of a soak: streams that make calls at a rate, whatever the answers take (an open loop: latency counts
 * from when a call was due), and compare every answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import { streamUrl } from '../../src/client/address.ts';
import { connectStream } from '../../src/client/stream.ts';
import { openRandom } from '../engine/random.ts';
import { type ExpectedCall, faultOf, openSlots, randomCall } from './slots.ts';
import { find, HANG_MILLIS, inTime, type Soak } from './state.ts';

export const TICK_MILLIS = 10;
const GROUPS_PER_STREAM = 64;
/** A machine that is this far behind cannot keep the rate: what was due before is left out, or it never ends. */
const LAG_MILLIS_MAX = 1000;

interface Sent {
  readonly calls: readonly ExpectedCall[];
  readonly due: number;
  answered: number;
}

/** Stream number `number` of a guest; groups of its own. */
export async function steadyStream(
  soak: Soak,
  guest: string,
  number: number,
  callsPerTick: number,
): Promise<void> {
  const slots = openSlots(openRandom(number + 1), number * GROUPS_PER_STREAM, GROUPS_PER_STREAM);
  const stream = await connectStream(streamUrl(soak.url, guest), { silenceMillis: HANG_MILLIS });
  const sent: Sent[] = [];
  stream.onAnswers((bytes) => {
    for (const answer of decodeAnswers(bytes)) {
      const frame = sent[0]!;
      const fault = faultOf(frame.calls[frame.answered]!, answer);
      if (fault !== undefined) find(soak, `wrong answer: stream ${number} of ${guest}: ${fault}`);
      soak.done.hcalls++;
      if (++frame.answered < frame.calls.length) continue;
      soak.latencies.push(performance.now() - frame.due);
      sent.shift();
    }
  });
  for (let due = performance.now(); !soak.over; due += TICK_MILLIS) {
    await sleep(Math.max(0, due - performance.now()));
    due = Math.max(due, performance.now() - LAG_MILLIS_MAX);
    soak.delays.push(performance.now() - due);
    const calls = Array.from({ length: callsPerTick }, () => randomCall(slots));
    sent.push({ calls, due, answered: 0 });
    const frame = encodeRequests(calls.map(({ record }) => record));
    const wait = stream.sendFrame(frame, calls.length);
    if (wait !== undefined) await inTime(`stream ${number} of ${guest}: a frame`, wait);
  }
  await inTime(`stream ${number} of ${guest}: the last answers`, stream.drained());
  await stream.close();
}
