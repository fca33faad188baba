/** `hptd serve`: the daemon in the foreground, until a signal. The daemon itself is ../../main.ts. */
import type { ParseArgsOptionsConfig } from 'node:util';
import { OPTIONS, valueText } from '../../operations/config.ts';
import type { Configuration } from '../../operations/configuration.ts';
import { ConfigurationError } from '../../operations/configuration.ts';
import { readReach } from '../../operations/reach.ts';
import { tellSystemd } from '../../operations/systemd.ts';
import { type Command, parseWords } from '../command.ts';
import { configurationFrom, startHere } from '../daemon-here.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { complain, print, printJson, table, wrapped } from '../output.ts';
import { readyLine } from './ready-line.ts';

export const serve: Command = {
  name: 'serve',
  usage: 'serve [--listen ADDRESS]… [--config FILE] [OPTION]…',
  summary: 'run the daemon',
  help: () => `Runs the daemon in the foreground. It ends on SIGTERM and SIGINT, when what it accepted is answered;
SIGHUP makes it read the access file and the TLS files again.

  hptd serve
  hptd serve --listen 127.0.0.1:0 --listen unix:/run/hptd/hptd.sock --processors 4
  hptd serve --config /etc/hptd.json --check-config

Each option can be given on the command line, in the environment, and in a file that is one JSON object with a member
for each: the first of them that has it wins. Lists have commas in the environment, and arrays in the file.

${OPTIONS.map(optionHelp).join('\n\n')}

  --config FILE (HPTD_CONFIG)
      the file

  --check-config
      say what is wrong with all this, and end: with 0, or with 78

  --print-config [--json]
      show each value and where it comes from, and end

  --until-stdin-ends
      end when standard input does, for those who start a daemon as a child

Exit codes: 0 after a signal, 1 after one if not everything could be kept in time, 64 usage, 69 the address or the state
directory is taken, 70 a defect of hptd, 73 the state directory cannot be written, 78 configuration.`,
  run,
};

function optionHelp({
  name,
  flag,
  value,
  environment,
  isList,
  meaning,
  initial,
}: (typeof OPTIONS)[number]): string {
  const again = isList ? ', may be repeated' : '';
  const start = initial === undefined ? '' : `; ${initial} unless given`;
  return `  ${flag} ${value} (${environment}, "${name}"${again})\n${wrapped(`${meaning}${start}`, '      ')}`;
}

const WORDS: ParseArgsOptionsConfig = Object.fromEntries(
  OPTIONS.map(({ flag, isList }) => [
    flag.slice('--'.length),
    { type: 'string', multiple: isList } as const,
  ]),
);

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('serve', words, {
    ...WORDS,
    config: { type: 'string' },
    'check-config': { type: 'boolean', default: false },
    'print-config': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'until-stdin-ends': { type: 'boolean', default: false },
  });
  if (positionals.length > 0) throw usageError(`serve takes no "${positionals[0]}"`, 'serve');
  if (values['check-config']) return checkConfiguration(values);
  const configuration = configurationFrom('serve', values);
  if (values['print-config']) return printConfiguration(configuration, values.json);
  const daemon = await startHere(configuration.options, 'see "hptd help serve"');
  daemon.closeOnSignals();
  if (values['until-stdin-ends']) process.stdin.once('close', () => void daemon.close()).resume();
  for (const url of daemon.urls) print(readyLine(url));
  tellSystemd('READY', (error) => complain(`hptd: systemd cannot be told: ${error.message}`));
  // From here on the daemon's own handles keep the process.
  return EXIT.ok;
}

/** Whoever asks for a check wants one code for whatever is wrong. */
function checkConfiguration(values: Parameters<typeof configurationFrom>[1]): number {
  try {
    readReach(configurationFrom('serve', values).options);
  } catch (error) {
    if (!(error instanceof CliError || error instanceof ConfigurationError)) throw error;
    throw new CliError(EXIT.config, error.message, error.advice);
  }
  print('the configuration is fine');
  return EXIT.ok;
}

function printConfiguration({ options, sources }: Configuration, asJson: boolean): number {
  const rows = OPTIONS.map(({ name }) => ({
    option: name,
    value: options[name] ?? null,
    source: sources[name],
  }));
  if (asJson) printJson(rows);
  else {
    const columns = [{ title: 'option' }, { title: 'value' }, { title: 'source' }];
    print(
      table(
        columns,
        rows.map((row) => [row.option, valueText(options[row.option]) ?? '-', row.source]),
      ),
    );
  }
  return EXIT.ok;
}
