/** A daemon in a process of its own, with a state directory, until a signal; prints its URL. */
import { serve } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';

const daemon = await serve(
  serveOptions.parse({
    listen: '127.0.0.1:0',
    socket: 'none',
    processors: 2,
    logLevel: 'error',
    stateDir: process.argv[2],
    snapshotSeconds: 1,
  }),
);
daemon.closeOnSignals();
process.stdout.write(`${daemon.url}\n`);
