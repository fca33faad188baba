/**
 * A resize of a guest's table as a resource: begun, watched, committed, cancelled. Main thread; it is the guest's own two
 * hcalls that do it, so whatever H_RESIZE_HPT_PREPARE allows and answers holds here.
 */
import type { FastifyInstance } from 'fastify';
import { problem } from '../../schemas/problems.ts';
import { RESIZE_STATES, resizeBody } from '../../schemas/resources.ts';
import { STATUSES, statusName } from '../../schemas/statuses.ts';
import type { Guest, Guests } from '../guests/types.ts';
import { readBody } from './bodies.ts';
import { mayChangeShape, runOperation } from './controls.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

type GuestRoute = { Params: GuestParams };

/** Why the hcalls refuse, for people. */
const REASONS: Readonly<Record<number, string>> = {
  [STATUSES.H_RESOURCE]: 'the order is more than a guest with this much memory may have',
  [STATUSES.H_NO_MEM]:
    'there is no room for such a table beside the active one, in its memory or in what its client may have',
  [STATUSES.H_PTEG_FULL]: 'two bolted entries want one slot of the new table; the old one stays',
  [STATUSES.H_CLOSED]: 'another resize came in between',
  [STATUSES.H_BUSY]: 'the table was not prepared in full; the preparation is dropped',
};

export function resizeRoutes(app: FastifyInstance, guests: Guests): void {
  const url = '/v1/guests/:guest/hpt/resize';
  app.get<GuestRoute>(url, async ({ params }) => progress(guestNamed(guests, params.guest)));

  app.post<GuestRoute>(url, async ({ params, body }, reply) => {
    const guest = guestNamed(guests, params.guest);
    mayChangeShape(guest);
    const { order } = readBody(resizeBody, body);
    await call(guest, 'H_RESIZE_HPT_PREPARE', order);
    return reply.code(202).send(progress(guest));
  });

  app.post<GuestRoute>(`${url}/commit`, async ({ params }) => {
    const guest = guestNamed(guests, params.guest);
    mayChangeShape(guest);
    const { state, order } = progress(guest);
    // COMMIT drops a preparation that is not ready: ask first.
    if (state !== 'ready')
      throw problem('resize-refused', `the resize of ${guest.name} is not ready: it is ${state}`);
    await call(guest, 'H_RESIZE_HPT_COMMIT', order);
    return { ...progress(guest), orderNow: guest.status().order };
  });

  app.delete<GuestRoute>(url, async ({ params }, reply) => {
    await call(guestNamed(guests, params.guest), 'H_RESIZE_HPT_PREPARE', 0);
    return reply.code(204).send();
  });
}

function progress(guest: Guest) {
  const { state, order, zeroedBytes, bytes } = guest.resize();
  return { state: RESIZE_STATES[state]!, order, zeroedBytes, bytes };
}

async function call(guest: Guest, name: string, order: number): Promise<void> {
  const { status } = await runOperation(guest, name, 0n, BigInt(order));
  if (status === STATUSES.H_SUCCESS || status === STATUSES.H_LONG_BUSY_ORDER_100_MSEC) return;
  if (status === STATUSES.H_NOT_AVAILABLE)
    throw problem('no-table', `the guest ${guest.name} has no table`);
  const reason = REASONS[status] ?? 'see the hcall';
  throw problem(
    'resize-refused',
    `${name} of order ${order} answers ${statusName(status)}: ${reason}`,
  );
}
