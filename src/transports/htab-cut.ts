/**
 * Cuts a table stream, which comes in chunks that end anywhere, into HTAB_WRITE records: pure bytes, no input or output.
 *
 * A record of the stream may be longer than an HTAB_WRITE can carry, so it becomes several: those before the last have no
 * empty slots behind their entries. What cannot be right whatever the table holds is found here; the rest by the engine.
 */
import { DATA_WORDS_MAX, PIECE_ENTRIES_MAX } from '../../schemas/limits.ts';
import { operationByName } from '../../schemas/operations.ts';
import { problem } from '../../schemas/problems.ts';
import { EXPLAIN_BIT, HEADER_BYTES, RECORD_VERSION } from '../../schemas/records.ts';

const WRITE = operationByName('HTAB_WRITE')!.opcode;
/** Header and first word, `bytes`, of the HTAB_WRITE. */
const LEAD_BYTES = HEADER_BYTES + 8;
const HTAB_HEADER_BYTES = 8;
const ENTRY_BYTES = 16;
const PIECE_BYTES = DATA_WORDS_MAX * 8;

/** A record in a piece, and where it was in the stream. */
export interface Part {
  /** In the piece's data. */
  readonly at: number;
  /** Number of its record in the stream, from 0. */
  readonly record: number;
  readonly ptex: number;
  /** Byte offset of its first entry in the stream. */
  readonly offset: number;
}

export interface Piece {
  /** One HTAB_WRITE record; good until the next piece is asked for. */
  readonly frame: Uint8Array;
  readonly parts: readonly Part[];
}

export interface Totals {
  bytes: number;
  records: number;
  entries: number;
}

export interface Cutter {
  readonly totals: Readonly<Totals>;
  /** Pieces that are full. Throws htab-invalid. */
  cut(chunk: Uint8Array): Generator<Piece, void>;
  /** The last piece, if there is one. Throws htab-invalid where the stream ended inside a record. */
  end(): Piece | undefined;
}

interface State {
  readonly slots: number;
  readonly frame: Buffer;
  readonly totals: Totals;
  /** The record at hand: its header, as far as it is there, and what is still to come. */
  readonly header: Buffer;
  headerFill: number;
  recordAt: number;
  ptex: number;
  /** Bytes of its entries still to come. */
  left: number;
  invalid: number;
  /** The piece: bytes of data in it, slots that it covers, where its open part begins (-1: none is open). */
  used: number;
  covers: number;
  partAt: number;
  parts: Part[];
}

/** `slots`: of the table. */
export function openCutter(slots: number): Cutter {
  const state: State = {
    slots,
    frame: Buffer.alloc(LEAD_BYTES + PIECE_BYTES),
    totals: { bytes: 0, records: 0, entries: 0 },
    header: Buffer.alloc(HTAB_HEADER_BYTES),
    headerFill: 0,
    recordAt: 0,
    ptex: 0,
    left: 0,
    invalid: 0,
    used: 0,
    covers: 0,
    partAt: -1,
    parts: [],
  };
  return {
    totals: state.totals,
    cut: (chunk) => cut(state, chunk),
    end() {
      if (state.headerFill > 0) {
        const { bytes, records } = state.totals;
        const where = `record ${Math.max(0, records - 1)}, which began at byte ${state.recordAt}`;
        throw invalid(`the stream ends at byte ${bytes}, inside ${where}`);
      }
      return state.used === 0 ? undefined : finish(state);
    },
  };
}

function* cut(state: State, chunk: Uint8Array): Generator<Piece, void> {
  const { totals } = state;
  for (let at = 0; at < chunk.length; ) {
    if (state.headerFill < HTAB_HEADER_BYTES) {
      const taken = Math.min(HTAB_HEADER_BYTES - state.headerFill, chunk.length - at);
      if (state.headerFill === 0) beginHeader(state);
      state.header.set(chunk.subarray(at, at + taken), state.headerFill);
      state.headerFill += taken;
      at += taken;
      totals.bytes += taken;
      if (state.headerFill < HTAB_HEADER_BYTES) return;
      beginRecord(state);
    } else {
      const taken = takeEntries(state, chunk, at);
      at += taken;
      totals.bytes += taken;
    }
    if (isFull(state)) {
      closePart(state, 0);
      yield finish(state);
    }
    if (state.headerFill === HTAB_HEADER_BYTES && state.left === 0) {
      endRecord(state);
      if (isFull(state)) yield finish(state);
    }
  }
}

