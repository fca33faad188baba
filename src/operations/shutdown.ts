/**
 * The daemon's end on SIGTERM or SIGINT: close cleanly within SHUTDOWN_GRACE_MILLIS and exit with 0; a second
 * signal, or a close that takes too long, exits with 1. An error that nobody caught ends the daemon too: with 1.
 */
import closeWithGrace from 'close-with-grace';
import type { Logger } from 'pino';
import { SHUTDOWN_GRACE_MILLIS } from '../../schemas/limits.ts';

export function closeOnSignals(close: () => Promise<void>, log: Logger): void {
  closeWithGrace(
    { delay: SHUTDOWN_GRACE_MILLIS, logger: { error: (message) => log.fatal(message) } },
    async ({ signal, err }) => {
      if (err !== undefined) log.fatal({ err }, 'an error that nobody caught');
      else log.info({ signal }, 'shutting down');
      await close();
    },
  );
}
