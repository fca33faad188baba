/**
 * What one client's guests may be and grow to: asked when one is created, before it is. Main thread.
 *
 * A guest counts with the largest table that its own hcalls can give it (H_RESIZE_HPT_PREPARE), not with the one it has.
 */
import type { FastifyInstance } from 'fastify';
import { guestConfig } from '../../schemas/guests.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import { ORDER_MAX, ORDER_MIN } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import type { Guests } from '../guests/types.ts';
import type { Guard } from './access.ts';
import type { GuestParams } from './http-guests.ts';

export interface QuotaOptions {
  readonly guests: Guests;
  readonly guard: Guard;
  readonly guestsPerClientMax: number;
  readonly tableBytesPerClientMax: number;
}

/** On the root instance, before routes are registered. */
export function guardQuotas(app: FastifyInstance, options: QuotaOptions): void {
  /** Who created a guest, by its name; names of guests that are gone go with the next look. */
  const owners = new Map<string, string>();
  app.addHook('onRoute', (route) => {
    if (route.method !== 'PUT' || route.url !== '/v1/guests/:guest') return;
    route.preHandler = (request, _reply, done) => {
      const { guest } = request.params as GuestParams;
      const parsed = guestConfig.safeParse(request.body);
      // Whatever else is wrong with it, the route says.
      if (!parsed.success || options.guests.get(guest) !== undefined) return done();
      const client = options.guard.clientOf(request);
      const refusal = overQuota(options, owners, client, parsed.data);
      if (refusal === undefined) owners.set(guest, client);
      done(refusal);
    };
  });
}

function overQuota(
  options: QuotaOptions,
  owners: Map<string, string>,
  client: string,
  config: GuestConfig,
): ProblemError | undefined {
  const { guests, guestsPerClientMax, tableBytesPerClientMax } = options;
  for (const name of owners.keys()) if (guests.get(name) === undefined) owners.delete(name);
  const own = guests.list().filter(({ name }) => owners.get(name) === client);
  if (own.length >= guestsPerClientMax)
    return problem('client-guest-limit', `${client} has ${own.length} guests, as many as it may`);
  const bytes = [config, ...own.map((guest) => guest.config)].reduce(
    (sum, one) => sum + tableBytesMost(one),
    0,
  );
  if (bytes <= tableBytesPerClientMax) return undefined;
  const detail = `the tables of ${client} could grow to ${bytes} bytes; it may have ${tableBytesPerClientMax}`;
  return problem('client-guest-limit', detail);
}

/** Of a table and its reverse map. SPEC: src/engine/hcalls/resize.ts bounds a resize so. */
export function tableBytesMost({ order, ramBytes, memslots = [] }: GuestConfig): number {
  const ram =
    ramBytes ?? memslots.reduce((sum, { bytes, kind }) => sum + (kind === 'ram' ? bytes : 0), 0);
  const recommended = Math.max(Math.ceil(Math.log2(Math.max(ram, 1))) - 7, ORDER_MIN);
  return 2 * 2 ** Math.min(Math.max(order, recommended + 1), ORDER_MAX);
}
