/**
 * /metrics. Everything is read where it stands when somebody asks: counters and rings in the guests' memories, which
 * costs the processors nothing; only HTTP requests are counted for it (http-requests.ts). Main thread;
 * docs/operating.md says what the figures mean.
 */
import type { FastifyInstance } from 'fastify';
import { METRICS_TYPE, openMetricsText } from '../operations/metrics-text.ts';
import type { MetricsText, Sample } from '../operations/metrics-text.ts';
import { VERSION } from '../operations/version.ts';
import type { Guest, Guests, ProcessorCounters } from '../guests/types.ts';
import type { RequestCounts } from './http-requests.ts';
import type { Peer } from './stream-peer.ts';

const MICROS = 1e-6;

export function metricsRoutes(
  app: FastifyInstance,
  guests: Guests,
  peers: Iterable<Peer>,
  requests: RequestCounts,
): void {
  app.get('/metrics', async (_request, reply) => {
    const metrics = openMetricsText();
    const all = guests.list();
    addProcess(metrics, peers);
    addProcessors(metrics, guests);
    addGuests(metrics, all);
    addAnswers(metrics, all);
    addContention(metrics, all);
    addRuns(metrics, all);
    addState(metrics, guests);
    requests.addTo(metrics);
    addJournals(metrics, all);
    return reply.type(METRICS_TYPE).send(metrics.text());
  });
}

function addProcess(metrics: MetricsText, peers: Iterable<Peer>): void {
  const one = (value: number): Sample[] => [[{}, value]];
  const { user, system } = process.cpuUsage();
  const started = Date.now() / 1000 - process.uptime();
  metrics.gauge('hptd_build_info', 'The version that runs; always 1.', [[{ version: VERSION }, 1]]);
  metrics.counter(
    'process_cpu_seconds_total',
    'Processor time of the daemon, all its threads.',
    one((user + system) * MICROS),
  );
  metrics.gauge(
    'process_resident_memory_bytes',
    'Memory of the daemon that is in RAM.',
    one(process.memoryUsage.rss()),
  );
  metrics.gauge('process_start_time_seconds', 'When it was started, since 1970.', one(started));
  metrics.gauge(
    'hptd_socket_buffered_bytes',
    'Answers that stream sockets took and the network did not.',
    one(bufferedBytes(peers)),
  );
}

function bufferedBytes(peers: Iterable<Peer>): number {
  let bytes = 0;
  for (const { socket } of peers) bytes += socket.bufferedAmount;
  return bytes;
}

function addProcessors(metrics: MetricsText, guests: Guests): void {
  const processors = guests.processors();
  const each = (value: (one: (typeof processors)[number]) => number): Sample[] =>
    processors.map((one) => [{ processor: one.index }, value(one)]);
  metrics.gauge(
    'hptd_processor_up',
    'Is the processor alive? 0: it was given up, and its guests failed.',
    each(({ alive }) => (alive ? 1 : 0)),
  );
  metrics.gauge(
    'hptd_processor_streams',
    'Streams pinned to it.',
    each(({ streams }) => streams),
  );
  metrics.counter(
    'hptd_processor_deaths_total',
    'Threads of it that died; any is a defect.',
    each(({ deaths }) => deaths),
  );
}

function addGuests(metrics: MetricsText, all: readonly Guest[]): void {
  const each = (value: (guest: Guest) => number): Sample[] =>
    all.map((guest) => [{ guest: guest.name }, value(guest)]);
  metrics.gauge('hptd_guests', 'Guests by state.', byState(all));
  metrics.gauge(
    'hptd_guest_streams',
    'Streams of clients.',
    each((guest) => guest.status().streams),
  );
  metrics.gauge(
    'hptd_guest_table_bytes',
    'The active table; 0: none.',
    each((guest) => (guest.status().order === 0 ? 0 : 2 ** guest.status().order)),
  );
  metrics.gauge(
    'hptd_guest_submitted_bytes',
    'Frames in the submission rings that are not executed.',
    each((guest) => guest.ringFill().submittedBytes),
  );
  metrics.gauge(
    'hptd_guest_answer_bytes',
    'Answers in the completion rings that sockets have not taken.',
    each((guest) => guest.ringFill().answerBytes),
  );
}

