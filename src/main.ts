/**
 * The daemon put together: guests on their processors, behind REST and streams. Read this to see what there is.
 */
import Fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger } from 'fastify';
import { openGuests } from './guests/registry.ts';
import { listenAddress } from './operations/config.ts';
import type { ServeOptions } from './operations/config.ts';
import { listen } from './operations/listen.ts';
import { openLog } from './operations/log.ts';
import { closeOnSignals } from './operations/shutdown.ts';
import { httpRoutes } from './transports/http.ts';
import { problemServerOptions } from './transports/problems.ts';
import { streamRoutes } from './transports/stream.ts';

export interface Daemon {
  /** As clients take it: http://HOST:PORT or unix:PATH. */
  readonly url: string;
  /** Answers what is in flight, closes every stream with 1012, frees the port. */
  close(): Promise<void>;
  /** Closes on SIGTERM and SIGINT, then exits. For a process that is the daemon and nothing else. */
  closeOnSignals(): void;
}

/** Starts a daemon. Throws an error with `code` EADDRINUSE when somebody listens there already. */
export async function serve(options: ServeOptions): Promise<Daemon> {
  const log = openLog(options.logLevel);
  const loggerInstance: FastifyBaseLogger = log;
  const guests = await openGuests({ processors: options.processors, log });
  let closing: Promise<void> | undefined;
  const app = Fastify({
    ...problemServerOptions,
    loggerInstance,
    // A logger a request would cost more than most requests.
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
  });
  if (log.isLevelEnabled('debug')) {
    app.addHook('onResponse', async (request, reply) => {
      const millis = reply.elapsedTime;
      log.debug(
        { method: request.method, url: request.url, status: reply.statusCode, millis },
        'request',
      );
    });
  }
  await app.register(httpRoutes, { guests, isReady: () => closing === undefined });
  await app.register(streamRoutes, { guests });

  async function closeAll(): Promise<void> {
    await guests.close();
    await app.close();
  }
  const close = (): Promise<void> => (closing ??= closeAll());

  try {
    const url = await listen(app, listenAddress(options.listen)!);
    log.info({ url, processors: options.processors }, 'ready');
    return { url, close, closeOnSignals: () => closeOnSignals(close, log) };
  } catch (error) {
    await close();
    throw error;
  }
}
