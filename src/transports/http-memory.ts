/**
 * Bytes of guest memory over REST, for guests that keep them (`memory: "backed"`). Main thread; the
 * bytes travel as words of control records, little-endian, in records that fit a ring.
 *
 * Register in a scope of its own: it takes application/octet-stream and nothing else.
 */
import type { FastifyInstance } from 'fastify';
import {
  BODY_BYTES_MAX,
  DATA_WORDS_MAX,
  GPA_LIMIT,
  MEMORY_WORDS_MAX,
} from '../../schemas/limits.ts';
import { operationByName } from '../../schemas/operations.ts';
import { problem, type ProblemPart } from '../../schemas/problems.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
import type { Guest, Guests } from '../guests/types.ts';
import { guestNamed, type GuestParams } from './http-guests.ts';

const OCTETS = 'application/octet-stream';
const READ = operationByName('MEMORY_READ')!.opcode;
const WRITE = operationByName('MEMORY_WRITE')!.opcode;

type MemoryRoute = { Params: GuestParams; Querystring: Record<string, unknown> };

export function memoryRoutes(app: FastifyInstance, guests: Guests): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(OCTETS, { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );

  app.get<MemoryRoute>('/v1/guests/:guest/memory', async ({ params, query }, reply) => {
    const guest = backedGuest(guests, params.guest);
    const { gpa, bytes } = queryNumbers(query, ['gpa', 'bytes']);
    if (bytes > BigInt(BODY_BYTES_MAX))
      throw queryRefused('bytes', `is more than ${BODY_BYTES_MAX}, the most at once`);
    return reply.type(OCTETS).send(await readMemory(guest, gpa, Number(bytes)));
  });

  app.put<MemoryRoute>('/v1/guests/:guest/memory', async ({ params, query, body }, reply) => {
    const guest = backedGuest(guests, params.guest);
    const { gpa } = queryNumbers(query, ['gpa']);
    if (gpa % 8n !== 0n) throw queryRefused('gpa', 'is not a multiple of 8');
    if (!Buffer.isBuffer(body)) throw problem('body-invalid', 'the body is missing');
    if (body.length % 8 !== 0)
      throw problem('body-invalid', `the body has ${body.length} bytes, not a multiple of 8`);
    await writeMemory(guest, gpa, body);
    return reply.code(204).send();
  });
}

function backedGuest(guests: Guests, name: string): Guest {
  const guest = guestNamed(guests, name);
  if (guest.config.memory !== 'backed')
    throw problem('memory-not-kept', `the guest ${name} keeps no bytes of its memory`);
  return guest;
}

function queryRefused(path: string, message: string) {
  const errors: ProblemPart[] = [{ path, message }];
  return problem('query-invalid', `${path} ${message}`, { errors });
}

/**
 * The parameters, each a decimal or hexadecimal number below the limit of guest addresses, and no
 * others.
 */
function queryNumbers<Name extends string>(
  query: Record<string, unknown>,
  names: readonly Name[],
): Record<Name, bigint> {
  const strange = Object.keys(query).find((key) => !names.some((name) => name === key));
  if (strange !== undefined)
    throw queryRefused(strange, `is not known; there are ${names.join(', ')}`);
  const numbers = names.map((name) => {
    const text = query[name];
    if (typeof text !== 'string' || !/^(0x[0-9a-fA-F]{1,16}|[0-9]{1,15})$/.test(text)) {
      throw queryRefused(name, text === undefined ? 'is missing' : 'is no decimal or 0x… number');
    }
    const value = BigInt(text);
    if (value >= GPA_LIMIT)
      throw queryRefused(name, `is beyond every guest address, ${hex(GPA_LIMIT)}`);
    return [name, value] as const;
  });
  return Object.fromEntries(numbers) as Record<Name, bigint>;
}

/** Reads whole words around the range, and cuts it out of them. */
async function readMemory(guest: Guest, gpa: bigint, bytes: number): Promise<Buffer> {
  const start = gpa & ~7n;
  const skipped = Number(gpa - start);
  const words = Math.ceil((skipped + bytes) / 8);
  const buffer = Buffer.alloc(words * 8);
  for (let done = 0; done < words; done += MEMORY_WORDS_MAX) {
    const count = Math.min(MEMORY_WORDS_MAX, words - done);
    const [answer] = await guest.run([
      { opcode: READ, tag: 0, words: [start + BigInt(done * 8), BigInt(count)] },
    ]);
    if (answer!.status !== STATUSES.H_SUCCESS) throw outOfRange(gpa, bytes);
    answer!.words.forEach((word, i) => buffer.writeBigUInt64LE(word, (done + i) * 8));
  }
  return buffer.subarray(skipped, skipped + bytes);
}

/** Writes in pieces, ascending. A piece that is refused leaves those before it written. */
async function writeMemory(guest: Guest, gpa: bigint, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; done += DATA_WORDS_MAX * 8) {
    const words = [gpa + BigInt(done)];
    const end = Math.min(bytes.length, done + DATA_WORDS_MAX * 8);
    for (let at = done; at < end; at += 8) words.push(bytes.readBigUInt64LE(at));
    const [answer] = await guest.run([{ opcode: WRITE, tag: 0, words }]);
    if (answer!.status !== STATUSES.H_SUCCESS) throw outOfRange(gpa, bytes.length);
  }
}

function outOfRange(gpa: bigint, bytes: number) {
  return problem(
    'memory-out-of-range',
    `${bytes} bytes from guest address ${hex(gpa)} are not all in memory that is kept`,
  );
}
