/**
 * A guest's life over REST: create, list, look, change its state, delete. Main thread; plain functions over `Guests`.
 */
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { guestPatch } from '../../schemas/guest-states.ts';
import { guestConfig, guestName, type GuestConfig } from '../../schemas/guests.ts';
import { problem, shortened, type ProblemError, type ProblemPart } from '../../schemas/problems.ts';
import { hex } from '../../schemas/words.ts';
import type { Guest, Guests } from '../guests/types.ts';
import { readBody } from './bodies.ts';

export interface GuestParams {
  guest: string;
}

/** The guest that the address names. Throws guest-not-found, guest-damaged. */
export function guestNamed(guests: Guests, name: string): Guest {
  const guest = guests.get(name);
  if (guest !== undefined) return guest;
  throw (
    guests.state?.refusal(name) ??
    problem('guest-not-found', `there is no guest ${JSON.stringify(name)}`)
  );
}

export function guestRoutes(app: FastifyInstance, guests: Guests): void {
  app.get('/v1/guests', async () => ({ guests: guests.list().map(guestJson) }));

  app.get<{ Params: GuestParams }>('/v1/guests/:guest', async ({ params }) => {
    return guestJson(guestNamed(guests, params.guest));
  });

  app.put<{ Params: GuestParams }>('/v1/guests/:guest', async ({ params, body }, reply) => {
    const name = guestName.safeParse(params.guest);
    if (!name.success)
      throw configRefused([
        { path: 'guest', message: `is not a name: ${name.error.issues[0]!.message}` },
      ]);
    if (guests.get(params.guest) !== undefined)
      throw problem('guest-exists', `the guest ${params.guest} is there already`);
    const guest = await guests.create(params.guest, configOf(body));
    return reply.code(201).header('location', guestPath(guest.name)).send(guestJson(guest));
  });

  app.patch<{ Params: GuestParams }>('/v1/guests/:guest', async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    await guest.changeState(readBody(guestPatch, body).state);
    return guestJson(guest);
  });

  app.delete<{ Params: GuestParams }>('/v1/guests/:guest', async ({ params }, reply) => {
    await guests.remove(params.guest);
    return reply.code(204).send();
  });
}

function guestPath(name: string): string {
  return `/v1/guests/${encodeURIComponent(name)}`;
}

function guestJson(guest: Guest) {
  const { memslots: _born, state: _first, ...config } = guest.config;
  const { order, streams, state } = guest.status();
  const path = guestPath(guest.name);
  return {
    name: guest.name,
    state,
    ...config,
    /** Differs from `order` after a resize or a reset. */
    orderNow: order,
    memslots: guest.memslots().map((slot) => ({ ...slot, base: hex(slot.base) })),
    streams,
    createdAt: guest.createdAt.toISOString(),
    links: {
      self: path,
      hcalls: `${path}/hcalls`,
      control: `${path}/control`,
      memslots: `${path}/memslots`,
      resize: `${path}/hpt/resize`,
      stream: `${path}/stream`,
      statistics: `${path}/hpt/statistics`,
      hash: `${path}/hpt/hash`,
      htab: `${path}/htab`,
      snapshots: `${path}/snapshots`,
      ...(guest.config.memory === 'backed' ? { memory: `${path}/memory` } : {}),
    },
  };
}

/**
 * The description in a body; a body that is left out describes nothing, and `order` is wanted at
 * least.
 */
function configOf(body: unknown): GuestConfig {
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) {
    throw problem('body-invalid', 'the description of a guest is a JSON object');
  }
  const parsed = guestConfig.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  throw configRefused(
    parsed.error.issues.slice(0, PARTS_MAX).flatMap((issue) => partsOf(issue, body ?? {})),
  );
}

/** Findings beyond these help nobody. */
const PARTS_MAX = 16;

function configRefused(parts: readonly ProblemPart[]): ProblemError {
  const first = parts[0]!;
  const more = parts.length === 1 ? '' : ` (and ${parts.length - 1} more, see errors)`;
  return problem('guest-config-invalid', `${first.path} ${first.message}${more}`, {
    errors: parts.slice(0, PARTS_MAX),
  });
}

function partsOf(issue: z.core.$ZodIssue, body: object): ProblemPart[] {
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, PARTS_MAX).map((key) => ({
      path: shortened(path === '' ? key : `${path}.${key}`),
      message: 'is not known',
    }));
  }
  const member = guestConfig.shape[issue.path[0] as keyof GuestConfig];
  const wanted = issue.path.length === 1 ? member.description : undefined;
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown>)[key],
    body,
  );
  const fault = value === undefined ? 'is missing' : `is ${shortened(JSON.stringify(value))}`;
  return [{ path, message: `${fault}; wanted: ${wanted ?? issue.message}` }];
}

/** `memslots[0].base` */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`))
    .join('');
}
