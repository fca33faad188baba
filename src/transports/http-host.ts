/**
 * What a guest's host does and asks, as resources for people and scripts: pages taken away, made read-only and brought back,
 * ageing, dirt, page faults, and the hardware's walk. Main thread; each is one or a few control records, the same that
 * …/control/{name} and host streams take.
 */
import type { FastifyInstance } from 'fastify';
import { DIRTY_FRAMES_MAX, DIRTY_PAGES_MAX } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import {
  PAGE_FAULT_OUTCOMES,
  WALK_OUTCOMES,
  dirtyBody,
  hostPageBody,
  pageFaultBody,
  walkBody,
} from '../../schemas/resources.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
import type { Guest, Guests, GuestSlot } from '../guests/types.ts';
import { readBody } from './bodies.ts';
import { runOperation } from './controls.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

type GuestRoute = { Params: GuestParams };

const PRESENT = 1n;
const WRITABLE = 2n;
const CACHE_INHIBITED = 4n;

export function hostRoutes(app: FastifyInstance, guests: Guests): void {
  const url = '/v1/guests/:guest/host';
  app.post<GuestRoute>(`${url}/unmap`, async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    const { gpa } = readBody(hostPageBody, body);
    await onPage(guest, 'HOST_UNMAP', gpa);
    return { gpa: hex(gpa), page: 'away' };
  });

  // As a host does it: the page is taken from the table first, so that nobody keeps writing to it.
  app.post<GuestRoute>(`${url}/read-only`, async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    const { gpa } = readBody(hostPageBody, body);
    await onPage(guest, 'HOST_UNMAP', gpa);
    await onPage(guest, 'HOST_SET_PTE', gpa, PRESENT | cacheBit(guest, gpa));
    return { gpa: hex(gpa), page: 'read-only' };
  });

  app.post<GuestRoute>(`${url}/present`, async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    const { gpa } = readBody(hostPageBody, body);
    await onPage(guest, 'HOST_SET_PTE', gpa, PRESENT | WRITABLE | cacheBit(guest, gpa));
    return { gpa: hex(gpa), page: 'writable' };
  });

  app.post<GuestRoute>(`${url}/age`, async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    const { gpa } = readBody(hostPageBody, body);
    const [referenced] = await onPage(guest, 'HOST_AGE', gpa);
    return { gpa: hex(gpa), referenced: referenced === 1n };
  });

  app.post<GuestRoute>(`${url}/dirty`, async ({ params, body }) => {
    const { gpa, bytes } = readBody(dirtyBody, body);
    return harvestDirty(guestNamed(guests, params.guest), gpa, bytes);
  });

  app.post<GuestRoute>(`${url}/page-fault`, async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    const { ptex, write } = readBody(pageFaultBody, body);
    const answer = await runOperation(guest, 'HOST_PAGE_FAULT', ptex, write ? 1n : 0n);
    if (answer.status === STATUSES.H_NOT_AVAILABLE) throw noTable(guest);
    if (answer.status !== STATUSES.H_SUCCESS)
      throw problem('ptex-out-of-range', `${hex(ptex)} is no entry of this table`);
    return { ptex: hex(ptex), outcome: PAGE_FAULT_OUTCOMES[Number(answer.words[0])] };
  });

  app.post<GuestRoute>('/v1/guests/:guest/hpt/walk', async ({ params, body }) => {
    const guest = guestNamed(guests, params.guest);
    const { ea, slbv, store, fetch, problemState, amr } = readBody(walkBody, body);
    const access = (store ? 1n : 0n) | (fetch ? 2n : 0n) | (problemState ? 4n : 0n);
    const { status, words } = await runOperation(guest, 'WALK', ea, slbv, access, amr);
    if (status === STATUSES.H_NOT_AVAILABLE) throw noTable(guest);
    if (status !== STATUSES.H_SUCCESS) {
      const message = `is ${hex(slbv)}, whose L and LP bits (0x130) name no page size`;
      throw problem('argument-invalid', `slbv ${message}`, { errors: [{ path: 'slbv', message }] });
    }
    return walkJson(words);
  });
}

function noTable(guest: Guest) {
  return problem('no-table', `the guest ${guest.name} has no table`);
}

/** An entry was met unless the outcome is no-entry; a fault carries the DSISR bits that a guest would see. */
function walkJson([outcome, ptex, gpa, shift, wimg, dsisr]: readonly bigint[]) {
  const name = WALK_OUTCOMES[Number(outcome)];
  const found = name !== 'no-entry';
  return {
    outcome: name,
    ptex: found ? hex(ptex!) : null,
    gpa: found ? hex(gpa!) : null,
    pageBytes: found ? 2 ** Number(shift) : null,
    wimg: found ? hex(wimg! >> 3n) : null,
    dsisr: name === 'translated' ? null : hex(dsisr!),
  };
}

async function onPage(guest: Guest, name: string, ...words: bigint[]): Promise<readonly bigint[]> {
  const answer = await runOperation(guest, name, ...words);
  if (answer.status !== STATUSES.H_SUCCESS) throw noMemory(guest, words[0]!);
  return answer.words;
}

function noMemory(guest: Guest, gpa: bigint) {
  return problem(
    'memory-out-of-range',
    `${hex(gpa)} is in no memory slot of ${guest.name}; what is there is MMIO`,
  );
}

function slotAt(guest: Guest, gpa: bigint): GuestSlot {
  const slot = guest
    .memslots()
    .find(({ base, bytes }) => gpa >= base && gpa < base + BigInt(bytes));
  if (slot === undefined) throw noMemory(guest, gpa);
  return slot;
}

function cacheBit(guest: Guest, gpa: bigint): bigint {
  return slotAt(guest, gpa).kind === 'ci' ? CACHE_INHIBITED : 0n;
}

/** Harvests and clears in pieces. A range that leaves its slot is refused whole: no dirt is lost. */
async function harvestDirty(guest: Guest, gpa: bigint, bytes: number) {
  const { hostPageBytes } = guest.config;
  const page = BigInt(hostPageBytes);
  const first = gpa / page;
  const pages = Number((gpa + BigInt(bytes) - 1n) / page - first) + 1;
  if (pages > DIRTY_PAGES_MAX) {
    const message = `has ${pages} host pages; at most ${DIRTY_PAGES_MAX} are harvested at once`;
    throw problem('argument-invalid', `bytes ${message}`, { errors: [{ path: 'bytes', message }] });
  }
  const slot = slotAt(guest, gpa);
  if (gpa + BigInt(bytes) > slot.base + BigInt(slot.bytes))
    throw noMemory(guest, slot.base + BigInt(slot.bytes));
  const bitmap = Buffer.alloc(Math.ceil(pages / 64) * 8);
  let dirty = 0n;
  for (let done = 0; done < pages; done += DIRTY_FRAMES_MAX) {
    const at = (first + BigInt(done)) * page;
    const count = BigInt(Math.min(DIRTY_FRAMES_MAX, pages - done));
    const [found, ...words] = await onPage(guest, 'HOST_DIRTY', at, count);
    dirty += found!;
    words.forEach((word, i) => bitmap.writeBigUInt64LE(word, done / 8 + i * 8));
  }
  return {
    gpa: hex(first * page),
    pageBytes: hostPageBytes,
    pages,
    dirty: Number(dirty),
    /** Bit n of byte m is page 8 m + n. */
    bitmap: bitmap.subarray(0, Math.ceil(pages / 8)).toString('base64'),
  };
}
