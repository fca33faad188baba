/** Guests come and go while others work: a processor must not be stopped to look for dead objects at each of them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

test('the addresses of guests are not taken for memory that is in use', async () => {
  const script = fileURLToPath(new URL('./many-guests.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--trace-gc', script]);
  // Each line names the thread's heap, what was done, and why.
  assert.match(stdout, /^\[\d+:0x[0-9a-f]+\] +\d+ ms: .*(Scavenge|Mark-Compact)/m);
  const stops = stdout.split('\n').filter((line) => line.includes('external memory pressure'));
  assert.deepEqual(stops, []);
});
