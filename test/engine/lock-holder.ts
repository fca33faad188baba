/** Runs in a thread of its own: looks at and changes words of a guest's memory while the test's thread waits for them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { Deed, Holding } from './holder.ts';

if (parentPort === null) throw new Error('lock-holder.ts runs as a worker thread');
const port = parentPort;
const { memory } = workerData as Holding;

/** The words that `look` asked for, in order. */
async function perform(deeds: readonly Deed[]): Promise<bigint[]> {
  const seen: bigint[] = [];
  for (const deed of deeds) {
    if ('pause' in deed) {
      await sleep(deed.pause);
      continue;
    }
    const word = new BigUint64Array(memory.buffer, deed.at, 1);
    if ('look' in deed) seen.push(Atomics.load(word, 0));
    else if ('store' in deed) Atomics.store(word, 0, deed.store);
    else if ('set' in deed) Atomics.or(word, 0, deed.set);
    else Atomics.and(word, 0, ~deed.clear);
  }
  return seen;
}

port.on('message', (deeds: readonly Deed[]) => {
  void perform(deeds).then((seen) => port.postMessage(seen));
});
port.postMessage([]);
