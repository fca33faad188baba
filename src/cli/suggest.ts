/** Words that are not known, with the one that was probably meant. */
import { nearest } from '../../schemas/nearest.ts';

/** "command "relpay" is not known; did you mean replay?", or what there is when none is near. */
export function unknownWord(what: string, typed: string, known: readonly string[]): string {
  const near = nearest(typed, known);
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`;
  return `${what} "${typed}" is not known; ${hint}`;
}
