/**
 * Hostile bytes for every decoder that a guest, or who hands hptd a file, can reach: what once failed, then inputs drawn
 * from a seed, a few seconds each. A decoder may refuse; it may not crash, hang, or leave the table wrong.
 *
 * HPTD_SEED gives a run again. `npm run fuzz` searches longer, and with coverage as its guide (README.md).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DECODERS } from './decoders.ts';
import { search } from './search.ts';

const MILLIS = 2500;
const seed = Number(process.env.HPTD_SEED ?? Math.floor(Math.random() * 2 ** 32));

for (const decoder of DECODERS) {
  test(`${decoder.name}: understood or refused`, async (context) => {
    context.diagnostic(`HPTD_SEED=${seed}`);
    const { failure, tried } = await search(decoder, { millis: MILLIS, seed, guided: false });
    const hex = Buffer.from(failure?.input ?? []).toString('hex');
    assert.equal(failure, undefined, `input ${hex}\n${failure?.reason}`);
    context.diagnostic(`${tried} inputs`);
    assert.ok(tried > 10, 'so few inputs show nothing');
  });
}
