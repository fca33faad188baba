/**
 * The incremental table stream: readers that follow the table while it changes, and the writer that
 * loads it elsewhere.
 *
 * A record is index (u32), valid entries (u16), invalid slots after them (u16), all little-endian,
 * then 16 bytes big-endian for each valid entry.
 *
 * SPEC: KVM HV (KVM_PPC_GET_HTAB_FD). DIFFERS: the writer takes every record of a piece and counts
 * their headers; KVM HV's loses its place after the first record that carries entries.
 */
import { HTAB_READERS_MAX, HTAB_READ_BYTES_MAX } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { FLAGS } from '../../schemas/flags.ts';
import { hEnter } from './enter.ts';
import {
  HPTE_GR_MODIFIED,
  HPTE_R_RC,
  HPTE_V_HVLOCK,
  guestDword0,
  isBolted,
  isOccupied,
  isValid,
  not,
  pageSize,
} from './hpte.ts';
import {
  type Answer,
  type Entry,
  type HtabReader,
  type State,
  dword0Of,
  entryCount,
  fail,
  isPresentEntry,
  ok,
  removeEntry,
} from './table.ts';

const HEADER_BYTES = 8;
const HPTE_BYTES = 16;
const COUNT_MAX = 0xffff;
/** Where a reader is that stops after each pass. */
const PASS_ENDED = Number(0xffff_ffff_ffff_ffffn);
const EMPTY: Readonly<Entry> = { dword0: 0n, dword1: 0n, guestRpte: 0n };

export function htabOpen(state: State, args: readonly bigint[]): Answer {
  const [start = 0n, flags = 0n] = args;
  if ((flags & ~3n) !== 0n) return fail(STATUSES.H_PARAMETER);
  let id = 0;
  while (state.readers.has(id)) id++;
  if (id >= HTAB_READERS_MAX) return fail(STATUSES.H_RESOURCE);
  const [boltedOnly, stops] = [(flags & 1n) !== 0n, (flags & 2n) !== 0n];
  state.readers.set(id, { index: Number(start), boltedOnly, stops, firstPass: true });
  return ok(BigInt(id));
}

export function htabClose(state: State, args: readonly bigint[]): Answer {
  const closed = state.readers.delete(Number(args[0] ?? 0n));
  return closed ? ok(0n) : fail(STATUSES.H_PARAMETER);
}

export function htabRead(state: State, args: readonly bigint[]): Answer {
  const [id = 0n, wanted = 0n] = args;
  const reader = state.readers.get(Number(id));
  if (reader === undefined) return fail(STATUSES.H_PARAMETER);
  const count = wanted > BigInt(HTAB_READ_BYTES_MAX) ? HTAB_READ_BYTES_MAX : Number(wanted);
  const bytes = readStream(state, reader, count);
  return ok(BigInt(bytes.length), ...bytesToWords(bytes));
}

/** Strictly less than the buffer, as KVM HV compares: 24 bytes hold a record but yield none. */
function readStream(state: State, reader: HtabReader, count: number): number[] {
  const bytes: number[] = [];
  if (reader.stops && reader.index === PASS_ENDED) {
    if (count === 0) reader.index = 0;
    return bytes;
  }
  const end = entryCount(state);
  let at = reader.index;
  while (bytes.length + HEADER_BYTES + HPTE_BYTES < count) {
    while (!reader.firstPass && at < end && !isDirty(state, at)) at++;
    const index = at;
    const entries: number[] = [];
    while (
      at < end &&
      entries.length / HPTE_BYTES < COUNT_MAX &&
      bytes.length + HEADER_BYTES + entries.length + HPTE_BYTES < count &&
      isWanted(state, reader, at, true)
    ) {
      entries.push(...emit(state, at));
      at++;
    }
    let invalid = 0;
    while (at < end && invalid < COUNT_MAX && isWanted(state, reader, at, false)) {
      settle(state.entries.get(at));
      invalid++;
      at++;
    }
    const valid = entries.length / HPTE_BYTES;
    if (valid > 0 || invalid > 0) bytes.push(...header(index, valid, invalid), ...entries);
    if (at >= end) {
      at = reader.stops ? PASS_ENDED : 0;
      reader.firstPass = false;
      break;
    }
  }
  reader.index = at;
  return bytes;
}

