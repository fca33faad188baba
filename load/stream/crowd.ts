/** A worker thread of the fairness mode: one connection that sends big batches as fast as they are answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { answeredBy, begin, finish, pump } from './connection.ts';
import { connectAll } from './measurement.ts';
import type { CrowdStart, FromCrowd, ToCrowd } from './messages.ts';
import { echoTraffic, guestTraffic } from './traffic.ts';

/** Groups are dealt out to two connections: the one that is measured is the first. */
export const CROWD = { index: 1, connections: 2, records: 1 << 16 };
const WARM_UP_MILLIS = 60;

if (parentPort !== null) await serveParent(parentPort, workerData as CrowdStart);

async function serveParent(
  port: NonNullable<typeof parentPort>,
  { url, echo, order, batch, window }: CrowdStart,
): Promise<void> {
  const traffic = guestTraffic(CROWD.index, CROWD.connections, order, CROWD.records);
  const [connection] = await connectAll(url, [echo ? echoTraffic(traffic) : traffic]);
  let begunAt = 0;

  async function obey({ kind }: ToCrowd): Promise<FromCrowd> {
    if (kind === 'go') {
      begin(connection!, { batch, window });
      begunAt = performance.now();
      pump(connection!, begunAt);
      const failed = connection!.run!.done.promise;
      await Promise.race([sleep(WARM_UP_MILLIS), failed]);
      return { kind: 'going' };
    }
    const now = performance.now();
    const hcallsPerSecond = (answeredBy(connection!) / (now - begunAt)) * 1000;
    await finish(connection!, now);
    return { kind: 'resting', hcallsPerSecond };
  }

  port.on('message', (message: ToCrowd) => {
    void obey(message).then((answer) => port.postMessage(answer));
  });
  port.postMessage({ kind: 'connected' } satisfies FromCrowd);
}
