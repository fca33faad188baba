/** `hptd serve`: the daemon in the foreground, until a signal. The daemon itself is ../../main.ts. */
import type { ServeOptions } from '../../operations/config.ts';
import { type Command, parseWords } from '../command.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { print } from '../output.ts';
import { readyLine } from './ready-line.ts';

export const serve: Command = {
  name: 'serve',
  usage: 'serve [--listen HOST:PORT|unix:PATH] [--processors N] [--log-level LEVEL]',
  summary: 'run the daemon',
  help: () => `Runs the daemon in the foreground. It ends on SIGTERM and SIGINT, when what it accepted is answered.

  --listen HOST:PORT|unix:PATH   where to listen (HPTD_LISTEN)
  --processors N                 worker threads that execute hcalls (HPTD_PROCESSORS)
  --log-level LEVEL              fatal, error, warn, info, debug, trace or silent (HPTD_LOG_LEVEL)
  --until-stdin-ends             end when standard input does, for those who start a daemon as a child`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('serve', words, {
    listen: { type: 'string' }, processors: { type: 'string' }, 'log-level': { type: 'string' },
    'until-stdin-ends': { type: 'boolean', default: false },
  });
  if (positionals.length > 0) throw usageError(`serve takes no "${positionals[0]}"`, 'serve');
  const options = await optionsFrom({
    listen: values.listen, processors: values.processors, logLevel: values['log-level'],
  });
  const { serve: start } = await import('../../main.ts');
  const daemon = await start(options).catch((error: NodeJS.ErrnoException) => {
    throw isListening(error) ? new CliError(EXIT.unavailable, error.message, 'see "hptd help serve"') : error;
  });
  daemon.closeOnSignals();
  if (values['until-stdin-ends']) process.stdin.once('close', () => void daemon.close()).resume();
  print(readyLine(daemon.url));
  // From here on the daemon's own handles keep the process.
  return EXIT.ok;
}

/** The command line wins over the environment; what neither sets has a default. */
async function optionsFrom(given: Record<string, string | undefined>): Promise<ServeOptions> {
  const { optionsFromEnvironment, serveOptions } = await import('../../operations/config.ts');
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const checked = serveOptions.safeParse({ ...optionsFromEnvironment(process.env), ...named });
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0]!;
  throw usageError(`${issue.path.join('.')}: ${issue.message}`, 'serve');
}

/** Errors of the address; everything else that keeps a daemon from starting is a defect. */
function isListening(error: NodeJS.ErrnoException): boolean {
  return ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOENT', 'ENOTFOUND'].includes(error.code ?? '');
}
