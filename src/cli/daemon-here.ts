/** A daemon in this very process, for the commands that run one: its options, and its errors as people read them. */
import type { Daemon } from '../main.ts';
import { OPTIONS } from '../operations/config.ts';
import type { ServeOptions } from '../operations/config.ts';
import { ConfigurationError, readConfiguration } from '../operations/configuration.ts';
import type { Configuration } from '../operations/configuration.ts';
import { CliError, EXIT, usageError } from './errors.ts';

/** The configuration that a command line leads to; `given` has its options by their flags, as parseArgs gives them. */
export function configurationFrom(
  command: string,
  given: Readonly<Record<string, string | string[] | boolean | undefined>>,
): Configuration {
  const file = given['config'] ?? process.env['HPTD_CONFIG'];
  const named = OPTIONS.map(({ name, flag }) => [name, given[flag.slice('--'.length)]]);
  try {
    return readConfiguration(
      Object.fromEntries(named),
      process.env,
      typeof file === 'string' && file !== '' ? file : undefined,
    );
  } catch (error) {
    throw explained(error, command);
  }
}

/** A wrong option on the command line is a usage error, like any other. */
function explained(error: unknown, command: string): unknown {
  if (!(error instanceof ConfigurationError)) return error;
  if (error.source === 'command line') return usageError(error.message, command);
  return new CliError(EXIT.config, error.message, error.advice);
}

/** Starts a daemon. `advice` is for those whose address cannot be listened on. */
export async function startHere(options: ServeOptions, advice: string): Promise<Daemon> {
  // Only here: the daemon is most of the program, and most commands have no use for it.
  const { serve } = await import('../main.ts');
  return serve(options).catch((error: NodeJS.ErrnoException) => {
    throw stateError(error) ?? listenError(error, advice);
  });
}

/** By their names: what defines them is part of the daemon. */
function stateError(error: Error): CliError | undefined {
  if (error.name === 'StateTakenError')
    return new CliError(
      EXIT.unavailable,
      error.message,
      'end that daemon, or name another directory with --state-dir',
    );
  if (error.name === 'StateUnusableError')
    return new CliError(
      EXIT.cannotCreate,
      error.message,
      'make it writable for this user, make room, or name another with --state-dir',
    );
  return undefined;
}

function listenError(error: NodeJS.ErrnoException, advice: string): unknown {
  return isListening(error)
    ? new CliError(EXIT.unavailable, error.message, advice)
    : explained(error, 'serve');
}

/** Errors of the address; everything else that keeps a daemon from starting is a defect. */
function isListening(error: NodeJS.ErrnoException): boolean {
  return ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOENT', 'ENOTFOUND'].includes(
    error.code ?? '',
  );
}
