/** Undoing a copy that did not come to its end: the source goes on as it was, and no copy is left. */
import { RefusedError } from '../../client/errors.ts';
import { CliError, EXIT } from '../errors.ts';
import { placeText } from './place.ts';
import { changeState, type Copy } from './session.ts';

/** Throws when the source could not be set back, or must not be, with what to do; `cause` is why all this. */
export async function undo(copy: Copy, cause: unknown): Promise<void> {
  const { source, target, from, to, state } = copy;
  const why = cause instanceof Error ? cause.message : String(cause);
  if (copy.handedOver)
    throw new CliError(
      EXIT.unavailable,
      `${placeText(to)} was asked to run and does not answer (${why}), so ${placeText(from)} stays paused`,
      `see whether it runs there; if not, PATCH ${placeText(from)} with {"state":"running"}`,
    );
  copy.onStep?.('undoing the copy', 0);
  if (copy.reader !== undefined) await source.send('DELETE', copy.reader).catch(() => {});
  // A destination that does not answer keeps a paused copy at most.
  if (copy.created) await target.deleteGuest(to.guest).catch(() => {});
  try {
    if (state === 'running') await changeState(source, from.guest, 'running');
  } catch (error) {
    // A guest that is gone has no state to go back to.
    if (error instanceof RefusedError && error.status === 404) return;
    throw new CliError(
      EXIT.unavailable,
      `the copy failed (${why}), and ${placeText(from)} could not be set running again: ${(error as Error).message}`,
      `PATCH it with {"state":"running"}`,
    );
  }
}
