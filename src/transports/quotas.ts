/**
 * What one client's guests may be and grow to: asked when one is created, before it is. Main thread.
 *
 * A guest counts with what its tables may take (tableBytesMost), not with the one it has. Where that is less than all there
 * could be, the guest is given no more room (registry.ts), so that neither a resize nor its host exceeds it later.
 */
import type { FastifyInstance } from 'fastify';
import { guestConfig, tableBytesMost } from '../../schemas/guests.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
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
