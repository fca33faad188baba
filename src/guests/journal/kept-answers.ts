/**
 * What the journal keeps of answers, to compare with when they are given again: all, but of a long one the head only. What
 * reads a table or guest memory would make the journal as large as what is read. Pure.
 */
import { HEADER_BYTES } from '../../../schemas/records.ts';
import { viewOf } from '../../state/journal/format.ts';

/** No hcall answers more, an explanation included. */
const KEPT_WORDS_MAX = 19;

export function keptAnswers(answers: Uint8Array): Uint8Array {
  return isShort(answers) ? answers : withoutLong(answers);
}

/** Are `words` words of an answer kept? */
export function isKept(words: number): boolean {
  return words <= KEPT_WORDS_MAX;
}

function isShort(answers: Uint8Array): boolean {
  const view = viewOf(answers);
  for (let at = 0; at < answers.byteLength; ) {
    const words = view.getUint16(at + 2, true);
    if (!isKept(words)) return false;
    at += HEADER_BYTES + 8 * words;
  }
  return true;
}

function withoutLong(answers: Uint8Array): Uint8Array {
  const view = viewOf(answers);
  const kept = new Uint8Array(answers.byteLength);
  let end = 0;
  for (let at = 0; at < answers.byteLength; ) {
    const words = view.getUint16(at + 2, true);
    const bytes = HEADER_BYTES + 8 * words;
    kept.set(answers.subarray(at, at + (isKept(words) ? bytes : HEADER_BYTES)), end);
    end += isKept(words) ? bytes : HEADER_BYTES;
    at += bytes;
  }
  return kept.subarray(0, end);
}