function byState(all: readonly Guest[]): Sample[] {
  const counts = new Map<string, number>();
  for (const guest of all) {
    const { state } = guest.status();
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return [...counts].map(([state, count]) => [{ state }, count]);
}

function addAnswers(metrics: MetricsText, all: readonly Guest[]): void {
  metrics.counter(
    'hptd_hcalls_total',
    'hcalls answered, by what was answered.',
    all.flatMap((guest) =>
      guest
        .answers()
        .map(({ hcall, status, count }): Sample => [{ guest: guest.name, hcall, status }, count]),
    ),
  );
}

const CONTENTION = [
  ['hptd_records_total', 'Records executed, control records too.', 'records'],
  ['hptd_entry_lock_waits_total', "Waits for an entry's lock.", 'lockWaits'],
  ['hptd_chain_lock_waits_total', 'Waits for the lock of a reverse-map chain.', 'chainWaits'],
  ['hptd_enter_second_passes_total', 'H_ENTERs that found no slot at first.', 'secondPasses'],
  ['hptd_tlbies_total', 'TLB invalidations a real host would send.', 'tlbies'],
  ['hptd_tlbsyncs_total', 'Waits for those on all processors.', 'tlbsyncs'],
] as const satisfies readonly (readonly [string, string, keyof ProcessorCounters])[];

function addContention(metrics: MetricsText, all: readonly Guest[]): void {
  const counters = all.map((guest) => ({ guest: guest.name, processors: guest.counters() }));
  for (const [name, help, member] of CONTENTION) {
    metrics.counter(
      name,
      help,
      counters.flatMap(({ guest, processors }) =>
        processors.map((one): Sample => [{ guest, processor: one.processor }, one[member]]),
      ),
    );
  }
}

function addRuns(metrics: MetricsText, all: readonly Guest[]): void {
  const runs = all.map((guest) => ({ labels: { guest: guest.name }, ...guest.runs() }));
  metrics.histogram(
    'hptd_run_seconds',
    'Time of one run of records by a processor, without waiting for it.',
    runs.map(({ labels, micros }) => ({ labels, ...bucketsOf(micros, MICROS) })),
  );
  metrics.histogram(
    'hptd_run_records',
    'Records in one run.',
    runs.map(({ labels, records }) => ({ labels, ...bucketsOf(records, 1) })),
  );
}

function addState(metrics: MetricsText, { state }: Guests): void {
  if (state === undefined) return;
  const { failing, damaged, snapshots, failures, newest } = state.status();
  const each = (
    value: (image: { takenAtMillis: number; bytes: number; heldMillis: number }) => number,
  ) => [...newest].map(([guest, image]): Sample => [{ guest }, value(image)]);
  metrics.gauge(
    'hptd_state_snapshot_timestamp_seconds',
    'When the newest snapshot of a guest was taken, since 1970.',
    each(({ takenAtMillis }) => takenAtMillis / 1000),
  );
  metrics.gauge(
    'hptd_state_snapshot_bytes',
    'Its file.',
    each(({ bytes }) => bytes),
  );
  metrics.gauge(
    'hptd_state_snapshot_hold_seconds',
    'How long the guest executed nothing for it.',
    each(({ heldMillis }) => heldMillis / 1000),
  );
  metrics.gauge('hptd_state_failing', 'Guests whose last snapshot could not be written.', [
    [{}, failing.size],
  ]);
  metrics.gauge('hptd_state_damaged', 'Guests that are kept and cannot be started.', [
    [{}, damaged.length],
  ]);
  metrics.counter('hptd_state_snapshots_total', 'Snapshots written.', [[{}, snapshots]]);
  metrics.counter('hptd_state_failures_total', 'Snapshots that could not be written.', [
    [{}, failures],
  ]);
}

function addJournals(metrics: MetricsText, all: readonly Guest[]): void {
  const journals = all.flatMap((guest) => {
    const facts = guest.journal();
    return facts === undefined ? [] : [{ labels: { guest: guest.name }, ...facts }];
  });
  if (journals.length === 0) return;
  const each = (value: (one: (typeof journals)[number]) => number): Sample[] =>
    journals.map((one) => [one.labels, value(one)]);
  metrics.histogram(
    'hptd_journal_sync_seconds',
    'Time in which a group of the journal was written and synced.',
    journals.map(({ labels, counts }) => ({ labels, ...bucketsOf([...counts.micros], MICROS) })),
  );
  metrics.counter(
    'hptd_journal_written_bytes_total',
    'Bytes of the journal that are on disk.',
    each(({ counts }) => counts.bytes),
  );
  metrics.gauge(
    'hptd_journal_backlog_bytes',
    'Bytes of the journal that wait for the disk.',
    each(({ backlogBytes }) => backlogBytes),
  );
  metrics.gauge(
    'hptd_journal_bytes',
    'Files of the journal: a restart reads those behind the newest snapshot.',
    each(({ keptBytes }) => keptBytes),
  );
  metrics.gauge(
    'hptd_journal_stalled',
    '1: the disk refuses the journal, and nothing is answered.',
    each(({ trouble }) => (trouble === undefined ? 0 : 1)),
  );
}

/** Bucket i is of at most 2^i units. */
function bucketsOf(values: readonly number[], unit: number) {
  const counts = values.slice(0, -1);
  const bounds = counts.slice(0, -1).map((_, i) => Number((2 ** i * unit).toPrecision(12)));
  return { bounds, counts, sum: values.at(-1)! * unit };
}
