/** `hptd guests`, `hptd create`, `hptd delete`: the guests of a running daemon. */
import { guestConfig } from '../../../schemas/guests.ts';
import type { Json } from '../../client/rest.ts';
import {
  assignments,
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonOf,
  parseWords,
} from '../command.ts';
import { EXIT, usageError } from '../errors.ts';
import { print, printJson, table } from '../output.ts';
import { unknownWord } from '../suggest.ts';

export const guests: Command = {
  name: 'guests',
  usage: 'guests [--json]',
  summary: 'list the guests of the daemon',
  help: () =>
    `Lists the guests of the daemon.\n\n  hptd guests\n  hptd guests --json --url unix:/run/hptd/hptd.sock\n\n${DAEMON_OPTIONS_HELP}`,
  run: async (words) => {
    const { values, positionals } = parseWords('guests', words, DAEMON_OPTIONS);
    if (positionals.length > 0) throw usageError(`guests takes no "${positionals[0]}"`, 'guests');
    const list = await daemonOf('guests', values).listGuests();
    if (values.json) printJson(list);
    else
      print(
        list.length === 0 ? 'no guests; "hptd create NAME order=24" makes one' : guestTable(list),
      );
    return EXIT.ok;
  },
};

const PROPERTIES = Object.keys(guestConfig.shape);

export const create: Command = {
  name: 'create',
  usage: 'create NAME order=N [PROPERTY=VALUE]… [--json]',
  summary: 'create a guest',
  help: () => `Creates a guest. Its properties, of which only order must be given, are written PROPERTY=VALUE:

  hptd create g order=24 ramBytes=1G

${Object.entries(guestConfig.shape)
  .map(([name, schema]) => `  ${name.padEnd(16)}  ${schema.description ?? ''}`)
  .join('\n')}

Sizes may end in K, M, G or T; memslots are written BASE:BYTES[:ci], separated by commas.

${DAEMON_OPTIONS_HELP}`,
  run: async (words) => {
    const {
      values,
      positionals: [name, ...given],
    } = parseWords('create', words, DAEMON_OPTIONS);
    if (name === undefined || name.includes('='))
      throw usageError('which name shall the guest have?', 'create');
    const config = Object.fromEntries(
      Object.entries(assignments('create', given)).map(([key, text]) => {
        if (!PROPERTIES.includes(key))
          throw usageError(unknownWord('property', key, PROPERTIES), 'create');
        return [key, propertyValue(key, text)];
      }),
    );
    const guest = await daemonOf('create', values).createGuest(name, config);
    if (values.json) printJson(guest);
    else print(guestTable([guest]));
    return EXIT.ok;
  },
};

export const remove: Command = {
  name: 'delete',
  usage: 'delete NAME',
  summary: 'delete a guest and its table',
  help: () =>
    `Deletes a guest and its table; its streams are closed.\n\n  hptd delete g\n\n${DAEMON_OPTIONS_HELP}`,
  run: async (words) => {
    const { values, positionals } = parseWords('delete', words, DAEMON_OPTIONS);
    const [name] = positionals;
    if (name === undefined || positionals.length > 1) throw usageError('name one guest', 'delete');
    await daemonOf('delete', values).deleteGuest(name);
    if (values.json) printJson({ deleted: name });
    else print(`${name} is deleted`);
    return EXIT.ok;
  },
};

/** What is no number, truth value or memory slot goes as it is: the daemon says what is wrong with it. */
function propertyValue(key: string, text: string): unknown {
  if (key === 'memslots') return text.split(',').map(memslot);
  if (text === 'true' || text === 'false') return text === 'true';
  return sizeOf(text) ?? text;
}

function memslot(text: string): Json {
  const [base = '', bytes = '', kind] = text.split(':');
  return {
    base: base.startsWith('0x') ? base : (sizeOf(base) ?? base),
    bytes: sizeOf(bytes) ?? bytes,
    ...(kind === undefined ? {} : { kind }),
  };
}

const UNITS = 'KMGT';

/** `512M` and the like in bytes; undefined: no number. */
function sizeOf(text: string): number | undefined {
  const parts = /^(0x[0-9a-fA-F]+|\d+)([KMGT]?)$/.exec(text);
  return parts === null
    ? undefined
    : Number(parts[1]) * 1024 ** (UNITS.indexOf(parts[2] === '' ? ' ' : parts[2]!) + 1);
}

function guestTable(list: readonly Json[]): string {
  const columns = [
    { title: 'guest' },
    { title: 'order', right: true },
    { title: 'ram', right: true },
    { title: 'host page', right: true },
    { title: 'backing', right: true },
    { title: 'streams', right: true },
    { title: 'created' },
  ];
  return table(
    columns,
    list.map((guest) => [
      String(guest['name']),
      String(guest['orderNow'] ?? guest['order']),
      bytesCell(guest['ramBytes']),
      bytesCell(guest['hostPageBytes']),
      bytesCell(guest['backingPageBytes']),
      String(guest['streams']),
      String(guest['createdAt']),
    ]),
  );
}

function bytesCell(value: unknown): string {
  if (typeof value !== 'number') return '-';
  let [size, unit] = [value, 0];
  while (size >= 1024 && size % 1024 === 0 && unit < UNITS.length)
    [size, unit] = [size / 1024, unit + 1];
  return `${size}${unit === 0 ? '' : UNITS[unit - 1]}`;
}
