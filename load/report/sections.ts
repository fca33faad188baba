/**
 * What the report shows of each profile: which runs, and which plots of their rows. To show a profile add a section; a
 * plot needs a line for each axis and its series.
 */
import type { Json } from '../run-profile.ts';

export interface Axis {
  /** Member of a row. */
  readonly field: string;
  readonly title: string;
  readonly unit: string;
  /** log: equal factors have equal distances. Default: linear. */
  readonly scale?: 'linear' | 'log';
}

export interface Series {
  /** Member of a row with the figure. */
  readonly field: string;
  readonly label: string;
  /** Member that tells how far its rounds lay apart. */
  readonly spread?: string;
  /** What it is compared with: drawn broken. */
  readonly isYardstick?: boolean;
}

export interface Plot {
  readonly title: string;
  /** What there is to see, and which direction is better. */
  readonly says: string;
  readonly kind: 'lines' | 'bars' | 'table';
  /** Which rows; default: all. */
  readonly where?: (row: Json) => boolean;
  /** The row's part of a line's name, where one figure gives several lines. */
  readonly split?: (row: Json) => string;
  readonly x: Axis;
  /** Its field is that of the series. */
  readonly y: Omit<Axis, 'field'>;
  readonly series: readonly Series[];
}

export interface Section {
  readonly title: string;
  /** Name of the profile, and options of its short form. */
  readonly profile: string;
  readonly runs: readonly { readonly options: string; readonly add?: Json }[];
  /** Member of the JSON that has the rows (results). */
  readonly rows?: string;
  readonly plots: readonly Plot[];
}

const rate = { title: 'throughput', unit: 'hcalls/s' };
const micros = { title: 'latency', unit: 'µs', scale: 'log' } as const;
const percentiles: readonly Series[] = [
  { field: 'p50', label: 'p50' },
  { field: 'p99', label: 'p99' },
  { field: 'p999', label: 'p99.9' },
];
const text = (row: Json, field: string): string => String(row[field]);