function beginHeader(state: State): void {
  state.recordAt = state.totals.bytes;
  state.totals.records++;
}

function beginRecord(state: State): void {
  const { header, slots, totals, recordAt } = state;
  const ptex = header.readUInt32LE(0);
  const valid = header.readUInt16LE(4);
  state.invalid = header.readUInt16LE(6);
  const end = ptex + valid + state.invalid;
  if (end > slots || ptex >= slots) {
    const covers = `covers entries ${ptex} to ${end - 1}`;
    throw invalid(
      `record ${totals.records - 1} at byte ${recordAt} ${covers}, and the table has ${slots}`,
    );
  }
  state.ptex = ptex;
  state.left = valid * ENTRY_BYTES;
}

/** Copies what the chunk has of the record's entries, as far as the piece has room. */
function takeEntries(state: State, chunk: Uint8Array, at: number): number {
  if (state.partAt === -1) openPart(state);
  const room = PIECE_BYTES - state.used;
  // Entries stay whole: what a part may hold is a multiple of an entry.
  const inPart = state.used - state.partAt - HTAB_HEADER_BYTES;
  const may = room + inPart - ((room + inPart) % ENTRY_BYTES) - inPart;
  const taken = Math.min(chunk.length - at, state.left, may);
  state.frame.set(chunk.subarray(at, at + taken), LEAD_BYTES + state.used);
  state.used += taken;
  state.left -= taken;
  return taken;
}

function openPart(state: State): void {
  const { used, totals, ptex } = state;
  state.partAt = used;
  state.parts.push({ at: used, record: totals.records - 1, ptex, offset: totals.bytes });
  state.used += HTAB_HEADER_BYTES;
}

/** Writes the header of the part, which is complete. */
function closePart(state: State, invalidSlots: number): void {
  const { frame, partAt } = state;
  if (partAt === -1) return;
  const valid = (state.used - partAt - HTAB_HEADER_BYTES) / ENTRY_BYTES;
  frame.writeUInt32LE(state.ptex, LEAD_BYTES + partAt);
  frame.writeUInt16LE(valid, LEAD_BYTES + partAt + 4);
  frame.writeUInt16LE(invalidSlots, LEAD_BYTES + partAt + 6);
  state.ptex += valid;
  state.covers += valid + invalidSlots;
  state.totals.entries += valid;
  state.partAt = -1;
}

function endRecord(state: State): void {
  if (state.partAt === -1) openPart(state);
  closePart(state, state.invalid);
  state.headerFill = 0;
}

/** No whole entry fits any more, nor a header with one; or it covers as many slots as a piece of work should. */
function isFull({ used, partAt, covers }: State): boolean {
  if (partAt === -1)
    return used > PIECE_BYTES - HTAB_HEADER_BYTES - ENTRY_BYTES || covers >= PIECE_ENTRIES_MAX;
  const whole = (used - partAt - HTAB_HEADER_BYTES) % ENTRY_BYTES === 0;
  return whole && used > PIECE_BYTES - ENTRY_BYTES;
}

function finish(state: State): Piece {
  const { frame, used, parts } = state;
  frame.writeUInt16LE(WRITE | EXPLAIN_BIT, 0);
  frame.writeUInt16LE((1 + used / 8) | (RECORD_VERSION << 12), 2);
  frame.writeBigUInt64LE(BigInt(used), HEADER_BYTES);
  state.used = 0;
  state.covers = 0;
  state.parts = [];
  return { frame: frame.subarray(0, LEAD_BYTES + used), parts };
}

function invalid(detail: string) {
  return problem('htab-invalid', detail);
}
