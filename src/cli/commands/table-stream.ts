/** `hptd dump` and `hptd load`: a guest's table as a file in KVM's HTAB format, through the same routes as a copy. */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { loadTable, readTable, type Where } from '../../client/htab.ts';
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonUrl,
  parseWords,
} from '../command.ts';
import { CREDENTIAL_OPTIONS, CREDENTIAL_OPTIONS_HELP, credentialsOf } from '../credentials.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { grouped, print, printJson } from '../output.ts';

const ENDLESS = new AbortController().signal;

export const dump: Command = {
  name: 'dump',
  usage: 'dump GUEST [--bolted] > FILE',
  summary: "write a guest's table as a stream",
  help: () => `Writes a guest's table to standard output, in KVM's HTAB format (docs/htab.md); "hptd load" takes it back.

  --bolted            bolted entries only
  --url URL           the daemon, as in every command
${CREDENTIAL_OPTIONS_HELP}

  hptd dump g > g.htab
  hptd dump g --bolted > bolted.htab`,
  run: async (words) => {
    const { values, positionals } = parseWords('dump', words, {
      url: DAEMON_OPTIONS.url,
      ...CREDENTIAL_OPTIONS,
      bolted: { type: 'boolean', default: false },
    });
    const [guest] = positionals;
    if (guest === undefined || positionals.length > 1) throw usageError('name one guest', 'dump');
    if (process.stdout.isTTY)
      throw usageError('a table is no text for a terminal: write "> FILE" behind it', 'dump');
    const where = whereOf('dump', values);
    const path = `${htabPath(guest)}${values.bolted ? '?bolted=true' : ''}`;
    const { bytes } = await readTable(where, path, ENDLESS);
    await pipeline(bytes, process.stdout).catch((error: unknown) => {
      throw new CliError(
        EXIT.unavailable,
        `the stream of ${guest} ended early: ${(error as Error).message}`,
        'what was written is no whole table; dump it again',
      );
    });
    return EXIT.ok;
  },
};

export const load: Command = {
  name: 'load',
  usage: 'load GUEST [FILE] [--json]',
  summary: 'load a table into a paused guest',
  help: () => `Loads a table in KVM's HTAB format from a file, or standard input, into a paused guest.

${DAEMON_OPTIONS_HELP}

  hptd create h order=24 ramBytes=1073741824 state=paused
  hptd load h g.htab`,
  run: async (words) => {
    const { values, positionals } = parseWords('load', words, DAEMON_OPTIONS);
    const [guest, file] = positionals;
    if (guest === undefined || positionals.length > 2)
      throw usageError('load takes a GUEST and a FILE', 'load');
    const source = file === undefined ? process.stdin : await opened(file);
    const loaded = await loadTable(whereOf('load', values), htabPath(guest), source, ENDLESS);
    if (values.json) printJson(loaded);
    else
      print(
        `${guest}: ${grouped(loaded.entries)} entries of ${grouped(loaded.bytes)} bytes loaded`,
      );
    return EXIT.ok;
  },
};

function whereOf(
  command: string,
  values: Parameters<typeof credentialsOf>[1] & { readonly url?: string | undefined },
): Where {
  return { daemon: daemonUrl(command, values.url), ...credentialsOf(command, values) };
}

function htabPath(guest: string): string {
  return `/v1/guests/${encodeURIComponent(guest)}/htab`;
}

async function opened(file: string): Promise<Readable> {
  const stream = createReadStream(file);
  try {
    await once(stream, 'open');
    return stream;
  } catch (error) {
    throw new CliError(
      EXIT.data,
      `${file} cannot be read: ${(error as Error).message}`,
      'name a file that "hptd dump" wrote',
    );
  }
}
