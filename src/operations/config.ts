/**
 * The daemon's options: one schema for the command line, the environment and whoever calls `serve`.
 *
 * A value comes from the command line, else from the environment, else it is the default.
 */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { PROCESSORS_MAX } from '../../schemas/limits.ts';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Where to listen. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

const PORT_MAX = 65535;
const LISTEN_FORM = 'write HOST:PORT, [IPV6]:PORT or unix:PATH';

/** Undefined: the text has neither form. */
export function listenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) return text.length > 5 ? { path: text.slice(5) } : undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  return port > PORT_MAX ? undefined : { host: (match[1] ?? match[2])!, port };
}

export const serveOptions = z.strictObject({
  listen: z
    .string()
    .default('127.0.0.1:7808')
    .refine((text) => listenAddress(text) !== undefined, LISTEN_FORM)
    .describe(`where to listen: ${LISTEN_FORM}; port 0 takes a free one`),
  processors: z.coerce
    .number()
    .int()
    .min(1)
    .max(PROCESSORS_MAX)
    .default(() => Math.min(availableParallelism(), PROCESSORS_MAX))
    .describe('worker threads that run hcalls; as many as the machine has cores unless given'),
  logLevel: z.enum(LOG_LEVELS).default('info').describe('the least severe messages to log'),
});

export type ServeOptions = z.output<typeof serveOptions>;

/** The environment's name for an option: HPTD_LOG_LEVEL for logLevel. */
export function environmentName(option: string): string {
  return `HPTD_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Options that the environment sets. An empty variable sets nothing. */
export function optionsFromEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const found: Record<string, string> = {};
  for (const option of Object.keys(serveOptions.shape)) {
    const value = environment[environmentName(option)];
    if (value !== undefined && value !== '') found[option] = value;
  }
  return found;
}
