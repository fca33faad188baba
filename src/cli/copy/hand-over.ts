/** The step of a copy after which there is no way back by itself: the destination runs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusedError, UnavailableError } from '../../client/errors.ts';
import { changeState, type Copy } from './session.ts';

const ASKED_MAX = 5;
const ASK_AGAIN_MILLIS = 500;

/** From the request on it may run there, so two would run if the source went on; `copy.handedOver` says so. */
export async function handOver(copy: Copy): Promise<void> {
  if (copy.state === 'paused') return;
  copy.handedOver = true;
  copy.onStep?.('handing over', 0);
  try {
    await changeState(copy.target, copy.to.guest, 'running');
  } catch (error) {
    const runs = await askWhetherItRuns(copy);
    if (runs === true) return;
    copy.handedOver = runs === undefined;
    throw error;
  }
}

/** A daemon that dies or loses a connection is asked again: soon it is back, or surely dead. */
async function askWhetherItRuns(copy: Copy): Promise<boolean | undefined> {
  for (let asked = 1; ; asked++) {
    const runs = await runsThere(copy);
    if (runs !== undefined || asked === ASKED_MAX) return runs;
    await sleep(ASK_AGAIN_MILLIS);
  }
}

/** Undefined: nobody can say. */
async function runsThere({ target, to }: Copy): Promise<boolean | undefined> {
  try {
    return (await target.getGuest(to.guest))['state'] === 'running';
  } catch (error) {
    if (error instanceof RefusedError) return error.status === 404 ? false : undefined;
    return isDead(error) ? false : undefined;
  }
}

/** Nobody listens there any more, so nobody runs there. */
function isDead(error: unknown): boolean {
  if (!(error instanceof UnavailableError)) return false;
  const { code } = error.cause as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}