export const SECTIONS: readonly Section[] = [
  {
    title: 'Cost against table size',
    profile: 'engine',
    runs: [
      {
        options:
          '--mix insert+remove,read --orders 18,20,22,24,26,28,30 --processors 1 --seconds 0.3 --rounds 3 --within 60',
      },
    ],
    plots: [
      {
        title: 'An hcall in the engine, by the size of the table',
        says: 'Less is better. Where a table outgrows a cache, memory is waited for. A spread of 0 says that there was time for one round only.',
        kind: 'lines',
        split: (row) => text(row, 'mix'),
        x: { field: 'order', title: 'order of the table (log2 of its bytes)', unit: '' },
        y: { title: 'time', unit: 'ns per hcall', scale: 'log' },
        series: [{ field: 'nsPerHcall', label: '', spread: 'spread' }],
      },
      {
        title: 'The same beside the C yardstick',
        says: 'Less is better. The broken line is the cost floor: the same insert/remove pair in plain C, which does nothing else. Its memory is populated, but was never used before: where a virtual machine maps pages at their first use, what it shows for large tables is that.',
        kind: 'lines',
        where: (row) => row['mix'] === 'insert+remove',
        x: { field: 'order', title: 'order of the table (log2 of its bytes)', unit: '' },
        y: { title: 'time of insert+remove', unit: 'ns per hcall', scale: 'log' },
        series: [
          { field: 'nsPerHcall', label: 'hptd', spread: 'spread' },
          { field: 'yardstickNs', label: 'plain C', isYardstick: true },
        ],
      },
    ],
  },
  {
    title: 'Scaling with processors',
    profile: 'engine',
    runs: [
      {
        options:
          '--mix insert+remove,read --orders 18 --processors 1..4 --seconds 0.1 --rounds 3 --within 20',
      },
    ],
    plots: [
      {
        title: 'All processors together, order 18',
        says: 'More is better. "Four groups": all processors at the same 32 entries. Beyond the cores of the machine nothing can be gained.',
        kind: 'lines',
        split: (row) => `${text(row, 'mix')}${row['contended'] === true ? ', four groups' : ''}`,
        x: { field: 'processors', title: 'processors', unit: '' },
        y: rate,
        series: [{ field: 'hcallsPerSecond', label: '', spread: 'spread' }],
      },
    ],
  },
  {
    title: 'Batches in the engine',
    profile: 'engine',
    runs: [16, 64, 256, 1024, 2048].map((batch) => ({
      options: `--mix insert+remove --orders 18,24 --processors 1 --seconds 0.05 --rounds 3 --within 5 --batch ${batch}`,
      add: { batch },
    })),
    plots: [
      {
        title: 'Throughput against batch size, engine alone',
        says: 'More is better. No socket: what a batch saves here is the switch between records and rings.',
        kind: 'lines',
        split: (row) => `order ${text(row, 'order')}`,
        x: { field: 'batch', title: 'hcalls in a frame', unit: '', scale: 'log' },
        y: rate,
        series: [{ field: 'hcallsPerSecond', label: '', spread: 'spread' }],
      },
    ],
  },
  {
    title: 'Batches over a stream',
    profile: 'stream',
    runs: [{ options: '--modes closed --connections 1,4 --rounds 2 --within 20' }],
    plots: [
      {
        title: 'Throughput against batch size, over a WebSocket',
        says: 'More is better. The echo sends the same bytes back and does nothing with them.',
        kind: 'lines',
        split: (row) =>
          `${text(row, 'connections')} connection${row['connections'] === 1 ? '' : 's'}`,
        x: { field: 'batch', title: 'hcalls in a frame', unit: '', scale: 'log' },
        y: { ...rate, scale: 'log' },
        series: [
          { field: 'hcallsPerSecond', label: 'hptd', spread: 'spread' },
          { field: 'echoHcallsPerSecond', label: 'echo', spread: 'echoSpread', isYardstick: true },
        ],
      },
      {
        title: 'Processor time of an hcall in the daemon',
        says: 'Less is better.',
        kind: 'lines',
        where: (row) => row['connections'] === 1,
        x: { field: 'batch', title: 'hcalls in a frame', unit: '', scale: 'log' },
        y: { title: 'processor time', unit: 'µs per hcall', scale: 'log' },
        series: [
          { field: 'serverCpuMicrosPerHcall', label: 'hptd' },
          { field: 'echoServerCpuMicrosPerHcall', label: 'echo', isYardstick: true },
        ],
      },
    ],
  },
  {
    title: 'Latency of a stream under rising load',
    profile: 'stream',
    runs: [
      {
        options:
          '--modes open --connections 1 --rate 10000,30000,100000,300000,1000000,3000000 --rounds 2 --within 15',
      },
    ],
    plots: [
      {
        title: 'Latency from the instant at which a frame should have been sent',
        says: 'Less is better. Frames of 64 leave by a schedule that waits for nobody, so a queue shows in the figures.',
        kind: 'lines',
        x: { field: 'rate', title: 'offered load', unit: 'hcalls/s', scale: 'log' },
        y: micros,
        series: [...percentiles, { field: 'echoP50', label: 'echo p50', isYardstick: true }],
      },
    ],
  },
  {
    title: 'REST',
    profile: 'rest',
    runs: [{ options: '--connections 1,4,16,64 --seconds 0.3 --rounds 2 --within 20' }],
    plots: [
      {
        title: 'Requests beside a bare Fastify echo',
        says: 'More is better; 1 is an echo of JSON that does nothing else.',
        kind: 'lines',
        split: (row) => text(row, 'scenario'),
        x: {
          field: 'connections',
          title: 'connections, each one request at a time',
          unit: '',
          scale: 'log',
        },
        y: { title: 'requests a second over the echo', unit: '×' },
        series: [{ field: 'ratio', label: '', spread: 'ratioSpread' }],
      },
      {
        title: 'Latency of one hcall a request under rising load',
        says: 'Less is better.',
        kind: 'lines',
        where: (row) => row['scenario'] === 'enter-remove',
        x: {
          field: 'connections',
          title: 'connections, each one request at a time',
          unit: '',
          scale: 'log',
        },
        y: micros,
        series: [...percentiles, { field: 'echoP50', label: 'echo p50', isYardstick: true }],
      },
    ],
  },
  {
    title: 'Recorded guests',
    profile: 'replay',
    runs: [{ options: '--rounds 2 --within 40' }],
    plots: [
      {
        title: 'How much faster than the recorded guest',
        says: 'More is better. Every answer is compared; without a figure: the recording does not say how long the guest took.',
        kind: 'bars',
        split: (row) => (row['streams'] === 1 ? 'one stream' : 'a stream for each guest processor'),
        x: { field: 'file', title: 'recording', unit: '' },
        y: { title: 'pace over the guest', unit: '×' },
        series: [{ field: 'ratioToGuest', label: '', spread: 'spread' }],
      },
    ],
  },
  {
    title: 'Full groups and false answers',
    profile: 'contention',
    runs: [{ options: '--seconds 0.5' }],
    plots: [
      {
        title: 'H_PTEG_FULL while a slot was free',
        says: 'Of how many contended H_ENTERs. The last protocol is hptd’s own, which must give none; the others are older ones of KVM.',
        kind: 'table',
        split: (row) => text(row, 'protocol'),
        x: { field: 'scenario', title: 'scenario', unit: '' },
        y: { title: 'answers', unit: '' },
        series: [
          { field: 'falseFull', label: 'false' },
          { field: 'calls', label: 'of' },
        ],
      },
    ],
  },
  {
    title: 'More processors than cores',
    profile: 'oversubscription',
    runs: [{ options: '--seconds 0.1 --rounds 2' }],
    plots: [
      {
        title: 'Throughput when those who have a lock lose their core',
        says: 'More is better. hptd gives its core away when it has looked for a while; the other way looks on.',
        kind: 'lines',
        split: (row) => `${text(row, 'waiting')}, groups: ${text(row, 'groups')}`,
        x: { field: 'processors', title: 'processors', unit: '', scale: 'log' },
        y: rate,
        series: [{ field: 'hcallsPerSecond', label: '', spread: 'spread' }],
      },
    ],
  },
  {
    title: 'Whole tables',
    profile: 'tables',
    runs: [{ options: '--orders 18,20,22,24,26 --rounds 3' }],
    plots: [
      {
        title: 'Loading, reading and looking through a half full table',
        says: 'Less is better. The first load waits for the system, which gives a table its pages when they are first used.',
        kind: 'lines',
        split: (row) => text(row, 'action'),
        x: { field: 'order', title: 'order of the table (log2 of its bytes)', unit: '' },
        y: { title: 'time', unit: 's', scale: 'log' },
        series: [{ field: 'seconds', label: '', spread: 'spread' }],
      },
    ],
  },
  {
    title: 'Everything at once, for a while',
    profile: 'soak',
    runs: [{ options: '--minutes 1' }],
    rows: 'windows',
    plots: [
      {
        title: 'Memory of the daemon',
        says: 'Flat is right: guests come and go, processors are killed, peers do not read.',
        kind: 'lines',
        x: { field: 'seconds', title: 'since the beginning', unit: 's' },
        y: { title: 'resident memory', unit: 'MiB' },
        series: [{ field: 'rssMiB', label: 'daemon' }],
      },
      {
        title: 'Latency of the steady streams meanwhile',
        says: 'Flat is right.',
        kind: 'lines',
        x: { field: 'seconds', title: 'since the beginning', unit: 's' },
        y: { title: 'latency', unit: 'ms', scale: 'log' },
        series: [
          { field: 'p50Millis', label: 'p50' },
          { field: 'p99Millis', label: 'p99' },
        ],
      },
    ],
  },
];
