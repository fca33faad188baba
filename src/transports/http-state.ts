/** What the daemon keeps of its guests over REST: its state, and snapshots of a guest. Main thread. */
import type { FastifyInstance } from 'fastify';
import { problem } from '../../schemas/problems.ts';
import type { Guests, GuestsState } from '../guests/types.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

export function stateRoutes(app: FastifyInstance, guests: Guests): void {
  app.get('/v1/state', async () => stateJson(stateOf(guests)));

  const url = '/v1/guests/:guest/snapshots';
  app.get<{ Params: GuestParams }>(url, async ({ params }) => {
    const { name } = guestNamed(guests, params.guest);
    const images = stateOf(guests).images(name);
    return {
      snapshots: images.map(({ number, path, bytes, writtenAt }) => ({
        number,
        file: path,
        bytes,
        writtenAt: writtenAt.toISOString(),
      })),
    };
  });

  app.post<{ Params: GuestParams }>(url, async ({ params }, reply) => {
    const { name } = guestNamed(guests, params.guest);
    const { number, path, bytes, heldMillis, facts } = await stateOf(guests).snapshot(name);
    return reply.code(201).send({ guest: name, number, file: path, bytes, heldMillis, ...facts });
  });
}

function stateOf({ state }: Guests): GuestsState {
  if (state === undefined)
    throw problem('state-off', 'the daemon was started without a state directory');
  return state;
}

function stateJson(state: GuestsState) {
  const { failing, damaged, snapshots, failures, newest } = state.status();
  return {
    directory: state.directory,
    durability: state.durability,
    guests: [...newest].map(([guest, { takenAtMillis, bytes, heldMillis }]) => ({
      guest,
      takenAt: new Date(takenAtMillis).toISOString(),
      bytes,
      heldMillis,
    })),
    failing: [...failing].map(([guest, reason]) => ({ guest, reason })),
    damaged: damaged.map(({ guest, kind, path, reason, advice }) => ({
      guest,
      kind,
      file: path,
      reason,
      whatToDo: advice,
    })),
    snapshots,
    failures,
  };
}
