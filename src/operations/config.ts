/**
 * The daemon's options: one schema for the command line, the environment, the configuration file and whoever calls
 * `serve`. Help, names of variables and `--print-config` are made from it. configuration.ts finds out where a value
 * comes from.
 *
 * To add an option: one member here. Its description is its documentation; `value` stands for its value in help.
 */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { DURABILITIES } from '../../schemas/durabilities.ts';
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_CLIENT_MAX,
  GUESTS_MAX,
  HEADERS_SECONDS_MAX,
  HTAB_IDLE_SECONDS_MAX,
  PROCESSORS_MAX,
  RECORDINGS_BYTES_MAX,
  REQUEST_SECONDS_MAX,
  REQUESTS_PER_SECOND_MAX,
  SNAPSHOT_SECONDS_MAX,
  TABLE_BYTES_PER_CLIENT_MAX,
} from '../../schemas/limits.ts';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Where to listen. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  | { readonly systemd: true };

export const DEFAULT_LISTEN = '127.0.0.1:7808';
const PORT_MAX = 65535;
const LISTEN_FORM = 'write HOST:PORT, [IPV6]:PORT, unix:PATH or systemd';

/** Undefined: the text has none of the forms. */
export function listenAddress(text: string): ListenAddress | undefined {
  if (text === 'systemd') return { systemd: true };
  if (text.startsWith('unix:')) return text.length > 5 ? { path: text.slice(5) } : undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  return port > PORT_MAX ? undefined : { host: (match[1] ?? match[2])!, port };
}

/** Several values: an array in the file, commas in the environment, the option several times on the command line. */
function listOf(fault: (text: string) => string | undefined) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((given) => (typeof given === 'string' ? given.split(',') : given))
    .transform((texts) => texts.map((text) => text.trim()).filter((text) => text !== ''))
    .superRefine((texts, context) => {
      const message = texts.map(fault).find((found) => found !== undefined);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    });
}

function limit(least: number, most: number, initial: number) {
  return z.coerce.number().int().min(least).max(most).default(initial);
}

const file = z.string().min(1).optional();

const quoted = (text: string, form: string): string => `${JSON.stringify(text)}: ${form}`;

const ORIGIN_FORM = 'write an origin as browsers do, https://HOST or https://HOST:PORT';

function originFault(text: string): string | undefined {
  const origin = URL.canParse(text) ? new URL(text).origin : undefined;
  return origin === text ? undefined : quoted(text, ORIGIN_FORM);
}

function hostFault(text: string): string | undefined {
  return /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(text)
    ? undefined
    : quoted(text, 'write a host name in small letters, without a port');
}

const CONNECTIONS_CEILING = 1_000_000;
const SECONDS_CEILING = 86_400;
const BYTES_CEILING = 2 ** 40;

