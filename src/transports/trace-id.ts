/**
 * One id for what belongs together: in the answer of a request that failed, in the log, in the hello of a stream. A client
 * that traces brings its own (traceparent, or x-request-id); for others one is made when it is first wanted, so
 * that a request without trouble costs nothing. Main thread.
 *
 * SPEC: W3C Trace Context, 3.2 (traceparent; a trace-id of zeroes is none).
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-|$)/;
const NO_TRACE = '0'.repeat(32);
/** What goes into a log as it came must be short and plain. */
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,64}$/;
const ID_BYTES = 16;

const made = new WeakMap<IncomingMessage, string>();

export function traceIdOf({ raw }: { readonly raw: IncomingMessage }): string {
  let id = made.get(raw);
  if (id === undefined) {
    id = broughtBy(raw) ?? randomBytes(ID_BYTES).toString('hex');
    made.set(raw, id);
  }
  return id;
}

function broughtBy({ headers }: IncomingMessage): string | undefined {
  const { traceparent } = headers;
  const traceId = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
  if (traceId !== undefined && traceId !== NO_TRACE) return traceId;
  const requestId = headers['x-request-id'];
  return typeof requestId === 'string' && REQUEST_ID.test(requestId) ? requestId : undefined;
}
