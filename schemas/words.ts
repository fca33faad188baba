/** 64-bit words at the JSON edge: `"0x…"` strings (or exact numbers) in, `"0x…"` strings out. */
import { z } from 'zod';

const WORD_MAX = (1n << 64n) - 1n;
const FORM =
  'a 64-bit word is written "0x" and 1 to 16 hexadecimal digits, or as a number from 0 to 9007199254740991';

/** A word as text. */
export const WORD_TEXT = /^0x[0-9a-fA-F]{1,16}$/;

/** The word's JSON form. */
export function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

export const word = z.codec(
  z.union([z.string().regex(WORD_TEXT, FORM), z.int({ error: FORM }).min(0, FORM)], {
    error: FORM,
  }),
  z.bigint().min(0n).max(WORD_MAX),
  { decode: (text) => BigInt(text), encode: hex },
);
