/** `hptd record`: a guest's conversation into a file, until Ctrl-C or a limit ends it. */
import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { recordingBody, type RecordingFacts } from '../../../schemas/recordings.ts';
import { connectRest, type Rest } from '../../client/rest.ts';
import { download } from '../../client/download.ts';
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonUrl,
  parseWords,
  wholeNumber,
} from '../command.ts';
import { credentialsOf } from '../credentials.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { complain, grouped, print, printJson } from '../output.ts';

const LOOK_MILLIS = 500;
const { bytesMax, eventsMax, secondsMax } = recordingBody.shape;

export const record: Command = {
  name: 'record',
  usage: 'record GUEST FILE [--unordered] [--seconds N] [--events N] [--bytes N] [--json]',
  summary: "record a guest's conversation into a file",
  help: () => `Records what a guest asks and is answered, as it runs, into a gzip'd hpt-trace/1 file that "hptd replay" takes.
Ctrl-C ends the recording and saves the file. What it costs the guest is said at the start.

  hptd record g g.jsonl.gz --seconds 60

  --unordered         do not run the guest in turns: it is not slowed, and lines of several streams may stand in another order
  --seconds N         ${secondsMax.description}
  --events N          ${eventsMax.description}
  --bytes N           ${bytesMax.description}
${DAEMON_OPTIONS_HELP}`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('record', words, {
    ...DAEMON_OPTIONS,
    unordered: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    events: { type: 'string' },
    bytes: { type: 'string' },
  });
  const [guest, file] = positionals;
  if (guest === undefined || file === undefined || positionals.length > 2)
    throw usageError('name a guest and a file', 'record');
  const limit = (name: string, text: string | undefined) =>
    text === undefined ? undefined : wholeNumber('record', name, text, 1, Number.MAX_SAFE_INTEGER);
  const url = daemonUrl('record', values.url);
  const credentials = credentialsOf('record', values);
  const rest = connectRest(url, credentials);
  const path = `/v1/guests/${encodeURIComponent(guest)}/recordings`;
  // Before anything is asked of the daemon: a file that cannot be written is no reason to slow a guest.
  const output = createWriteStream(file);
  await new Promise((resolve, reject) => {
    output.once('open', resolve);
    output.once('error', (error) =>
      reject(
        new CliError(EXIT.data, `${file}: ${error.message}`, 'name a file that can be written'),
      ),
    );
  });
  const asked = askedToEnd();
  const started = (await rest.send('POST', path, {
    ordered: !values.unordered,
    secondsMax: limit('--seconds', values.seconds),
    eventsMax: limit('--events', values.events),
    bytesMax: limit('--bytes', values.bytes),
  })) as RecordingFacts;
  for (const note of started.notes) complain(note);
  complain(`recording ${guest} as number ${started.id}; Ctrl-C ends it`);
  const ended = await untilEnded(rest, path, started.id, asked);
  await download(url, `${path}/${ended.id}`, output, credentials);
  await rest.send('DELETE', `${path}/${ended.id}`);
  if (values.json) printJson({ file, ...ended });
  else print(summary(file, ended));
  return EXIT.ok;
}

/** Aborted by the first signal; the second ends the process, as ever. Made before there is a recording that a signal must save. */
function askedToEnd(): AbortSignal {
  const stop = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
    stop.abort();
  };
  for (const signal of signals) process.on(signal, onSignal);
  return stop.signal;
}

/** Looks at it now and then; ends it when asked to. */
async function untilEnded(
  rest: Rest,
  path: string,
  id: string,
  asked: AbortSignal,
): Promise<RecordingFacts> {
  for (;;) {
    await sleep(LOOK_MILLIS, undefined, { signal: asked }).catch(() => undefined);
    if (asked.aborted) {
      clearLine();
      return (await rest.send('PATCH', `${path}/${id}`, { state: 'ended' })) as RecordingFacts;
    }
    const { recordings } = (await rest.send('GET', path)) as { recordings: RecordingFacts[] };
    const facts = recordings.find((one) => one.id === id);
    if (facts === undefined)
      throw new CliError(EXIT.data, `recording ${id} was deleted`, 'start it again');
    showProgress(facts);
    if (facts.state === 'ended') return facts;
  }
}

function showProgress({ events, bytes, lost, state }: RecordingFacts): void {
  if (!process.stderr.isTTY) return;
  clearLine();
  if (state === 'ended') return;
  const loss = lost === 0 ? '' : `, ${grouped(lost)} lost`;
  process.stderr.write(`${grouped(events)} events, ${grouped(bytes)} bytes${loss}`);
}

function clearLine(): void {
  if (!process.stderr.isTTY) return;
  process.stderr.clearLine(0);
  process.stderr.cursorTo(0);
}

function summary(file: string, { events, bytes, end, notes, tableHash }: RecordingFacts): string {
  const hash = tableHash ? 'with' : 'without';
  return [
    `${file}: ${grouped(events)} events, ${grouped(bytes)} bytes, ${hash} a hash of the table at the end`,
    `ended: ${end}`,
    ...notes,
    `replay it with "hptd replay ${file}"`,
  ].join('\n');
}
