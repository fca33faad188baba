/** A guest's journal at its start: what it has to say is done, then it goes on. Main thread. */
import type { Logger } from 'pino';
import type { MemoryMap } from '../../rings/engine.ts';
import type { Engine } from '../../rings/engine.ts';
import { JournalDamage } from '../../state/journal/read-journal.ts';
import type { JournalEnd } from '../../state/journal/read-journal.ts';
import type { LoadedGuest } from '../../state/load.ts';
import type { State } from '../../state/state.ts';
import { openJournal } from './journal.ts';
import type { Journal } from './journal.ts';
import { recoverJournal } from './recover.ts';

/** Behind the image with which a guest is born. */
export const BIRTH: JournalEnd = { segment: 1, group: 0, sizes: new Map(), tornBytes: 0 };

/** From the image to what the guest's journal says, if there is any; undefined: it is damaged, and the state knows. */
export function followJournal(
  state: State,
  log: Logger,
  name: string,
  { number, createdAt }: LoadedGuest,
  engine: Engine,
  memory: WebAssembly.Memory,
): JournalEnd | undefined {
  const directory = state.guestDirectory(name);
  const place = { directory, guestBirth: createdAt.getTime(), firstSegment: number };
  try {
    const recovered = recoverJournal(engine, memory, place);
    const { records, tornBytes } = recovered;
    log.info({ guest: name, image: number, records, tornBytes }, `${name} is there again`);
    return recovered;
  } catch (error) {
    if (!(error instanceof JournalDamage)) throw error;
    state.refuse({
      guest: name,
      kind: 'damaged',
      path: error.file,
      reason: error.message,
      advice: `put the files back from a copy and start again; to go on from the snapshot without what was answered since, remove ${directory}/journal-*; or delete the guest ("hptd delete ${name}")`,
    });
    return undefined;
  }
}

/** The guest's journal from where another ended. */
export function keepJournal(
  state: State,
  log: Logger,
  name: string,
  createdAt: Date,
  memory: WebAssembly.Memory,
  map: MemoryMap,
  { segment, group, sizes }: JournalEnd,
): Journal {
  const directory = state.guestDirectory(name);
  const guestBirth = createdAt.getTime();
  const onTrouble = (error: Error | undefined): void => {
    if (error === undefined) log.warn({ guest: name }, `the journal of ${name} is written again`);
    else
      log.error(
        { err: error, guest: name },
        `the journal of ${name} cannot be written: make room in ${directory}; nothing is answered until then`,
      );
  };
  const stamps = (): number => new Uint32Array(memory.buffer, map.STAMPS, 1)[0]!;
  return openJournal(
    { directory, guestBirth, stamps, onTrouble },
    { segment, firstGroup: group, guestBirth, continues: true },
    sizes,
  );
}
