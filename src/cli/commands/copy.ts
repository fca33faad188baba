/** `hptd copy`: a guest from one daemon to another, while it runs. */
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonUrl,
  parseWords,
} from '../command.ts';
import { credentialsOf, tokenOf } from '../credentials.ts';
import { CancelledError, copyGuest, type CopyReport } from '../copy/copy.ts';
import { placeOf } from '../copy/place.ts';
import { EXIT, usageError } from '../errors.ts';
import { complain, grouped, paint, print, printJson } from '../output.ts';
import { showProgress } from '../replay/progress.ts';

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export const copy: Command = {
  name: 'copy',
  usage: 'copy SOURCE DESTINATION [--delete-source] [--json]',
  summary: 'copy a running guest to another daemon',
  help: () => `Copies a guest while it runs: passes over its table, a pause, the last pass, a comparison by hash; then the
guest runs at its destination and stays paused at its source.

  hptd copy g http://127.0.0.1:7809
  hptd copy http://127.0.0.1:7808/g http://127.0.0.1:7809/h --delete-source

A guest is GUEST (of --url), http://HOST:PORT/GUEST or unix:PATH:GUEST. A destination without GUEST keeps the name.
Ctrl-C, or an error, before the guest runs at its destination leaves the source as it was.

Not copied: dirty bitmaps (harvest them at the paused source before it is deleted), R that only the host knows, host page
states (all pages are present and writable), a resize in preparation, streams, counters. A guest with memory=backed is
refused: its bytes are in no table stream. docs/htab.md tells more.

Certificates (--ca, --cert, --key) are for both daemons.

  --delete-source       delete the guest at its source once it runs at its destination
  --to-token-file FILE  the token for the destination, where it is another one
${DAEMON_OPTIONS_HELP}`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('copy', words, {
    ...DAEMON_OPTIONS,
    'to-token-file': { type: 'string' },
    'delete-source': { type: 'boolean', default: false },
  });
  const [source, destination] = positionals;
  if (source === undefined || destination === undefined || positionals.length > 2)
    throw usageError('copy takes a SOURCE and a DESTINATION', 'copy');
  const daemon = daemonUrl('copy', values.url);
  const { from, to } = places(source, destination, daemon);
  const credentials = credentialsOf('copy', values);
  const toToken = values['to-token-file'];
  let line = 'copying';
  const clear = showProgress(
    () => line,
    () => undefined,
  );
  const cancel = onSignals();
  try {
    const report = await copyGuest({
      from: { ...from, ...credentials },
      to: { ...to, ...credentials, ...(toToken === undefined ? {} : { token: tokenOf(toToken) }) },
      deleteSource: values['delete-source'],
      signal: cancel.signal,
      onStep: (step, bytes) => {
        line = bytes === 0 ? step : `${step}: ${grouped(bytes)} bytes`;
      },
    });
    clear();
    if (values.json) printJson(report);
    else print(told(report));
    return EXIT.ok;
  } catch (error) {
    clear();
    if (!(error instanceof CancelledError)) throw error;
    complain(`cancelled: ${source} is as it was, and no copy is left`);
    return cancel.exitCode();
  } finally {
    clear();
    cancel.end();
  }
}

function places(source: string, destination: string, daemon: string) {
  try {
    const from = placeOf(source, daemon);
    return { from, to: placeOf(destination, daemon, from.guest) };
  } catch (error) {
    throw usageError((error as Error).message, 'copy');
  }
}

/** The first signal cancels; a second one ends the process as it always does, whatever is not undone yet. */
function onSignals() {
  const controller = new AbortController();
  let exitCode: number = EXIT.ok;
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
    const handler = (): void => {
      exitCode = code;
      controller.abort();
    };
    process.once(signal, handler);
    return [signal, handler] as const;
  });
  return {
    signal: controller.signal,
    exitCode: () => exitCode,
    end() {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}

function told(report: CopyReport): string {
  const { source, destination, passes, fnv1a64, validEntries, pausedMillis, state } = report;
  const bytes = passes.reduce((sum, pass) => sum + pass.bytes, 0);
  const same = fnv1a64 === null ? 'it has no table' : `hash ${fnv1a64} on both sides`;
  return [
    `${paint('green', 'copied')} ${source} to ${destination}: ${grouped(validEntries)} entries, ${same}`,
    `${passes.length} passes, ${grouped(bytes)} bytes; paused for ${pausedMillis.toFixed(0)} ms`,
    `it is ${state} at its destination; at its source it is ${report.sourceDeleted ? 'deleted' : 'paused'}`,
    report.sourceDeleted
      ? 'dirty bitmaps were not copied: take every page as dirty'
      : 'dirty bitmaps were not copied: harvest them at the source before you delete it',
  ].join('\n');
}
