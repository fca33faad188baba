/**
 * A guest's table as a stream over REST, in KVM's HTAB format (docs/htab.md): read in full, followed pass by pass, loaded.
 * Main thread; both ways flow with backpressure, so a table is never in memory twice, whatever its order.
 *
 * Register in a scope of its own: it takes application/octet-stream and nothing else, as a stream.
 */
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { problem } from '../../schemas/problems.ts';
import type { Guest, Guests } from '../guests/types.ts';
import { loadTable, throwUnlessPaused } from './htab-load.ts';
import { openReaders, type Readers } from './htab-readers.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

const OCTETS = 'application/octet-stream';

type HtabRoute = { Params: GuestParams; Querystring: Record<string, unknown> };
type ReaderRoute = { Params: GuestParams & { reader: string } };

/** `idleMillis`: how long a stream may stand still, and a reader be left alone. */
export function htabRoutes(app: FastifyInstance, guests: Guests, idleMillis: number): void {
  const url = '/v1/guests/:guest/htab';
  const readers = openReaders(idleMillis);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(OCTETS, (_request, payload, done) => done(null, payload));

  // HEAD would read the table and throw it away.
  app.get<HtabRoute>(url, { exposeHeadRoute: false }, async ({ params, query }, reply) => {
    const { bolted, follow } = switches(query, ['bolted', 'follow']);
    const guest = guestWithTable(guests, params.guest);
    reply.type(OCTETS);
    if (!follow) return reply.send(await readers.readOnce(guest, bolted));
    const { id, pass } = await readers.follow(guest, bolted);
    const path = `/v1/guests/${encodeURIComponent(guest.name)}/htab/readers/${id}`;
    closeIfLost(readers, guest, id, reply);
    return reply.header('location', path).send(pass);
  });

  app.put<HtabRoute>(url, async ({ params, query, body }) => {
    switches(query, []);
    const guest = guestWithTable(guests, params.guest);
    throwUnlessPaused(guest);
    if (body === undefined) throw problem('body-invalid', 'the body is missing');
    return loadTable(guest, body as Readable, idleMillis);
  });

  app.get<ReaderRoute>(
    `${url}/readers/:reader`,
    { exposeHeadRoute: false },
    async ({ params }, reply) => {
      const guest = guestWithTable(guests, params.guest);
      const id = numberOf(params.reader);
      const pass = readers.next(guest, id);
      closeIfLost(readers, guest, id, reply);
      return reply.type(OCTETS).send(pass);
    },
  );

  app.delete<ReaderRoute>(`${url}/readers/:reader`, async ({ params }, reply) => {
    await readers.close(guestNamed(guests, params.guest), numberOf(params.reader));
    return reply.code(204).send();
  });
}

/** What was read and did not reach the client is in no later pass, so the reader is worth nothing any more. */
function closeIfLost(readers: Readers, guest: Guest, id: number, { raw }: FastifyReply): void {
  let sent = false;
  raw.once('finish', () => {
    sent = true;
  });
  raw.once('close', () => {
    if (!sent) readers.close(guest, id).catch(() => {});
  });
}

function guestWithTable(guests: Guests, name: string): Guest {
  const guest = guestNamed(guests, name);
  if (guest.status().order === 0) throw problem('no-table', `the guest ${name} has no table`);
  return guest;
}

/** What is no number of a reader is 0, which is none. */
function numberOf(text: string): number {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
}

/** Parameters that are true or false, false when left out, and no others. */
function switches<Name extends string>(
  query: Record<string, unknown>,
  names: readonly Name[],
): Record<Name, boolean> {
  const refused = (path: string, message: string) =>
    problem('query-invalid', `${path} ${message}`, { errors: [{ path, message }] });
  const known = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
  const strange = Object.keys(query).find((key) => !names.some((name) => name === key));
  if (strange !== undefined) throw refused(strange, `is not known; ${known}`);
  const pairs = names.map((name) => {
    const text = query[name] ?? 'false';
    if (text !== 'true' && text !== 'false') throw refused(name, 'is neither true nor false');
    return [name, text === 'true'] as const;
  });
  return Object.fromEntries(pairs) as Record<Name, boolean>;
}
