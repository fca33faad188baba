/**
 * HTTP requests counted by route, for /metrics: how many, with which class of status, and how long they took. Main thread.
 *
 * `countRequests(app)` on the root instance, before routes are registered and before any hook that may refuse a request. It
 * costs two clocks and one listener, which all requests share, because what it needs is on the response: Fastify's hook
 * onResponse makes a function and two listeners for each. Labels are methods and patterns of schemas/routes.ts; all addresses
 * that nobody answers share one row, so clients cannot make rows.
 *
 * Counted when the whole answer was given to the network. So these are not: an answer that the client did not wait for or
 * that was cut off, a stream that opened (its hcalls are counted by the engine), and what was refused before there was a
 * request (a malformed one, a connection too many).
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { MetricsText, Sample } from '../operations/metrics-text.ts';

const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Seconds. An hcall takes a few hundred microseconds, a table stream or the statistics of a large table seconds. */
const BOUNDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5, 25] as const;
const BUCKETS = BOUNDS.length + 1;

/** One route, one method. */
interface Labels extends Readonly<Record<string, string>> {
  readonly method: string;
  readonly route: string;
}

/** Of what no route answers: 404 and 405. */
const UNKNOWN: Labels = { method: 'any', route: 'none' };

export interface RequestCounts {
  addTo(metrics: MetricsText): void;
}

interface Counts {
  /** A row each. */
  readonly labels: Labels[];
  /** CLASSES.length for each row. */
  readonly statuses: number[];
  /** BUCKETS for each row. */
  readonly buckets: number[];
  readonly seconds: number[];
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a route in the counts. */
    countedRow?: number;
  }
}

const REQUEST = Symbol('request');
/** In milliseconds, by performance.now(). */
const ARRIVED = Symbol('arrived');

interface Counted extends ServerResponse {
  [REQUEST]: FastifyRequest;
  [ARRIVED]: number;
}

export function countRequests(app: FastifyInstance): RequestCounts {
  const counts: Counts = { labels: [], statuses: [], buckets: [], seconds: [] };
  const unknown = addRow(counts, UNKNOWN);
  app.addHook('onRoute', (route) => {
    const pattern = route.url.replaceAll(/:(\w+)/g, '{$1}');
    const countedRow = addRow(counts, { method: String(route.method), route: pattern });
    route.config = { ...route.config, countedRow };
  });
  function finished(this: Counted): void {
    const { config } = this[REQUEST].routeOptions;
    const millis = performance.now() - this[ARRIVED];
    countOne(counts, config?.countedRow ?? unknown, millis, this.statusCode);
  }
  app.addHook('onRequest', (request, reply, done) => {
    const raw = reply.raw as Counted;
    raw[REQUEST] = request;
    raw[ARRIVED] = performance.now();
    raw.on('finish', finished);
    done();
  });
  return { addTo: (metrics) => addTo(metrics, counts) };
}

function addRow({ labels, statuses, buckets, seconds }: Counts, row: Labels): number {
  statuses.push(...CLASSES.map(() => 0));
  buckets.push(...Array.from({ length: BUCKETS }, () => 0));
  seconds.push(0);
  return labels.push(row) - 1;
}

function countOne(
  { statuses, buckets, seconds }: Counts,
  row: number,
  millis: number,
  status: number,
): void {
  const took = millis / 1000;
  let bucket = 0;
  while (bucket < BOUNDS.length && took > BOUNDS[bucket]!) bucket++;
  buckets[row * BUCKETS + bucket]!++;
  seconds[row]! += took;
  statuses[row * CLASSES.length + Math.trunc(status / 100) - 1]!++;
}

/** A row that was never asked for is left out: most of them, in most daemons. */
function addTo(metrics: MetricsText, { labels, statuses, buckets, seconds }: Counts): void {
  metrics.counter(
    'hptd_http_requests_total',
    'HTTP requests answered, by the class of the status.',
    labels.flatMap((row, i) =>
      CLASSES.map(
        (status, at): Sample => [{ ...row, status }, statuses[i * CLASSES.length + at]!],
      ).filter(([, count]) => count > 0),
    ),
  );
  const rows = labels.map((row, i) => ({
    labels: row,
    bounds: BOUNDS,
    counts: buckets.slice(i * BUCKETS, (i + 1) * BUCKETS),
    sum: seconds[i]!,
  }));
  metrics.histogram(
    'hptd_http_request_duration_seconds',
    'From the arrival of a request to the end of its answer.',
    rows.filter(({ counts }) => counts.some((count) => count > 0)),
  );
}
