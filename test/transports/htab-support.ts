/** Table streams for tests: taken apart, and a table filled with entries that a seed decides. */
import assert from 'node:assert/strict';
import type { Daemon } from '../../src/main.ts';

export interface HtabRecord {
  index: number;
  entries: (readonly [dword0: bigint, dword1: bigint])[];
  invalid: number;
}

export function recordsOf(bytes: Uint8Array): HtabRecord[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: HtabRecord[] = [];
  for (let at = 0; at < buffer.length; ) {
    const valid = buffer.readUInt16LE(at + 4);
    records.push({
      index: buffer.readUInt32LE(at),
      entries: Array.from({ length: valid }, (_, i) => {
        const entry = at + 8 + 16 * i;
        return [buffer.readBigUInt64BE(entry), buffer.readBigUInt64BE(entry + 8)] as const;
      }),
      invalid: buffer.readUInt16LE(at + 6),
    });
    at += 8 + 16 * valid;
    assert.ok(at <= buffer.length, 'a pass is made of whole records');
  }
  return records;
}

/** By ptex, what a table holds that was loaded with these records. */
export function entriesOf(
  records: readonly HtabRecord[],
  entries = new Map<number, string>(),
): Map<number, string> {
  for (const { index, entries: given, invalid } of records) {
    given.forEach(([v, r], i) => entries.set(index + i, `${v.toString(16)} ${r.toString(16)}`));
    for (let i = 0; i < invalid; i++) entries.delete(index + given.length + i);
  }
  return entries;
}

export type Json = Record<string, unknown>;

export async function send(
  { url }: Daemon,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: Json }> {
  const answer = await fetch(`${url}${path}`, {
    method,
    signal: AbortSignal.timeout(30_000),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text.startsWith('{') ? (JSON.parse(text) as Json) : {} };
}

/** A pass, whole. */
export async function getPass(
  { url }: Daemon,
  path: string,
): Promise<{ bytes: Buffer; location: string | null; status: number }> {
  const answer = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(60_000) });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { bytes, location: answer.headers.get('location'), status: answer.status };
}

/** Sends the chunks as they are. */
export async function putChunks(
  { url }: Daemon,
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<{ status: number; json: Json }> {
  const init: RequestInit & { duplex: 'half' } = {
    method: 'PUT',
    body: ReadableStream.from(chunks),
    duplex: 'half',
    headers: { 'content-type': 'application/octet-stream' },
    signal: AbortSignal.timeout(60_000),
  };
  const answer = await fetch(`${url}${path}`, init);
  return { status: answer.status, json: (await answer.json()) as Json };
}

/** Bytes as chunks of these lengths, over and over. */
export function* chunksOf(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** Numbers below `limit` from a seed, the same each time. */
export function numbersFrom(seed: number): (limit: number) => number {
  let state = BigInt(seed) | 1n;
  return (limit) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
    return Number((state >> 33n) % BigInt(limit));
  };
}

/** A stream that fills a table of this order: every slot has an entry, whose virtual page is its own. */
export function fullTable(order: number): Buffer {
  const slots = 2 ** (order - 4);
  const per = 0x8000;
  const bytes = Buffer.alloc(Math.ceil(slots / per) * 8 + slots * 16);
  let at = 0;
  for (let ptex = 0; ptex < slots; ptex++) {
    if (ptex % per === 0) {
      bytes.writeUInt32LE(ptex, at);
      bytes.writeUInt16LE(Math.min(per, slots - ptex), at + 4);
      at += 8;
    }
    bytes.writeUInt32BE(ptex >>> 20, at);
    bytes.writeUInt32BE(((ptex << 12) | (ptex % 5 === 0 ? 0x11 : 1)) >>> 0, at + 4);
    bytes.writeUInt32BE((((ptex % 0x8000) << 12) | 0x10) >>> 0, at + 12);
    at += 16;
  }
  return bytes;
}

/** H_ENTER calls, H_EXACT, at random slots of a table: bolted or not, with R and C, in 4 KiB pages, some outside memory. */
export function randomEntries(seed: number, order: number, count: number): Json[] {
  const below = numbersFrom(seed);
  const entries = 2 ** (order - 4);
  return Array.from({ length: count }, () => {
    const bits = 1n | (below(2) === 1 ? 0x10n : 0n) | (below(2) === 1 ? 2n : 0n);
    const segment = below(2) === 1 ? 1n << 62n : 0n;
    const gpa = BigInt(below(2 ** 17)) << 12n;
    const rc = BigInt(below(4)) << 7n;
    return {
      hcall: 'H_ENTER',
      flags: ['H_EXACT'],
      ptex: `0x${below(entries).toString(16)}`,
      pteh: `0x${(segment | (BigInt(below(2 ** 30)) << 7n) | bits).toString(16)}`,
      ptel: `0x${(gpa | rc | 0x10n | BigInt(below(4))).toString(16)}`,
    };
  });
}
