/** `hptd serve`: the daemon in the foreground, until a signal. The daemon itself is ../../main.ts. */
import { type Command, parseWords } from '../command.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { complain } from '../output.ts';
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
    throw listenError(options.listen, error);
  });
  complain(readyLine(daemon.url));
  await endOf(values['until-stdin-ends']);
  await daemon.close();
  return EXIT.ok;
}

type Given = Partial<Record<'listen' | 'processors' | 'logLevel', string | undefined>>;

/** The command line wins over the environment. */
async function optionsFrom(given: Given) {
  const { serveOptions } = await import('../../operations/config.ts');
  const { env } = process;
  const raw = {
    listen: given.listen ?? env['HPTD_LISTEN'],
    processors: numberOr(given.processors ?? env['HPTD_PROCESSORS']),
    logLevel: given.logLevel ?? env['HPTD_LOG_LEVEL'],
  };
  const checked = serveOptions.safeParse(Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined)));
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0]!;
  throw usageError(`${issue.path.join('.')}: ${issue.message}`, 'serve');
}

/** What is no number stays text, for the schema to refuse in its own words. */
function numberOr(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : text;
}

function listenError(listen: string, error: NodeJS.ErrnoException): Error {
  if (error.syscall !== 'listen' && error.syscall !== 'bind' && error.syscall !== 'getaddrinfo') return error;
  const message = error.code === 'EADDRINUSE' ? `something listens at ${listen} already` : `cannot listen at ${listen}: ${error.message}`;
  return new CliError(EXIT.unavailable, message, 'choose another address with --listen');
}

/** Resolves at the first SIGTERM or SIGINT, or when standard input ends where that is asked for. */
function endOf(untilStdinEnds: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    if (untilStdinEnds) process.stdin.once('close', () => resolve()).resume();
  });
}
