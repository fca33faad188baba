/**
 * The daemon's end on SIGTERM or SIGINT: close cleanly within SHUTDOWN_GRACE_MILLIS, with STATE_SHUTDOWN_MILLIS more for
 * guests that are kept, and exit with 0; a second signal, a close that takes too long, or one that could not keep all,
 * exits with 1. An error that nobody caught ends the daemon too: with 1.
 * SIGHUP reads files again where there are any to read; else it is a terminal that was closed, and ends the daemon.
 */
import closeWithGrace from 'close-with-grace';
import type { Logger } from 'pino';
import { SHUTDOWN_GRACE_MILLIS, STATE_SHUTDOWN_MILLIS } from '../../schemas/limits.ts';
import { tellSystemd } from './systemd.ts';

export function closeOnSignals(
  close: () => Promise<void>,
  log: Logger,
  reload: (() => void) | undefined,
  keepsState: boolean,
): void {
  if (reload !== undefined) process.on('SIGHUP', reload);
  closeWithGrace(
    {
      delay: shutdownMillis(keepsState),
      logger: { error: (message) => log.fatal(message) },
      skip: reload === undefined ? [] : ['SIGHUP'],
    },
    async ({ signal, err }) => {
      if (err !== undefined) log.fatal({ err }, 'an error that nobody caught');
      else log.info({ signal }, 'shutting down');
      tellSystemd('STOPPING', (error) => log.warn({ err: error }, 'systemd cannot be told'));
      await close();
    },
  );
}

/** How long a daemon may take to end. */
export function shutdownMillis(keepsState: boolean): number {
  return SHUTDOWN_GRACE_MILLIS + (keepsState ? STATE_SHUTDOWN_MILLIS : 0);
}