/** Changed since it was last emitted, or about to be once hardware's R and C are merged. */
function isDirty(state: State, ptex: number): boolean {
  const entry = state.entries.get(ptex) ?? EMPTY;
  if ((entry.guestRpte & HPTE_GR_MODIFIED) !== 0n) return true;
  return isValid(entry.dword0) && (entry.dword1 & HPTE_R_RC & not(entry.guestRpte)) !== 0n;
}

function isWanted(state: State, reader: HtabReader, ptex: number, wantValid: boolean): boolean {
  if (!reader.firstPass && !isDirty(state, ptex)) return false;
  const { dword0 } = state.entries.get(ptex) ?? EMPTY;
  const counts = isOccupied(dword0) && (!reader.boltedOnly || isBolted(dword0));
  return counts === wantValid;
}

/** Merges hardware's R and C, after which the entry is clean: its record is on its way. */
function settle(entry: Entry | undefined): void {
  if (entry === undefined) return;
  if (isValid(entry.dword0)) entry.guestRpte |= entry.dword1 & HPTE_R_RC;
  entry.guestRpte &= not(HPTE_GR_MODIFIED);
}

/** dword 0 is copied while the entry is locked, so HVLOCK shows; receivers ignore it. */
function emit(state: State, ptex: number): number[] {
  const entry = state.entries.get(ptex) ?? { ...EMPTY };
  settle(entry);
  const v = guestDword0(dword0Of(state, entry)) | HPTE_V_HVLOCK;
  return [...bigEndian(v), ...bigEndian(entry.guestRpte)];
}

function header(index: number, valid: number, invalid: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, index, true);
  view.setUint16(4, valid, true);
  view.setUint16(6, invalid, true);
  return bytes;
}

function bigEndian(word: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, word);
  return bytes;
}

export function bytesToWords(bytes: ArrayLike<number>): bigint[] {
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  return Array.from({ length: padded.length / 8 }, (_, i) => view.getBigUint64(8 * i, true));
}

export function htabWrite(state: State, args: readonly bigint[]): Answer {
  const [length = 0n, ...words] = args;
  if (length > BigInt(words.length * 8)) return fail(STATUSES.H_PARAMETER);
  const view = new DataView(new BigUint64Array(words).buffer, 0, Number(length));
  let at = 0;
  while (at + HEADER_BYTES <= view.byteLength) {
    const index = view.getUint32(at, true);
    const valid = view.getUint16(at + 4, true);
    const invalid = view.getUint16(at + 6, true);
    const next = at + HEADER_BYTES + valid * HPTE_BYTES;
    if (next > view.byteLength) break;
    const status = loadRecord(state, view, at + HEADER_BYTES, index, valid, invalid);
    if (status !== STATUSES.H_SUCCESS) return { status, out: [BigInt(at)] };
    at = next;
  }
  return ok(BigInt(at));
}

function loadRecord(
  state: State,
  view: DataView,
  at: number,
  index: number,
  valid: number,
  invalid: number,
): number {
  const end = entryCount(state);
  if (index >= end || index + valid + invalid > end) return STATUSES.H_PARAMETER;
  for (let i = 0; i < valid; i++) {
    const v = view.getBigUint64(at + i * HPTE_BYTES);
    const r = view.getBigUint64(at + i * HPTE_BYTES + 8);
    if (!isValid(v) || pageSize(v, r) === undefined) return STATUSES.H_PARAMETER;
    if (isPresentEntry(state, index + i)) removeEntry(state, index + i);
    const entered = hEnter(state, [FLAGS.H_EXACT, BigInt(index + i), v, r]);
    if (entered.status !== STATUSES.H_SUCCESS) return STATUSES.H_HARDWARE;
  }
  for (let i = index + valid; i < index + valid + invalid; i++) {
    if (isPresentEntry(state, i)) removeEntry(state, i);
  }
  return STATUSES.H_SUCCESS;
}
