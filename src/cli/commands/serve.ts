/** `hptd serve`: the daemon in the foreground, until a signal. The daemon itself is ../../main.ts. */
import { type Command, parseWords } from '../command.ts';
import { optionsFrom, startHere } from '../daemon-here.ts';
import { EXIT, usageError } from '../errors.ts';
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
    listen: { type: 'string' },
    processors: { type: 'string' },
    'log-level': { type: 'string' },
    'until-stdin-ends': { type: 'boolean', default: false },
  });
  if (positionals.length > 0) throw usageError(`serve takes no "${positionals[0]}"`, 'serve');
  const options = await optionsFrom('serve', {
    listen: values.listen,
    processors: values.processors,
    logLevel: values['log-level'],
  });
  const daemon = await startHere(options, 'see "hptd help serve"');
  daemon.closeOnSignals();
  if (values['until-stdin-ends']) process.stdin.once('close', () => void daemon.close()).resume();
  print(readyLine(daemon.url));
  // From here on the daemon's own handles keep the process.
  return EXIT.ok;
}
