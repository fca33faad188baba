/**
 * Looking at the table as a whole: TABLE_HASH, TABLE_COUNT, ENTRY_INSPECT. A piece is bounded;
 * `next` says where to go on.
 */
import { PIECE_ENTRIES_MAX } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import {
  HPTE_R_C,
  HPTE_R_R,
  isAbsent,
  isBolted,
  isOccupied,
  isSecondary,
  isValid,
  pageSize,
} from './hpte.ts';
import {
  type Answer,
  type State,
  dword0Of,
  entryAt,
  entryCount,
  fail,
  frameAt,
  guestPage,
  isPtex,
  ok,
  shownEntry,
} from './table.ts';

export const FNV_OFFSET_BASIS = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const WORD = (1n << 64n) - 1n;
/** A zero byte only multiplies, so an empty slot's sixteen are one factor. */
const SIXTEEN_ZERO_BYTES = BigInt.asUintN(64, FNV_PRIME ** 16n);

function hashWord(hash: bigint, word: bigint): bigint {
  let sum = hash;
  for (let shift = 56n; shift >= 0n; shift -= 8n) {
    sum = ((sum ^ ((word >> shift) & 0xffn)) * FNV_PRIME) & WORD;
  }
  return sum;
}

/** Entries of a piece: as many as are wanted, within the bound. */
const pieceLength = (count: bigint): number =>
  count > BigInt(PIECE_ENTRIES_MAX) ? PIECE_ENTRIES_MAX : Number(count);

export function tableHash(state: State, args: readonly bigint[]): Answer {
  const [ptex = 0n, count = 0n, hashSoFar = 0n, validSoFar = 0n] = args;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const end = Math.min(Number(ptex) + pieceLength(count), entryCount(state));
  let hash = hashSoFar;
  let valid = validSoFar;
  for (let at = Number(ptex); at < end; at++) {
    const [v, r] = shownEntry(state, at);
    if (isValid(v)) {
      hash = hashWord(hashWord(hash, v), r);
      valid++;
    } else {
      hash = (hash * SIXTEEN_ZERO_BYTES) & WORD;
    }
  }
  return ok(hash, valid, BigInt(end));
}

/** Whole groups: the piece is widened to the groups that its ends lie in. */
export function tableCount(state: State, args: readonly bigint[]): Answer {
  const [ptex = 0n, count = 0n] = args;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const start = Number(ptex) - (Number(ptex) % 8);
  const widened = Math.ceil((Number(ptex) + pieceLength(count)) / 8) * 8;
  const end = Math.min(widened, start + PIECE_ENTRIES_MAX, entryCount(state));
  const sum = { valid: 0, absent: 0, bolted: 0, secondary: 0, r: 0, c: 0, full: 0, empty: 0 };
  for (let group = start; group < end; group += 8) {
    let occupied = 0;
    for (let at = group; at < group + 8; at++) {
      const v = state.entries.get(at)?.dword0 ?? 0n;
      if (!isOccupied(v)) continue;
      const [, r] = shownEntry(state, at);
      occupied++;
      sum.valid += Number(isValid(v));
      sum.absent += Number(isAbsent(v));
      sum.bolted += Number(isBolted(v));
      sum.secondary += Number(isSecondary(v));
      sum.r += Number((r & HPTE_R_R) !== 0n);
      sum.c += Number((r & HPTE_R_C) !== 0n);
    }
    if (occupied === 8) sum.full++;
    if (occupied === 0) sum.empty++;
  }
  const { valid, absent, bolted, secondary, r, c, full, empty } = sum;
  return ok(...[end, valid, absent, bolted, secondary, r, c, full, empty].map(BigInt));
}

/**
 * forw and back are the neighbours in the ring of the frame's entries; the entry itself when in
 * none.
 */
export function entryInspect(state: State, args: readonly bigint[]): Answer {
  const ptex = args[0] ?? 0n;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const index = Number(ptex);
  const entry = entryAt(state, index);
  const ring = isValid(dword0Of(state, entry))
    ? frameAt(state, guestPage(state, entry).gpa).chain
    : [index];
  const place = ring.indexOf(index);
  const forw = ring[(place + 1) % ring.length] ?? index;
  const back = ring[(place + ring.length - 1) % ring.length] ?? index;
  return ok(
    entry.dword0,
    entry.dword1,
    entry.guestRpte,
    BigInt(forw),
    BigInt(back),
    ...shownEntry(state, index),
  );
}

/** Actual and base page shifts in the order of the answer. */
const SIZES = ['12 12', '12 16', '12 24', '16 16', '16 24', '24 24', '34 34'];
/** Longest chain of each word but the last. */
const LENGTHS = [1, 2, 3, 4, 8, 16, 64];

export function tableShape(state: State, args: readonly bigint[]): Answer {
  const [ptex = 0n, count = 0n] = args;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const start = Number(ptex) - (Number(ptex) % 8);
  const widened = Math.ceil((Number(ptex) + pieceLength(count)) / 8) * 8;
  const end = Math.min(widened, start + PIECE_ENTRIES_MAX, entryCount(state));
  const words = Array.from({ length: 33 }, () => 0);
  const bump = (at: number): void => {
    words[at]!++;
  };
  for (let group = start; group < end; group += 8) {
    const present = [0, 1, 2, 3, 4, 5, 6, 7].filter((slot) =>
      isOccupied(state.entries.get(group + slot)?.dword0 ?? 0n),
    );
    bump(1 + present.length);
    for (const slot of present) {
      bump(10 + slot);
      const entry = entryAt(state, group + slot);
      const v = dword0Of(state, entry);
      const { base, actual } = pageSize(v, entry.guestRpte)!;
      bump(18 + SIZES.indexOf(`${base} ${actual}`));
      const chain = isValid(v) ? frameAt(state, guestPage(state, entry).gpa).chain : [];
      if (chain[0] !== group + slot) continue;
      const at = LENGTHS.findIndex((most) => chain.length <= most);
      bump(25 + (at === -1 ? LENGTHS.length : at));
    }
  }
  return ok(...[end, ...words.slice(1)].map(BigInt));
}
