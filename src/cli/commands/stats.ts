/** `hptd stats`: how a guest's table is filled. */
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonOf,
  parseWords,
} from '../command.ts';
import { EXIT, usageError } from '../errors.ts';
import { grouped, print, printJson, table } from '../output.ts';

export const stats: Command = {
  name: 'stats',
  usage: 'stats GUEST [--json]',
  summary: "show how a guest's table is filled",
  help: () => `Shows how a guest's table is filled: entries by kind, groups by how full they are, pages by size, chains by
length, and what its processors waited for. The whole table is gone through; the guest goes on meanwhile.

  hptd stats g

${DAEMON_OPTIONS_HELP}`,
  run: async (words) => {
    const { values, positionals } = parseWords('stats', words, DAEMON_OPTIONS);
    const [guest] = positionals;
    if (guest === undefined || positionals.length > 1) throw usageError('name one guest', 'stats');
    const path = `/v1/guests/${encodeURIComponent(guest)}/hpt/statistics`;
    const found = await daemonOf('stats', values).send('GET', path);
    if (values.json) printJson(found);
    else print(statsText(guest, found as Statistics));
    return EXIT.ok;
  },
};

type Counts = Readonly<Record<string, number>>;

interface Statistics {
  readonly order: number;
  readonly entries: number;
  readonly groups: number;
  readonly occupied: number;
  readonly valid: number;
  readonly absent: number;
  readonly bolted: number;
  readonly secondary: number;
  readonly referenced: number;
  readonly changed: number;
  readonly groupsByEntries: readonly number[];
  readonly entriesBySlot: readonly number[];
  readonly entriesByPageSize: Counts;
  readonly chainsByLength: Counts;
  readonly processors: readonly Counts[];
}

const ENTRY_KINDS = ['valid', 'absent', 'bolted', 'secondary', 'referenced', 'changed'] as const;

function statsText(guest: string, found: Statistics): string {
  const { order, entries, groups, occupied } = found;
  const head = `${guest}: order ${order}, ${grouped(entries)} entries in ${grouped(groups)} groups, ${share(occupied, entries)} occupied`;
  return [
    head,
    countsTable(
      'entries',
      ENTRY_KINDS.map((kind) => [kind, found[kind]]),
      occupied,
    ),
    countsTable(
      'groups with',
      found.groupsByEntries.map((count, i) => [`${i} entries`, count]),
      groups,
    ),
    countsTable(
      'entries in',
      found.entriesBySlot.map((count, i) => [`slot ${i}`, count]),
      occupied,
    ),
    countsTable('pages of', Object.entries(found.entriesByPageSize), occupied),
    countsTable('chains of', Object.entries(found.chainsByLength), undefined),
    processorTable(found.processors),
  ].join('\n\n');
}

/** Rows that count nothing are left out. */
function countsTable(
  title: string,
  counts: readonly (readonly [string, number])[],
  whole: number | undefined,
): string {
  const columns = [
    { title: title.padEnd(12) },
    { title: 'number', right: true },
    { title: 'share', right: true },
  ];
  const rows = counts
    .filter(([, count]) => count > 0)
    .map(([name, count]) => [name, grouped(count), whole === undefined ? '' : share(count, whole)]);
  return table(columns, rows.length === 0 ? [['none']] : rows);
}

function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`;
}

const COUNTERS = ['records', 'lockWaits', 'chainWaits', 'secondPasses', 'tlbies', 'tlbsyncs'];

function processorTable(processors: readonly Counts[]): string {
  const titles = ['records', 'lock waits', 'chain waits', 'second passes', 'tlbies', 'tlbsyncs'];
  return table(
    [{ title: 'processor' }, ...titles.map((title) => ({ title, right: true }))],
    processors.map((one) => [
      String(one['processor']),
      ...COUNTERS.map((name) => grouped(one[name] ?? 0)),
    ]),
  );
}
