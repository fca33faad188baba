/** A guest on a pool of real processors, whose memory the test can look at when everything is quiet. */
import { answerPlacesOf } from '../../src/guests/facts.ts';
import { openGuest } from '../../src/guests/guest.ts';
import type { OwnedGuest } from '../../src/guests/guest.ts';
import { layOut } from '../../src/guests/layout.ts';
import type { Pool } from '../../src/processors/pool.ts';
import { guestMemory, openEngine } from '../../src/rings/engine.ts';
import { engineExports } from '../engine/harness.ts';
import type { TestGuest } from '../engine/harness.ts';
import type { GuestConfig } from '../../schemas/guests.ts';

/** What test/engine/invariants.ts looks at. */
export type TableView = Pick<
  TestGuest,
  'config' | 'memory' | 'exports' | 'words' | 'word32' | 'entry' | 'revmap' | 'order'
>;

export interface LiveGuest {
  readonly guest: OwnedGuest;
  readonly view: TableView;
}

export function openLiveGuest(pool: Pool, config: GuestConfig): LiveGuest {
  const memory = guestMemory();
  const engine = openEngine(pool.module, memory);
  layOut(config, engine, memory.buffer.byteLength);
  const { map } = engine;
  const guest = openGuest({
    name: 'live',
    number: 0,
    config,
    createdAt: new Date(),
    memory,
    map,
    engine,
    pool,
    answerPlaces: answerPlacesOf(engine),
    recordingBudget: { bytesMax: 2 ** 28, backlogBytesMax: 2 ** 27, takenBytes: () => 0 },
  });
  guest.begin(config.state);
  const exports = engineExports();
  const words = (address: number, count: number) =>
    new BigUint64Array(memory.buffer, address, count);
  const word32 = (address: number) => new Uint32Array(memory.buffer, address, 1)[0]!;
  const at = (base: number, ptex: bigint | number) => words(word32(base) + Number(ptex) * 16, 2);
  const view: TableView = {
    config,
    memory,
    exports,
    words,
    word32,
    entry: (ptex) => at(exports.TABLE_BASE!, ptex),
    revmap: (ptex) => at(exports.REVMAP_BASE!, ptex),
    order: () => (word32(exports.MODE!) === 0 ? 0 : word32(exports.TABLE_ORDER!)),
  };
  return { guest, view };
}
