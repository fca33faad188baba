/** What the actors of a soak share: where the daemon is, what was found wrong, what was done and how long it took. */
import { type Rest, connectRest } from '../../src/client/rest.ts';

export interface Soak {
  readonly url: string;
  readonly rest: Rest;
  /** What is wrong, each once. The first ends the soak. */
  readonly findings: string[];
  over: boolean;
  /** The daemon is stopped: what goes wrong from now on is the consequence. */
  closed: boolean;
  /** Done in the current window. */
  done: Record<Deed, number>;
  /** Milliseconds from when a call was due to its answer, in the current window. */
  latencies: number[];
  /** How late this process's own timers are: what the machine, not the daemon, adds. */
  delays: number[];
}

export type Deed =
  | 'hcalls'
  | 'requests'
  | 'guests'
  | 'resizes'
  | 'slowReaders'
  | 'vanished'
  | 'kills';

export const NOTHING_DONE: Record<Deed, number> = {
  hcalls: 0,
  requests: 0,
  guests: 0,
  resizes: 0,
  slowReaders: 0,
  vanished: 0,
  kills: 0,
};

/** Nothing answered for so long: it hangs. Kills and a busy machine take a second at most. */
export const HANG_MILLIS = 15_000;

const FINDINGS_MAX = 10;

export function openSoak(url: string): Soak {
  return {
    url,
    rest: connectRest(url),
    findings: [],
    over: false,
    closed: false,
    done: { ...NOTHING_DONE },
    latencies: [],
    delays: [],
  };
}

export function find(soak: Soak, finding: string): void {
  if (!soak.closed && soak.findings.length < FINDINGS_MAX) soak.findings.push(finding);
  soak.over = true;
}

/** An actor that throws has found something. */
export async function act(soak: Soak, name: string, actor: () => Promise<void>): Promise<void> {
  try {
    await actor();
  } catch (error) {
    find(soak, `${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected)
    throw new Error(`wrong answer: ${what} is ${String(actual)} instead of ${String(expected)}`);
}

/** Rejects when `work` takes as long as a hang does. */
export async function inTime<T>(what: string, work: Promise<T>): Promise<T> {
  const hang = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => hang.reject(new Error(`hang: ${what} took more than ${HANG_MILLIS / 1000} s`)),
    HANG_MILLIS,
  );
  try {
    return await Promise.race([work, hang.promise]);
  } finally {
    clearTimeout(timer);
  }
}
