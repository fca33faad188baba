/**
 * Runs in a thread of its own: sets C in one entry again and again, as a processor's table walk does, and knows of each
 * time whether it was in time. It was when the entry was VALID before and after and nothing was invalidated between:
 * the invalidation that comes next must find that C.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Walking } from './hardware.test.ts';

const C = 0x80;
const VALID = 1;
const { memory, entry, tlbieCount, control } = workerData as Walking;
const dword0 = new Int32Array(memory.buffer, entry, 1);
const dword1 = new Int32Array(memory.buffer, entry + 8, 1);
const tlbies = new Int32Array(memory.buffer, tlbieCount, 1);
/** 1 to stop; how often C was in time. */
const [STOP, MET] = [0, 1];
const words = new Int32Array(control);
const inTime = new Set<number>();

parentPort!.postMessage('started');
while (Atomics.load(words, STOP) === 0) {
  const before = Atomics.load(tlbies, 0);
  if ((Atomics.load(dword0, 0) & VALID) === 0) continue;
  Atomics.or(dword1, 0, C);
  const valid = (Atomics.load(dword0, 0) & VALID) !== 0;
  if (!valid || Atomics.load(tlbies, 0) !== before) continue;
  inTime.add(before + 1);
  Atomics.store(words, MET, inTime.size);
}
parentPort!.postMessage([...inTime]);
