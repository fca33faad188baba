/**
 * The daemon's log: JSON lines on standard error, so that standard output stays for the command that was run.
 * Written at once: a log that is buffered loses the lines that explain a crash.
 */
import { destination, pino } from 'pino';
import type { Logger } from 'pino';
import type { ServeOptions } from './config.ts';

const STANDARD_ERROR = 2;

export function openLog(level: ServeOptions['logLevel']): Logger {
  return pino({ level, base: { name: 'hptd' } }, destination({ dest: STANDARD_ERROR, sync: true }));
}
