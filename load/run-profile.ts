/** Runs a profile as people do, in a process of its own, and gives what it printed. Used by `report` and `check`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { complain } from '../src/cli/output.ts';

export type Json = Record<string, unknown>;

export interface Outcome {
  /** What a person types to repeat it. */
  readonly command: string;
  readonly json: Json | undefined;
  /** Why there is no JSON, or why it is not to be trusted. */
  readonly failure: string | undefined;
}

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
/** Profiles end by themselves; this is for one that does not. */
const RUN_MILLIS_MAX = 300_000;

export function commandOf(words: readonly string[]): string {
  return `npm run -s load -- ${words.join(' ')}`;
}

export async function runProfile(words: readonly string[]): Promise<Outcome> {
  const command = commandOf(words);
  complain(command);
  const child = spawn(process.execPath, [MAIN, ...words, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: RUN_MILLIS_MAX,
    killSignal: 'SIGKILL',
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const failure =
    code === 0 ? undefined : `it ended with ${signal ?? `exit code ${code}`}: see above`;
  return { command, json: parsed(text), failure: failure ?? (text === '' ? 'no JSON' : undefined) };
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
