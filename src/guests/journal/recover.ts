/** Brings a guest's memory from a snapshot, or from its birth, to the last answer that was acknowledged. Main thread, at start. */
import { rmSync } from 'node:fs';
import type { Engine } from '../../rings/engine.ts';
import { segmentPath, segmentsIn } from '../../state/journal/files.ts';
import { JournalDamage, readJournal } from '../../state/journal/read-journal.ts';
import type { JournalEnd, JournalPlace } from '../../state/journal/read-journal.ts';
import { ReplayMismatch, openReplay } from './replay.ts';

export interface Recovered extends JournalEnd {
  readonly records: number;
}

/**
 * Executes the journal's records on the memory. Throws JournalDamage; the memory is of no use then, and the files are as they
 * were. Otherwise what a crash left behind the last whole group is gone, and the journal may go on in segment `segment`.
 */
export function recoverJournal(
  engine: Engine,
  memory: WebAssembly.Memory,
  place: JournalPlace,
): Recovered {
  const replay = openReplay(engine, memory);
  const groups = readJournal(place);
  for (;;) {
    const next = groups.next();
    if (next.done === true) {
      dropFrom(place.directory, next.value.segment);
      return { ...next.value, records: replay.executed() };
    }
    const { segment, group, isFirst, entries } = next.value;
    try {
      replay.take(entries, isFirst);
    } catch (error) {
      if (!(error instanceof ReplayMismatch)) throw error;
      throw new JournalDamage(
        place.directory,
        `segment ${segment}, group ${group}: ${error.message}`,
      );
    }
  }
}

/** Segments that were begun and hold nothing that counts. */
function dropFrom(directory: string, first: number): void {
  for (const segment of segmentsIn(directory))
    if (segment >= first) rmSync(segmentPath(directory, segment));
}
