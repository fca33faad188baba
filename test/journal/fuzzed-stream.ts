/** A stream of random operations of all kinds, some of them sent before the last is answered. */
import type { GuestConfig } from '../../schemas/guests.ts';
import type { Guest } from '../../src/guests/types.ts';
import { resolve } from '../engine/worlds.ts';
import type { Step } from '../engine/worlds.ts';
import type { Random } from '../rings/random.ts';
import { call, openAsker } from './journaled-guest.ts';

const FRAME_RECORDS_MAX = 12;

/** Resolves when all of it is answered. */
export async function drive(
  guest: Guest,
  config: GuestConfig,
  steps: readonly Step[],
  random: Random,
): Promise<void> {
  const asker = openAsker(guest, 'host');
  for (let at = 0; at < steps.length; ) {
    const { order } = guest.status();
    const frame = steps.slice(at, (at += 1 + random.below(FRAME_RECORDS_MAX)));
    const answered = asker.ask(
      frame.map(({ name, args, explain }) => {
        const words = args.map((argument) => resolve(argument, order));
        if (name === 'MEMSLOT_ADD' && words[4] === 24n)
          words[4] = BigInt(Math.log2(config.backingPageBytes));
        return call(name, words, explain);
      }),
    );
    if (random.below(3) === 0) await answered;
  }
  await asker.ask([call('TABLE_COUNT', [0n, 1n])]);
  asker.stream.close();
}
