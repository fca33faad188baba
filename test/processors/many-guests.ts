/** A process for heap.test.ts: a processor meets one guest after the other. */
import { pino } from 'pino';
import { openGuests } from '../../src/guests/registry.ts';
import { config, reads } from '../guests/configs.ts';

const guests = await openGuests({ processors: 1, log: pino({ level: 'silent' }) });
for (let i = 0; i < 6; i++) {
  const guest = await guests.create(`g${i}`, config());
  await guest.run(reads(2));
}
await guests.close();
