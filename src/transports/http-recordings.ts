/** Recordings of a guest's conversation over REST: start, list, end, download, delete. Main thread. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { recordingBody, recordingPatch } from '../../schemas/recordings.ts';
import type { Guests } from '../guests/types.ts';
import { readBody } from './bodies.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

type RecordingRoute = { Params: GuestParams & { id: string } };

const GZIP = 'application/gzip';

export function recordingRoutes(app: FastifyInstance, guests: Guests): void {
  const url = '/v1/guests/:guest/recordings';
  app.get<{ Params: GuestParams }>(url, async ({ params }) => ({
    recordings: guestNamed(guests, params.guest).recordings.list(),
  }));

  app.post<{ Params: GuestParams }>(url, async ({ params, body }, reply) => {
    const { name, recordings } = guestNamed(guests, params.guest);
    const facts = await recordings.start(readBody(recordingBody, body));
    const place = `/v1/guests/${encodeURIComponent(name)}/recordings/${facts.id}`;
    return reply.code(201).header('location', place).send(facts);
  });

  app.patch<RecordingRoute>(`${url}/:id`, async ({ params, body }) => {
    const { recordings } = guestNamed(guests, params.guest);
    recordings.facts(params.id);
    readBody(recordingPatch, body);
    return recordings.end(params.id);
  });

  // The file itself: what is known about it stands in the list.
  app.get<RecordingRoute>(`${url}/:id`, async ({ params }, reply) => {
    const { name, recordings } = guestNamed(guests, params.guest);
    const parts = recordings.file(params.id);
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    return reply
      .type(GZIP)
      .header('content-length', bytes)
      .header('content-disposition', `attachment; filename="${name}-${params.id}.jsonl.gz"`)
      .send(
        Readable.from(
          parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)),
        ),
      );
  });

  app.delete<RecordingRoute>(`${url}/:id`, async ({ params }, reply) => {
    guestNamed(guests, params.guest).recordings.remove(params.id);
    return reply.code(204).send();
  });
}
