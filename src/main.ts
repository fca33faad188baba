/**
 * The daemon put together: guests on their processors, behind REST and streams. Read this to see what there is.
 */
import Fastify, { LogController } from 'fastify';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { z } from 'zod';
import {
  HEADER_BYTES_MAX,
  SLOW_LOOK_MILLIS,
  TABLE_BYTES_PER_CLIENT_MAX,
} from '../schemas/limits.ts';
import { openGuests } from './guests/registry.ts';
import type { Guests } from './guests/types.ts';
import { openState } from './state/state.ts';
import type { State } from './state/state.ts';
import { watchAccess } from './operations/access-watch.ts';
import type { Access } from './operations/access-watch.ts';
import { serveOptions } from './operations/config.ts';
import type { ServeOptions } from './operations/config.ts';
import { openDoors } from './operations/listen.ts';
import type { Doors } from './operations/listen.ts';
import { openLog } from './operations/log.ts';
import { addressesOf, hostNamesOf, isLoopback, readReach, readTls } from './operations/reach.ts';
import { closeOnSignals } from './operations/shutdown.ts';
import { guard } from './transports/access.ts';
import type { Guard } from './transports/access.ts';
import { auditAdministration } from './transports/audit.ts';
import type { Audit } from './transports/audit.ts';
import { countConnections } from './transports/connections.ts';
import { countRequests } from './transports/http-requests.ts';
import type { RequestCounts } from './transports/http-requests.ts';
import { httpRoutes } from './transports/http.ts';
import { problemServerOptions } from './transports/problems.ts';
import { guardQuotas } from './transports/quotas.ts';
import { isStreamRequest, streamRoutes } from './transports/stream.ts';
import type { Peer } from './transports/stream-peer.ts';
import { traceIdOf } from './transports/trace-id.ts';

export interface Daemon {
  /** As clients take it: http://HOST:PORT, https://HOST:PORT or unix:PATH. The first of `urls`. */
  readonly url: string;
  readonly urls: readonly string[];
  /** Reads the access file and the TLS files again, as SIGHUP does. */
  reload(): void;
  /** Answers what is in flight, closes every stream with 1012, frees the port. */
  close(): Promise<void>;
  /** Closes on SIGTERM and SIGINT, then exits. For a process that is the daemon and nothing else. */
  closeOnSignals(): void;
}

/** Starts a daemon. Throws ConfigurationError, or an error with `code` EADDRINUSE when somebody listens there already. */
export async function serve(given: z.input<typeof serveOptions>): Promise<Daemon> {
  const options = serveOptions.parse(given);
  const reach = readReach(options);
  const log = openLog(options.logLevel);
  const boundTables = options.tableBytesPerClientMax < TABLE_BYTES_PER_CLIENT_MAX;
  const state = stateOf(options, log);
  const guests = await openGuests({ ...options, log, boundTables, state });
  const access =
    reach.access === undefined ? undefined : watchAccess(options.accessFile!, reach.access, log);
  let closing: Promise<void> | undefined;
  const app = openServer(options, log);
  // Before whatever may refuse one.
  const requests = countRequests(app);
  const isTls = reach.tls !== undefined;
  const connections = countConnections(app.server, options, isTls);
  const guarded = guard(app, { ...options, connections, access, hostNames: hostNamesOf(options) });
  const audit = auditAdministration(app, { log, clientOf: (request) => guarded.clientOf(request) });
  guardQuotas(app, { ...options, guests, guard: guarded });
  const isReady = (): boolean => closing === undefined;
  await openRoutes(app, { guests, isReady, guard: guarded, audit, options, requests, log });

  let opened: Doors | undefined;
  const closeAll = async (): Promise<void> => {
    access?.close();
    const closed = opened?.close();
    try {
      await guests.close();
    } finally {
      // Also when not everything could be kept.
      await app.close();
      await connections.endWith(closed);
    }
  };
  const close = (): Promise<void> => (closing ??= closeAll());
  const doors = await openDoors({
    addresses: addressesOf(options),
    tls: reach.tls,
    asksWho: access !== undefined,
    admit: connections.admit,
    serve: connections.serve,
  }).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  opened = doors;
  const { urls } = doors;
  log.info({ urls, processors: options.processors, asksWho: access !== undefined }, 'ready');
  if (access !== undefined && !isTls) warnOfPlainText(urls, log);
  const reload = (): void => readAgain(options, log, access, doors);
  const reloads = isTls || access !== undefined ? reload : undefined;
  return {
    url: urls[0]!,
    urls,
    reload,
    close,
    closeOnSignals: () => closeOnSignals(close, log, reloads, state !== undefined),
  };
}

interface RoutesSite {
  readonly guests: Guests;
  readonly isReady: () => boolean;
  readonly guard: Guard;
  readonly audit: Audit | undefined;
  readonly options: ServeOptions;
  readonly requests: RequestCounts;
  readonly log: Logger;
}

async function openRoutes(app: FastifyInstance, site: RoutesSite): Promise<void> {
  const { guests, isReady, guard: guarded, audit, options, requests, log } = site;
  const peers = new Set<Peer>();
  const htabIdleMillis = options.htabIdleSecondsMax * 1000;
  await app.register(httpRoutes, { guests, isReady, peers, requests, log, htabIdleMillis });
  await app.register(streamRoutes, { guests, guard: guarded, audit, peers, log });
  await app.ready();
  // It never listens itself, and this starts its watch over requests that come too slowly.
  app.server.emit('listening');
}

/** Undefined: none was asked for. */
function stateOf(
  { stateDir, journal, snapshotSeconds }: ServeOptions,
  log: Logger,
): State | undefined {
  if (stateDir === undefined) return undefined;
  return openState({ directory: stateDir, durability: journal, snapshotSeconds, log });
}

function openServer(options: ServeOptions, log: Logger): FastifyInstance {
  const app = Fastify({
    ...problemServerOptions,
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: options.headersSecondsMax * 1000,
      connectionsCheckingInterval: SLOW_LOOK_MILLIS,
      shouldUpgradeCallback: isStreamRequest,
    },
    requestTimeout: options.requestSecondsMax * 1000,
    // Fastify has no logger: it would cost each request two listeners and two clocks, for lines that are not wanted.
    logController: new LogController({ disableRequestLogging: true }),
  });
  if (log.isLevelEnabled('debug')) {
    app.addHook('onResponse', async (request, reply) => {
      const millis = reply.elapsedTime;
      log.debug(
        {
          method: request.method,
          url: request.url,
          status: reply.statusCode,
          millis,
          traceId: traceIdOf(request),
        },
        'request',
      );
    });
  }
  return app;
}

function warnOfPlainText(urls: readonly string[], log: Logger): void {
  const open = urls.filter((url) => url.startsWith('http:') && !isLoopback(new URL(url).hostname));
  if (open.length > 0)
    log.warn(
      { urls: open },
      'tokens travel readable to these addresses: give them tlsCert and tlsKey',
    );
}

/** On SIGHUP. What cannot be read leaves what is in force. */
function readAgain(
  options: ServeOptions,
  log: Logger,
  access: Access | undefined,
  doors: Doors,
): void {
  access?.reload();
  try {
    const tls = readTls(options);
    if (tls !== undefined) doors.renewTls(tls);
  } catch (error) {
    log.error({ err: error }, 'the TLS files cannot be used: those before stay in force');
  }
}
