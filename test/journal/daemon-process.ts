/** A daemon as a process, to be killed: its options are its argument, in JSON. Prints its URL. */
import { serve } from '../../src/main.ts';
import { serveOptions } from '../../src/operations/config.ts';

const daemon = await serve(serveOptions.parse(JSON.parse(process.argv[2]!)));
daemon.closeOnSignals();
process.stdout.write(`${daemon.url}\n`);