export const serveOptions = z.strictObject({
  listen: listOf((text) =>
    listenAddress(text) === undefined ? quoted(text, LISTEN_FORM) : undefined,
  )
    .refine((texts) => texts.length > 0, 'name one address at least')
    .default([DEFAULT_LISTEN])
    .meta({
      value: 'ADDRESS…',
      description: `where to listen: ${LISTEN_FORM}; port 0 takes a free one, systemd what its socket unit opened. Anything but loopback and Unix sockets needs an accessFile`,
    }),
  socket: z
    .string()
    .min(1)
    .default('auto')
    .meta({
      value: 'PATH',
      description: `a Unix socket beside it, for its owner alone; none: no such socket; auto: hptd.sock in the user's runtime directory if listen is ${DEFAULT_LISTEN}, else none`,
    }),
  processors: z.coerce
    .number()
    .int()
    .min(1)
    .max(PROCESSORS_MAX)
    .default(() => Math.min(availableParallelism(), PROCESSORS_MAX))
    .meta({
      value: 'N',
      description: 'worker threads that run hcalls; as many as the machine has cores unless given',
    }),
  stateDir: file.meta({
    value: 'DIR',
    description:
      'where guests are kept, so that they outlive the daemon (docs/state.md); made if it is not there. Without it they end with the daemon',
  }),
  journal: z.enum(DURABILITIES).default('snapshot').meta({
    value: 'MODE',
    description:
      'what of the guests in stateDir survives when the daemon is killed: none: what was there when it started, and guests created since as they were then; snapshot: all but the last snapshotSeconds; journal: all that was answered, since no answer goes out before it is on the disk. When it is told to end, all is kept',
  }),
  snapshotSeconds: limit(1, SNAPSHOT_SECONDS_MAX, 60).meta({
    value: 'SECONDS',
    description: 'seconds between snapshots of a guest that changes, for journal snapshot',
  }),
  logLevel: z
    .enum(LOG_LEVELS)
    .default('info')
    .meta({
      value: 'LEVEL',
      description: `the least severe messages to log: ${LOG_LEVELS.join(', ')}`,
    }),
  accessFile: file.meta({
    value: 'FILE',
    description:
      'who may do what (docs/access.md). With it everybody has to say who he is, but on Unix sockets; read again when it changes and on SIGHUP',
  }),
  tlsCert: file.meta({
    value: 'FILE',
    description: 'certificate and chain in PEM: TCP addresses speak TLS; read again on SIGHUP',
  }),
  tlsKey: file.meta({ value: 'FILE', description: 'the private key of tlsCert in PEM' }),
  tlsClientCa: file.meta({
    value: 'FILE',
    description:
      'certificates in PEM that sign those of clients; the accessFile says by common name what each may do',
  }),
  allowedOrigins: listOf(originFault).default([]).meta({
    value: 'ORIGIN…',
    description: 'origins whose web pages may use the daemon',
  }),
  allowedHosts: listOf(hostFault).default([]).meta({
    value: 'HOST…',
    description:
      'names in Host headers that mean this daemon, beside addresses, localhost and the names in listen',
  }),
  connectionsMax: limit(1, CONNECTIONS_CEILING, CONNECTIONS_MAX).meta({
    value: 'N',
    description: 'connections at once',
  }),
  connectionsPerClientMax: limit(1, CONNECTIONS_CEILING, CONNECTIONS_PER_CLIENT_MAX).meta({
    value: 'N',
    description: 'connections at once from one address, or over one Unix socket',
  }),
  requestsPerSecondMax: limit(1, CONNECTIONS_CEILING, REQUESTS_PER_SECOND_MAX).meta({
    value: 'N',
    description: 'requests a second of one token or certificate; records on streams do not count',
  }),
  guestsPerClientMax: limit(1, GUESTS_MAX, GUESTS_MAX).meta({
    value: 'N',
    description: 'guests that one token, certificate or address may have created',
  }),
  tableBytesPerClientMax: limit(0, TABLE_BYTES_PER_CLIENT_MAX, TABLE_BYTES_PER_CLIENT_MAX).meta({
    value: 'BYTES',
    description:
      'what the tables of these guests may take together: for each the largest that its memory allows, its reverse map, and as much for a resize',
  }),
  recordingsBytesMax: limit(0, BYTES_CEILING, RECORDINGS_BYTES_MAX).meta({
    value: 'BYTES',
    description:
      'memory that all recordings may take together: for each that goes on its bytesMax and what may wait to be written, for each that has ended its file',
  }),
  headersSecondsMax: limit(1, SECONDS_CEILING, HEADERS_SECONDS_MAX).meta({
    value: 'SECONDS',
    description: "how long a request's headers may take to arrive",
  }),
  requestSecondsMax: limit(1, SECONDS_CEILING, REQUEST_SECONDS_MAX).meta({
    value: 'SECONDS',
    description: 'how long a whole request may take to arrive',
  }),
  htabIdleSecondsMax: limit(1, SECONDS_CEILING, HTAB_IDLE_SECONDS_MAX).meta({
    value: 'SECONDS',
    description:
      'how long a table stream may stand still before it is cut off, and a table reader be left alone before it is closed',
  }),
});

export type ServeOptions = z.output<typeof serveOptions>;
export type OptionName = keyof ServeOptions;

export interface OptionFacts {
  readonly name: OptionName;
  /** `--log-level` */
  readonly flag: string;
  /** `HPTD_LOG_LEVEL` */
  readonly environment: string;
  /** What stands for its value in help. */
  readonly value: string;
  readonly isList: boolean;
  readonly meaning: string;
  /** As a person would write it; undefined: there is none. */
  readonly initial: string | undefined;
}

export const OPTIONS: readonly OptionFacts[] = Object.entries(serveOptions.shape).map(
  ([name, schema]) => {
    const { value, description } = schema.meta() as { value: string; description: string };
    return {
      name: name as OptionName,
      flag: `--${spelt(name, '-').toLowerCase()}`,
      environment: environmentName(name),
      value: value.replace('…', ''),
      isList: value.endsWith('…'),
      meaning: description,
      initial: valueText(schema.parse(undefined)),
    };
  },
);

/** The environment's name for an option: HPTD_LOG_LEVEL for logLevel. */
export function environmentName(option: string): string {
  return `HPTD_${spelt(option, '_').toUpperCase()}`;
}

function spelt(name: string, separator: string): string {
  return name.replace(/[A-Z]/g, (letter) => `${separator}${letter}`);
}

/** A value as the environment would have it; undefined: there is none. */
export function valueText(value: string | number | readonly string[] | undefined) {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return undefined;
  return Array.isArray(value) ? value.join(',') : String(value);
}
