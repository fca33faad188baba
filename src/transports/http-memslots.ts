/**
 * A guest's memory slots over REST: listed, added and removed while it runs. Main thread; the work is that of the
 * control records MEMSLOT_ADD and MEMSLOT_REMOVE, the latter a bounded piece at a time.
 */
import type { FastifyInstance } from 'fastify';
import { BACKED_RAM_BYTES_MAX, GPA_LIMIT, MEMSLOTS_MAX } from '../../schemas/limits.ts';
import { problem, type ProblemPart } from '../../schemas/problems.ts';
import { memslotBody } from '../../schemas/resources.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
import type { Guest, Guests, GuestSlot } from '../guests/types.ts';
import { readBody } from './bodies.ts';
import { mayChangeShape, runOperation } from './controls.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

type SlotRoute = { Params: GuestParams & { number: string } };

const KINDS = { ram: 1n, ci: 2n, kept: 5n };
const REFUSALS = [
  '',
  'is in use',
  'overlaps another slot',
  'finds no room for what is kept about it',
];

export function memslotRoutes(app: FastifyInstance, guests: Guests): void {
  const url = '/v1/guests/:guest/memslots';
  app.get<{ Params: GuestParams }>(url, async ({ params }) => {
    return { memslots: guestNamed(guests, params.guest).memslots().map(slotJson) };
  });

  app.get<SlotRoute>(`${url}/:number`, async ({ params }) => {
    return slotJson(slotNumbered(guestNamed(guests, params.guest), numberOf(params.number)));
  });

  app.put<SlotRoute>(`${url}/:number`, async ({ params, body }, reply) => {
    const guest = guestNamed(guests, params.guest);
    mayChangeShape(guest);
    const number = numberOf(params.number);
    await addSlot(guest, { number, ...readBody(memslotBody, body) });
    return reply.code(201).send(slotJson(slotNumbered(guest, number)));
  });

  app.delete<SlotRoute>(`${url}/:number`, async ({ params }, reply) => {
    const guest = guestNamed(guests, params.guest);
    mayChangeShape(guest);
    const number = numberOf(params.number);
    for (;;) {
      const { status } = await runOperation(guest, 'MEMSLOT_REMOVE', BigInt(number));
      if (status === STATUSES.H_SUCCESS) return reply.code(204).send();
      if (status !== STATUSES.H_CONTINUE) throw notFound(guest, String(number));
    }
  });
}

function slotJson(slot: GuestSlot) {
  return { ...slot, base: hex(slot.base) };
}

function numberOf(text: string): number {
  const number = /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (number < MEMSLOTS_MAX) return number;
  throw problem(
    'memslot-not-found',
    `${JSON.stringify(text)} is no number of a memory slot; they are 0 to ${MEMSLOTS_MAX - 1}`,
  );
}

function slotNumbered(guest: Guest, number: number): GuestSlot {
  const slot = guest.memslots().find((one) => one.number === number);
  if (slot === undefined) throw notFound(guest, String(number));
  return slot;
}

function notFound(guest: Guest, number: string) {
  return problem('memslot-not-found', `${guest.name} has no memory slot ${number}`);
}

async function addSlot(guest: Guest, { number, base, bytes, kind }: GuestSlot): Promise<void> {
  const { hostPageBytes, backingPageBytes, memory } = guest.config;
  const errors: ProblemPart[] = [];
  if (base % BigInt(hostPageBytes) !== 0n)
    errors.push({ path: 'base', message: `is no multiple of the host page, ${hostPageBytes}` });
  if (bytes % hostPageBytes !== 0)
    errors.push({ path: 'bytes', message: `is no multiple of the host page, ${hostPageBytes}` });
  if (base + BigInt(bytes) > GPA_LIMIT)
    errors.push({ path: 'bytes', message: `goes beyond every guest address, ${hex(GPA_LIMIT)}` });
  const kept = memory === 'backed' && kind === 'ram';
  if (kept && bytes > BACKED_RAM_BYTES_MAX)
    errors.push({ path: 'bytes', message: `is more than can be kept, ${BACKED_RAM_BYTES_MAX}` });
  if (errors[0] !== undefined)
    throw problem('argument-invalid', `${errors[0].path} ${errors[0].message}`, { errors });
  const { words } = await runOperation(
    guest,
    'MEMSLOT_ADD',
    BigInt(number),
    base,
    BigInt(bytes),
    KINDS[kept ? 'kept' : kind],
    BigInt(Math.log2(backingPageBytes)),
  );
  const outcome = Number(words[0]);
  if (outcome === 0) return;
  const slots = guest.memslots();
  const others = slots.map((slot) => `${slot.number} at ${hex(slot.base)}, ${slot.bytes} bytes`);
  throw problem(
    'memslot-taken',
    `memory slot ${number} ${REFUSALS[outcome]}; there are: ${others.join('; ')}`,
  );
}
