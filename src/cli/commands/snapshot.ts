/** `hptd snapshot`: takes, lists and describes snapshots of guests. docs/state.md tells what they are. */
import { hex } from '../../../schemas/words.ts';
import type { ImageHeader } from '../../state/image-format.ts';
import type { ImageDescription } from '../../state/image-reader.ts';
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonOf,
  parseWords,
} from '../command.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { grouped, print, printJson, table } from '../output.ts';

export const snapshot: Command = {
  name: 'snapshot',
  usage: 'snapshot GUEST [--list] | snapshot describe FILE [--json]',
  summary: "take a guest's snapshot, or look at one",
  help: () => `Takes a snapshot of a guest now, whatever the interval of the daemon is, and says where it lies. The daemon needs a
state directory ("hptd help serve", stateDir). With --list it shows those that are there.

"describe" reads a snapshot's file, without a daemon, checks every byte of it, and says what it holds.

  hptd snapshot g
  hptd snapshot g --list
  hptd snapshot describe ~/.local/state/hptd/guests/g/7.image

  --list              show the snapshots of the guest
${DAEMON_OPTIONS_HELP}

Exit codes: 0 done, 64 usage, 65 the file is damaged or no snapshot, or the daemon refuses, 69 daemon unavailable, 70 a defect.`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('snapshot', words, {
    ...DAEMON_OPTIONS,
    list: { type: 'boolean', default: false },
  });
  const [guest, file] = positionals;
  if (guest === 'describe' && file !== undefined && positionals.length === 2 && !values.list)
    return describe(file, values.json);
  if (guest === undefined || positionals.length > 1)
    throw usageError('name one guest, or "describe" and one file', 'snapshot');
  const path = `/v1/guests/${encodeURIComponent(guest)}/snapshots`;
  const daemon = daemonOf('snapshot', values);
  const answer = await daemon.send(values.list ? 'GET' : 'POST', path);
  if (values.json) printJson(answer);
  else print(values.list ? listTable(answer as List) : takenText(answer as Taken));
  return EXIT.ok;
}

interface List {
  readonly snapshots: readonly {
    readonly number: number;
    readonly file: string;
    readonly bytes: number;
    readonly writtenAt: string;
  }[];
}

interface Taken {
  readonly guest: string;
  readonly file: string;
  readonly bytes: number;
  readonly heldMillis: number;
}

function listTable({ snapshots }: List): string {
  return table(
    [
      { title: 'number', right: true },
      { title: 'bytes', right: true },
      { title: 'written' },
      { title: 'file' },
    ],
    snapshots.map(({ number, bytes, writtenAt, file }) => [
      String(number),
      grouped(bytes),
      writtenAt,
      file,
    ]),
  );
}

function takenText({ guest, file, bytes, heldMillis }: Taken): string {
  return `${guest} is in ${file} (${grouped(bytes)} bytes); it was held for ${heldMillis.toFixed(1)} ms`;
}

async function describe(file: string, json: boolean): Promise<number> {
  // Only here: no other command reads files of a daemon.
  const { readImage } = await import('../../state/image-reader.ts');
  let found: ImageDescription;
  try {
    found = readImage(file);
  } catch (error) {
    const advice =
      error instanceof Error && error.name === 'DamagedImageError'
        ? 'use the snapshot before it, or a copy; docs/state.md tells how'
        : 'name a snapshot: guests/GUEST/NUMBER.image in a state directory';
    throw new CliError(EXIT.data, `${file}: ${(error as Error).message}`, advice);
  }
  if (json) printJson({ file, whole: true, ...found, header: shown(found.header) });
  else print(descriptionText(file, found));
  return EXIT.ok;
}

/** Words as people write them. */
function shown(header: ImageHeader) {
  const { config } = header;
  const memslots = config.memslots?.map((slot) => ({ ...slot, base: hex(slot.base) }));
  return { ...header, config: { ...config, ...(memslots === undefined ? {} : { memslots }) } };
}

function descriptionText(file: string, found: ImageDescription): string {
  const { header, facts, bytes, chunks, memoryBytes, format, memoryMap, sha256 } = found;
  const order = facts.order === 0 ? 'no table' : `a table of order ${facts.order}`;
  return `${file}: whole
  guest      ${header.guest}, ${facts.state}, ${order}
  taken      ${facts.takenAt}, by hptd ${header.writtenBy}
  created    ${header.createdAt}, ${JSON.stringify(shown(header).config)}
  format     ${format}, memory map ${memoryMap}
  bytes      ${grouped(bytes)}: ${grouped(memoryBytes)} of memory in ${grouped(chunks)} chunks
  sha256     ${sha256}`;
}
