/**
 * The daemon of the soak profile: the parts of src/main.ts in a process of its own, with what production must not have:
 * on a message of the parent it ends a processor's thread, tells about itself, or leaks. Run by child.ts.
 */
import Fastify from 'fastify';
import { guestsOn } from '../../src/guests/registry.ts';
import { openLog } from '../../src/operations/log.ts';
import { startPool } from '../../src/processors/pool.ts';
import { compileEngine } from '../../src/rings/engine.ts';
import { httpRoutes } from '../../src/transports/http.ts';
import { problemServerOptions } from '../../src/transports/problems.ts';
import { streamRoutes } from '../../src/transports/stream.ts';
import type { FromDaemon, ToDaemon } from './messages.ts';

const LEAK_MILLIS = 20;
const LEAK_MIB_PER_SECOND = 30;
const LEAK_MIB_MAX = 1024;
const MIB = 1024 * 1024;

// Every kill is an error in the log; who kills knows.
const log = openLog('fatal');
const module = await compileEngine();
const pool = await startPool(module, Number(process.argv[2]));
const guests = guestsOn(pool, module, log);
const app = Fastify({ ...problemServerOptions, logger: false });
await app.register(httpRoutes, { guests, isReady: () => true });
await app.register(streamRoutes, { guests });
tell({ kind: 'ready', url: await app.listen({ host: '127.0.0.1', port: 0 }) });

const leaked: Buffer[] = [];

process.on('message', (message: ToDaemon) => {
  if (message.kind === 'kill') void kill(message.pick);
  else if (message.kind === 'leak') setInterval(leak, LEAK_MILLIS, performance.now()).unref();
  else tell({ kind: 'handles', handles: process.getActiveResourcesInfo().length });
});
// The parent is gone, or done.
process.on('disconnect', () => process.exit(0));

function tell(message: FromDaemon): void {
  process.send!(message);
}

/** Ends a processor's thread wherever it is; not one that is only just starting: see LIVES_LOST_MAX. */
async function kill(pick: number): Promise<void> {
  const living = pool.processors.filter(({ alive, livesLost }) => alive && livesLost === 0);
  const victim = living[pick % living.length];
  await victim?.worker.terminate();
  tell({ kind: 'killed', processor: victim?.index ?? null });
}

/** By the clock, however seldom a busy machine lets it. */
function leak(since: number): void {
  const due = Math.min(LEAK_MIB_MAX, (LEAK_MIB_PER_SECOND * (performance.now() - since)) / 1000);
  while (leaked.length < due) leaked.push(Buffer.alloc(MIB, 1));
}
