/** A guest on real processors that keeps a journal in a folder of the test, and the memory that a restart would make of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { FLAGS } from '../../schemas/flags.ts';
import { guestConfig } from '../../schemas/guests.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import { answerPlacesOf } from '../../src/guests/facts.ts';
import { openGuest } from '../../src/guests/guest.ts';
import type { OwnedGuest } from '../../src/guests/guest.ts';
import { openJournal } from '../../src/guests/journal/journal.ts';
import type { Journal, JournalSite } from '../../src/guests/journal/journal.ts';
import { recoverJournal } from '../../src/guests/journal/recover.ts';
import type { Recovered } from '../../src/guests/journal/recover.ts';
import { layOut } from '../../src/guests/layout.ts';
import type { Guest, Role } from '../../src/guests/types.ts';
import type { Pool } from '../../src/processors/pool.ts';
import { guestMemory, openEngine } from '../../src/rings/engine.ts';
import type { Engine } from '../../src/rings/engine.ts';

/** createdAt of the guests of these tests. */
export const BIRTH = 1_700_000_000_000;

export interface JournaledGuest {
  readonly guest: OwnedGuest;
  readonly journal: Journal;
  readonly memory: WebAssembly.Memory;
  readonly map: Engine['map'];
  /** What the journal said of the disk. */
  readonly troubles: (string | undefined)[];
  /** As a daemon does that is told to end. */
  readonly end: () => Promise<void>;
}

/** What most of the tests need: a small guest, and an entry of it. */
export const smallGuest = guestConfig.parse({ order: 18, ramBytes: 2 ** 24 });
export const enter = (slot: number) =>
  call('H_ENTER', [FLAGS.H_EXACT, BigInt(slot), 0x1234_5600_0001n, 0x10n]);

export function folder(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hptd-journal-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function openJournaledGuest(
  pool: Pool,
  config: GuestConfig,
  directory: string,
  given: Partial<JournalSite> & { number?: number } = {},
): JournaledGuest {
  const memory = guestMemory();
  const engine = openEngine(pool.module, memory);
  layOut(config, engine, memory.buffer.byteLength);
  const { map } = engine;
  const troubles: (string | undefined)[] = [];
  const journal = openJournal(
    {
      directory,
      guestBirth: BIRTH,
      stamps: () => new Uint32Array(memory.buffer, map.STAMPS, 1)[0]!,
      onTrouble: (error) => void troubles.push(error?.message),
      ...given,
    },
    { segment: 0, firstGroup: 0, guestBirth: BIRTH, continues: false },
    new Map(),
  );
  const guest = openGuest({
    name: 'journaled',
    number: given.number ?? 0,
    config,
    memory,
    map,
    engine,
    pool,
    createdAt: new Date(BIRTH),
    answerPlaces: answerPlacesOf(engine),
    recordingBudget: { bytesMax: 2 ** 40, backlogBytesMax: 2 ** 30, takenBytes: () => 0 },
  });
  guest.begin(config.state, journal);
  const endNow = async (): Promise<void> => {
    await guest.finish({ kind: 'shutdown' }, 10_000);
    await journal.close();
  };
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => (ended ??= endNow());
  return { guest, journal, memory, map, troubles, end };
}

export interface Restarted extends Recovered {
  readonly memory: WebAssembly.Memory;
  readonly engine: Engine;
}

/** What a restart without any snapshot makes of the folder. Throws what it would throw. */
export function restart(
  module: WebAssembly.Module,
  config: GuestConfig,
  directory: string,
): Restarted {
  const memory = guestMemory();
  const engine = openEngine(module, memory);
  layOut(config, engine, memory.buffer.byteLength);
  const place = { directory, guestBirth: BIRTH, firstSegment: 0 };
  return { ...recoverJournal(engine, memory, place), memory, engine };
}

export function call(name: string, words: readonly bigint[], explain = false): RequestRecord {
  return { opcode: operationByName(name)!.opcode, tag: 0, words, explain };
}

/** A stream that is asked frame by frame and keeps the answers. */
export function openAsker(guest: Guest, role: Role) {
  const answers: AnswerRecord[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const state = { ended: false };
  const wake = (): void => {
    while (waiting.length > 0 && (state.ended || answers.length >= waiting[0]!.count))
      waiting.shift()!.resolve();
  };
  const stream = guest.openStream(role, {
    onAnswers(bytes) {
      answers.push(...decodeAnswers(bytes));
      wake();
      return true;
    },
    onEnd() {
      state.ended = true;
      wake();
    },
  });
  let asked = 0;
  return {
    stream,
    answers,
    isEnded: () => state.ended,
    /** Resolves when all of the frame is answered, or the stream ended. */
    ask(records: readonly RequestRecord[]): Promise<void> {
      if (stream.submit(encodeRequests(records)) !== 'accepted') throw new Error('not accepted');
      asked += records.length;
      const count = asked;
      return new Promise((resolve) => {
        waiting.push({ count, resolve });
        wake();
      });
    },
  };
}
