/** `hptd top`: what a daemon does now, per guest and hcall, redrawn in place on a terminal. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchText } from '../../client/download.ts';
import { RefusedError } from '../../client/errors.ts';
import { connectRest, type Rest } from '../../client/rest.ts';
import {
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonUrl,
  parseWords,
  wholeNumber,
} from '../command.ts';
import { credentialsOf } from '../credentials.ts';
import { EXIT, usageError } from '../errors.ts';
import { grouped, paint, print, printJson, table } from '../output.ts';
import { type GuestRates, type Occupancy, type Rates, ratesBetween } from '../top/rates.ts';
import { type Look, lookAt } from '../top/scrape.ts';

const INTERVAL_SECONDS = 2;
const INTERVAL_SECONDS_MAX = 3600;
/** To see how full a table is somebody must go through it: some milliseconds of a processor each time. */
const OCCUPANCY_MILLIS = 10_000;

export const top: Command = {
  name: 'top',
  usage: 'top [--interval N] [--once] [--json]',
  summary: 'show what the daemon does, now',
  help: () => `Shows rates of hcalls by status, contention and occupancy of each guest, the busiest first, until Ctrl-C.
How full a table is, is looked up every ten seconds, since that goes through the table.

  hptd top --interval 5

  --interval N        seconds between two looks; ${INTERVAL_SECONDS} unless given
  --once              one interval, then end
${DAEMON_OPTIONS_HELP}; one object an interval`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('top', words, {
    ...DAEMON_OPTIONS,
    interval: { type: 'string' },
    once: { type: 'boolean', default: false },
  });
  if (positionals.length > 0) throw usageError(`top takes no "${positionals[0]}"`, 'top');
  const seconds =
    values.interval === undefined
      ? INTERVAL_SECONDS
      : wholeNumber('top', '--interval', values.interval, 1, INTERVAL_SECONDS_MAX);
  const url = daemonUrl('top', values.url);
  const credentials = credentialsOf('top', values);
  const rest = connectRest(url, credentials);
  const look = async (): Promise<Look> =>
    lookAt(await fetchText(url, '/metrics', credentials), Date.now());
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  let before = await look();
  let [occupancies, occupiedAt] = [new Map<string, Occupancy>(), -Infinity];
  while (!stop.signal.aborted) {
    if (before.atMillis - occupiedAt >= OCCUPANCY_MILLIS) {
      occupancies = await occupanciesOf(rest, [...before.guests.keys()]);
      occupiedAt = before.atMillis;
    }
    await sleep(1000 * seconds, undefined, { signal: stop.signal }).catch(() => undefined);
    if (stop.signal.aborted) break;
    const now = await look();
    const rates = ratesBetween(before, now, occupancies);
    before = now;
    if (values.json) printJson(rates);
    else draw(screenText(url, rates), !values.once);
    if (values.once) break;
  }
  return EXIT.ok;
}

async function occupanciesOf(rest: Rest, guests: readonly string[]) {
  const found = new Map<string, Occupancy>();
  for (const guest of guests) {
    const path = `/v1/guests/${encodeURIComponent(guest)}/hpt/statistics`;
    try {
      found.set(guest, (await rest.send('GET', path)) as Occupancy);
    } catch (error) {
      // It has no table, or is gone meanwhile: there is nothing to show.
      if (!(error instanceof RefusedError)) throw error;
    }
  }
  return new Map([...found].map(([guest, all]) => [guest, occupancyOf(all)]));
}

function occupancyOf({ order, entries, occupied }: Occupancy): Occupancy {
  return { order, entries, occupied };
}

function draw(text: string, inPlace: boolean): void {
  const { stdout } = process;
  if (!inPlace || !stdout.isTTY) return print(text);
  const lines = text.split('\n').slice(0, Math.max(1, stdout.rows - 1));
  stdout.cursorTo(0, 0);
  stdout.clearScreenDown();
  stdout.write(`${lines.join('\n')}\n`);
}

export function screenText(url: string, rates: Rates): string {
  const { guests, processors, cpusBusy, residentBytes, hcallsPerSecond, processorDeaths } = rates;
  const deaths =
    processorDeaths === 0 ? '' : paint('red', `, ${processorDeaths} deaths of processors`);
  const head = `${url}  ${grouped(hcallsPerSecond)} hcalls/s, ${guests.length} guests, ${processors} processors, ${cpusBusy.toFixed(1)} cores busy, ${grouped(residentBytes / 2 ** 20)} MiB${deaths}`;
  if (guests.length === 0) return `${head}\nno guests; "hptd create NAME order=24" makes one`;
  return `${head}\n\n${guestTable(guests)}\n\n${hcallTable(guests)}`;
}

const right = (title: string) => ({ title, right: true });

function guestTable(guests: readonly GuestRates[]): string {
  const columns = [
    { title: 'guest' },
    ...['order', 'occupied', 'streams', 'hcalls/s', 'lock waits/s', 'chain waits/s'].map(right),
    ...['second passes/s', 'tlbies/s', 'in rings'].map(right),
  ];
  return table(
    columns,
    guests.map((one) => [
      one.guest,
      one.occupancy === null ? '-' : String(one.occupancy.order),
      one.occupancy === null ? '-' : percent(one.occupancy),
      String(one.streams),
      ...[one.hcallsPerSecond, one.lockWaitsPerSecond, one.chainWaitsPerSecond].map(grouped),
      ...[one.secondPassesPerSecond, one.tlbiesPerSecond].map(grouped),
      `${grouped((one.submittedBytes + one.answerBytes) / 1024)} KiB`,
    ]),
  );
}

function percent({ occupied, entries }: Occupancy): string {
  return `${((100 * occupied) / entries).toFixed(1)} %`;
}

function hcallTable(guests: readonly GuestRates[]): string {
  const columns = [
    { title: 'guest' },
    { title: 'hcall' },
    { title: 'status' },
    right('per second'),
    right('total'),
  ];
  return table(
    columns,
    guests.flatMap(({ guest, hcalls }) =>
      hcalls.map(({ hcall, status, perSecond, total }) => [
        guest,
        hcall,
        status === 'H_SUCCESS' ? status : paint('yellow', status),
        grouped(perSecond),
        grouped(total),
      ]),
    ),
  );
}
