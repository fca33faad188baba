/** `hptd group`: the eight slots of a group, decoded. */
import type { Json } from '../../client/rest.ts';
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonOf,
  parseWords,
} from '../command.ts';
import { EXIT, usageError } from '../errors.ts';
import { paint, print, printJson, table } from '../output.ts';

export const group: Command = {
  name: 'group',
  usage: 'group GUEST PTEG [--json]',
  summary: 'show the eight slots of a group, decoded',
  help: () => `Shows the eight slots of a group (PTEG) of a guest's table, decoded as the guest sees them.
PTEG is a number, 0x… or decimal; a ptex divided by 8.

  hptd group g 0x3217

${DAEMON_OPTIONS_HELP}`,
  run: async (words) => {
    const { values, positionals } = parseWords('group', words, DAEMON_OPTIONS);
    const [guest, number] = positionals;
    if (guest === undefined || number === undefined || positionals.length > 2)
      throw usageError('name a guest and a group', 'group');
    if (!/^(0x[0-9a-fA-F]{1,12}|\d{1,15})$/.test(number))
      throw usageError(`"${number}" is no number of a group`, 'group');
    const found = await daemonOf('group', values).getGroup(guest, Number(number));
    if (values.json) printJson(found);
    else print(groupText(found));
    return EXIT.ok;
  },
};

/** A slot of the daemon's answer; `guest` is null where the slot is empty. */
interface Slot {
  readonly ptex: string;
  readonly state: string;
  readonly virtualPage: { readonly virtualAddress: string | null } | null;
  readonly guest: {
    readonly dword0: Json & { readonly avpn: string };
    readonly dword1: Json & {
      readonly key: number;
      readonly wimg: string;
      readonly protection: string;
    };
    readonly page: { readonly base: string; readonly actual: string } | null;
    readonly realAddress: string;
  } | null;
}

function groupText(found: Json): string {
  const slots = found['slots'] as readonly Slot[];
  const columns = [
    { title: 'ptex', right: true },
    { title: 'state' },
    { title: 'virtual address', right: true },
    { title: 'AVPN', right: true },
    { title: 'page' },
    { title: 'real address', right: true },
    { title: 'flags' },
    { title: 'key', right: true },
    { title: 'WIMG' },
    { title: 'protection' },
  ];
  const title = `group ${String(found['group'])} of a table of order ${String(found['order'])}: ${String(found['occupied'])} of 8 slots occupied`;
  return `${title}\n${table(columns, slots.map(slotRow))}`;
}

function slotRow({ ptex, state, virtualPage, guest }: Slot): string[] {
  if (guest === null) return [ptex, paint('dim', state)];
  const { dword0, dword1, page, realAddress } = guest;
  return [
    ptex,
    state,
    virtualPage?.virtualAddress ?? '-',
    dword0.avpn,
    pageText(page),
    realAddress,
    flagNames(dword0, dword1),
    String(dword1.key),
    dword1.wimg,
    dword1.protection,
  ];
}

function pageText(page: { readonly base: string; readonly actual: string } | null): string {
  if (page === null) return '?';
  return page.base === page.actual ? page.base : `${page.actual} in ${page.base}`;
}

function flagNames(dword0: Json, dword1: Json): string {
  const of = (dword: Json, names: readonly string[]): string[] =>
    names.filter((name) => dword[name] === true);
  return [
    ...of(dword0, ['bolted', 'lock', 'large', 'secondary']),
    ...of(dword1, ['referenced', 'changed', 'noExecute']),
  ].join(' ');
}
