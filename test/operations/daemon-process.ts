/** A daemon as a process, for serve.test.ts: listens where its argument says and prints its URL. */
import { serve } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';

const daemon = await serve(
  serveOptions.parse({ listen: process.argv[2], processors: 1, logLevel: 'warn' }),
);
daemon.closeOnSignals();
process.stdout.write(`${daemon.url}\n`);
