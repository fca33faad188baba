/** A daemon in this very process, for the commands that run one: its options, and its errors as people read them. */
import type { Daemon } from '../main.ts';
import type { ServeOptions } from '../operations/config.ts';
import { CliError, EXIT, usageError } from './errors.ts';

/** The command line wins over the environment; what neither sets has a default. */
export async function optionsFrom(
  command: string,
  given: Record<string, string | undefined>,
): Promise<ServeOptions> {
  const { optionsFromEnvironment, serveOptions } = await import('../operations/config.ts');
  const named = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  const checked = serveOptions.safeParse({ ...optionsFromEnvironment(process.env), ...named });
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0]!;
  throw usageError(`${issue.path.join('.')}: ${issue.message}`, command);
}

/** Starts the daemon. `advice` is for those whose address cannot be listened on. */
export async function startHere(options: ServeOptions, advice: string): Promise<Daemon> {
  // Only here: the daemon is most of the program, and most commands have no use for it.
  const { serve } = await import('../main.ts');
  return serve(options).catch((error: NodeJS.ErrnoException) => {
    throw isListening(error) ? new CliError(EXIT.unavailable, error.message, advice) : error;
  });
}

/** Errors of the address; everything else that keeps a daemon from starting is a defect. */
function isListening(error: NodeJS.ErrnoException): boolean {
  return ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOENT', 'ENOTFOUND'].includes(
    error.code ?? '',
  );
}
